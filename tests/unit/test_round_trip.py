"""HL7 v2 to FHIR and back by the shipped maps: invented messages keep their key facts."""

from __future__ import annotations

import pytest

from tests.corpus import round_trip

ADMISSION = """\
MSH|^~\\&|HIS|A|EMR|A|20260105080000||ADT^A01^ADT_A01|1|P|2.5
EVN|A01|20260105080000
PID|1||P0001^^^HIS^MR~20260105^^^&1.2.156.9&ISO^PI||欧阳小明^^^^^^L||19800115|1|||样板街12号^^上海市^上海市^200000^CHN^H^^虚构区||15400000000^PRN^CP~^NET^Internet^ming@example.com|010-55550102^WPN^PH||20||ACC1^^^HIS|99999919800115003X|||HA^汉族|||||||20260109100000|Y
NK1|1|李^四|SPO^配偶|样板街12号^^上海市|15400000001^PRN^CP
NK1|2|欧阳^大明|51^父亲
PV1|1|I|3W^301^02^A院区|E|||D01^王^五|D02^赵^六||CAR||||7|||D01^王^五||V0001^^^HIS^VN|||||||||||||||||1||||||||202601050730|202601091030
AL1|1|DA^药物过敏|PCN^青霉素|SV|皮疹|2019
DG1|1||I20.0^不稳定型心绞痛^I10||20260104|A
IN1|1|310^职工医保|YB|医保局||||||||20260101|20261231||||SEL|||||||||||||||||||YB-9001
"""
ORDERS = """\
MSH|^~\\&|HIS|A|LIS|A|20260105080000||OML^O21^OML_O21|2|P|2.5
PID|1||P0001^^^HIS^MR||张^三||19800115|F
PV1|1|O|||||||||||||||||V0001^^^HIS^VN
ORC|NW|O1^HIS||G1^HIS|||||20260105075500|||D01^王^五|||||||||心内科^^C01
OBR|1|O1^HIS||58410-2^血常规^LN|S|202601050815|||||G|||||D01^王^五||||||||LAB|||||||I20.0^心绞痛^I10
OBX|1|ST|FAST^空腹||是||||||F
SPM|1|S1&HIS^S2&LIS||BLD^全血^HL70487|||||||||||||20260105075800|20260105081000
ORC|DC|O2^HIS
OBR|2|O2^HIS||24325-3^肝功能^LN
ORC|SC|O3^HIS|L3^LIS||CM
OBR|3|O3^HIS|L3^LIS|CT1^头部CT
"""
RESULTS = """\
MSH|^~\\&|LIS|A|HIS|A|20260105084000+0800||ORU^R01^ORU_R01|3|P|2.5
PID|1||P0001^^^HIS^MR||张^三||19800115|2
PV1|1|E|||||||||||||||||V0001^^^HIS^VN
ORC|RE|O1^HIS|L1^LIS
OBR|1|O1^HIS|L1^LIS|58410-2^血常规^LN|||20260105075800+0800|||||||||D01^王^五||||||20260105084000+0800||LAB|F
OBX|1|NM|6690-2^白细胞计数^LN||10.20|10*9/L^10*9/L^UCUM|3.5-9.5|H|||F|||20260105083000+0800
OBX|2|SN|1988-5^C反应蛋白^LN||<^0.5|mg/L||N|||P
OBX|3|SN|R1^滴度||^1^:^128||||||C
OBX|4|SN|R2^区间||^10^-^20|g/L|||||F
OBX|5|ST|20454-5^尿蛋白^LN||阳性(1+) \\T\\ 复查||阴性|A|||F
OBX|6|CE|883-9^ABO血型^LN||A^A型|||N|||F
OBX|7|DT|D1^末次月经||20251220||||||X
OBX|8|TS|D2^采样||20260105075800+0800||||||D
OBX|9|NM|BP^血压||120~80|mmHg|||||F
OBX|10|TX|M1^描述|1|大肠埃希菌||||||F
OBX|11|TX|M1^描述|2|肺炎克雷伯菌||||||F
SPM|1|S1&HIS^S2&LIS||BLD^全血^HL70487
OBR|2|O2^HIS|L2^LIS|24325-3^肝功能^LN|||20260105075800|||||||||||||||20260105084100||LAB|P
OBX|1|NM|1742-6^谷丙转氨酶^LN||35|U/L|||||P
"""
# Each that event-structure.csv has.
EVENTS = [*(f"A{n:02}" for n in (*range(1, 15), 21, 22, 23, *range(25, 30), 31))]


def sent(text: str) -> bytes:
    return text.replace("\n", "\r").encode()


@pytest.mark.parametrize(
    ("text", "kind", "facts"), [(ADMISSION, "ADT", 41), (ORDERS, "OML", 33), (RESULTS, "ORU", 75)]
)
def test_a_message_that_goes_to_fhir_and_back_says_the_same_and_is_valid(
    text: str, kind: str, facts: int
) -> None:
    kept = round_trip.judge(sent(text), kind)
    assert kept.lost == {}
    assert kept.valid == 1
    assert kept.facts >= facts


@pytest.mark.parametrize("kind", EVENTS)
def test_the_event_comes_back(kind: str) -> None:
    made = round_trip.there_and_back(sent(ADMISSION.replace("A01", kind)), "ADT")
    assert round_trip.path("MSH-9.2").one(round_trip.HL7.decode(made)) == kind
    assert round_trip.validator()(round_trip.HL7.decode(made)) == []


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("|10.20|", "|10.2|", "OBX-5"),
        ("|H|", "|L|", "OBX-8"),
        ("84000+0800||LAB|F", "84000+0800||LAB|C", "OBR-25"),
    ],
)
def test_a_fact_that_is_not_the_same_is_counted_as_lost(old: str, new: str, field: str) -> None:
    said, other = (
        round_trip.facts(round_trip.HL7.decode(sent(text)), "ORU")
        for text in (RESULTS, RESULTS.replace(old, new))
    )
    assert [name for name, _ in said - other] == [field]
