"""The messages of the example hospital as plain text: HL7 v2.5, JSON, XML.

They are put together here by hand, without the engine's own formats, so that a mistake of the engine cannot
hide itself behind a matching mistake in its test traffic.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from deploy.sandbox.labs import Panel, Result
from deploy.sandbox.people import Person, Visit


@dataclass(frozen=True, slots=True)
class Charset:
    """What a sender writes in: Python's name, and HL7's for MSH-18 (table 0211)."""

    codec: str
    msh18: str


GB18030 = Charset("gb18030", "GB 18030-2000")
UTF8 = Charset("utf-8", "UNICODE UTF-8")

_ESCAPES = str.maketrans({"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"})


@dataclass(frozen=True, slots=True)
class Letter:
    """One message on its way: `control` is MSH-10, by which the books of the parties are compared."""

    control: str
    kind: str  # ADT^A01
    text: str
    charset: Charset = UTF8

    @property
    def body(self) -> bytes:
        return self.text.encode(self.charset.codec)


def escape(text: str) -> str:
    r"""HL7's own marks in a text (2.7.1).

    >>> escape("A|B & C")
    'A\\F\\B \\T\\ C'
    """
    return text.translate(_ESCAPES)


def segment(name: str, fields: Mapping[int, str]) -> str:
    """A segment from its numbered fields.

    >>> segment("EVN", {1: "A01", 3: "x"})
    'EVN|A01||x'
    """
    return "|".join([name, *(fields.get(n, "") for n in range(1, max(fields) + 1))])


def stamp(at: datetime) -> str:
    return f"{at:%Y%m%d%H%M%S}+0800"


def adt(
    trigger: str, person: Person, visit: Visit, control: str, at: datetime, charset: Charset = UTF8
) -> Letter:
    """Admission A01, transfer A02, discharge A03, registration A04, update A08: about 1 KB."""
    structure = {"A04": "ADT_A01", "A08": "ADT_A01"}.get(trigger, f"ADT_{trigger}")
    doctor = f"{visit.doctor.number}^{visit.doctor.name}"
    event = {1: trigger, 2: stamp(at), 4: "01", 5: doctor, 6: stamp(at), 7: "HIS"}
    lines = [
        header(f"ADT^{trigger}^{structure}", control, at, "HIS", charset),
        segment("EVN", event),
        _pid(person, charset),
        *([] if trigger == "A02" else [_nk1(person)]),
        _pv1(visit, at, discharged=trigger == "A03"),
        *([_in1(person)] if trigger in ("A01", "A04", "A08") else []),
    ]
    return _letter(control, f"ADT^{trigger}", lines, charset)


def orm(
    person: Person,
    visit: Visit,
    number: str,
    panel: Panel,
    control: str,
    at: datetime,
    charset: Charset = UTF8,
) -> Letter:
    """A laboratory order (ORM^O01)."""
    asked = {
        4: f"{panel.loinc}^{panel.name}^LN",
        5: "R",
        7: stamp(at),
        11: "O",
        15: "BLD^静脉血^HL70487",
        27: "1^^^^^R",
    }
    return order(person, visit, number, control, at, asked, charset)


def order(
    person: Person,
    visit: Visit,
    number: str,
    control: str,
    at: datetime,
    asked: Mapping[int, str],
    charset: Charset = UTF8,
) -> Letter:
    """ORM^O01; `asked`: the fields of OBR that say what for."""
    doctor = f"{visit.doctor.number}^{visit.doctor.name}"
    common = {1: "NW", 2: f"{number}^HIS", 4: f"G{number}^HIS", 5: "SC", 9: stamp(at), 12: doctor}
    lines = [
        header("ORM^O01^ORM_O01", control, at, "HIS", charset),
        _pid(person, charset),
        _pv1(visit, at),
        segment("ORC", common),
        segment("OBR", {1: "1", 2: f"{number}^HIS", 16: doctor, **asked}),
    ]
    return _letter(control, "ORM^O01", lines, charset)


def oru(
    order: Mapping[str, str],
    panel: Panel,
    results: Sequence[Result],
    control: str,
    at: datetime,
    charset: Charset = UTF8,
) -> Letter:
    """Results (ORU^R01) to an order, whose PID, PV1 and OBR are said back as they came: about 3 KB."""
    asked = order["OBR"].split("|")
    number, doctor = asked[2], asked[16]
    report = {1: "1", 2: number, 3: f"L{number.split('^')[0]}^LIS", 4: asked[4], 7: asked[7]}
    lines = [
        header("ORU^R01^ORU_R01", control, at, "LIS", charset),
        order["PID"],
        order["PV1"],
        segment("ORC", {1: "RE", 2: number, 3: report[3], 5: "CM", 12: doctor}),
        segment("OBR", {**report, 14: stamp(at), 16: doctor, 22: stamp(at), 24: "LAB", 25: "F"}),
        *(_obx(n, result, at) for n, result in enumerate(results, 1)),
    ]
    if any(result.flag != "N" for result in results):
        lines.append(segment("NTE", {1: "1", 2: "L", 3: escape("结果超出参考范围 & 建议复查 (H|L|A)")}))
    return _letter(control, "ORU^R01", lines, charset)


def answer(text: str, code: str, about: str = "") -> str:
    """The acknowledgement of a message; `about` overrides the control id that it speaks of."""
    sent = text.split("\r", 1)[0].split("|")
    head = ["MSH", r"^~\&", *sent[4:6], *sent[2:4], sent[6], "", "ACK", f"K{sent[9]}", *sent[10:]]
    return "\r".join(["|".join(head), f"MSA|{code}|{about or sent[9]}", ""])


def segments(text: str) -> dict[str, str]:
    """The first segment of each name: as much reading as the parties need."""
    found: dict[str, str] = {}
    for line in text.split("\r"):
        found.setdefault(line[:3], line)
    return found


def read(body: bytes) -> tuple[str, Charset]:
    """A message's text by what its MSH-18 says."""
    charset = GB18030 if b"GB 18030" in body.split(b"\r", 1)[0] else UTF8
    return body.decode(charset.codec), charset


def front_visit(person: Person, visit: Visit, number: str, at: datetime) -> str:
    """A registration as front ends of HIS write it: the Request of `Call(tradeCode, xml)`."""
    said = {
        "TradeCode": "2101",
        "HospitalID": "02",
        "HISDate": f"{at:%Y%m%d%H%M%S}",
        "HISTradeNo": number,
        "PatientID": person.number,
        "PatientName": person.name,
        "Sex": {"M": "男", "F": "女"}[person.sex],
        "BirthDay": f"{person.born:%Y%m%d}",
        "VisitNo": visit.number,
    }
    inside = "".join(f"<{name}>{html.escape(value, quote=False)}</{name}>" for name, value in said.items())
    return f'<?xml version="1.0" encoding="gb2312"?><Request>{inside}</Request>'


def price_list(number: str, chance: Random, at: datetime) -> str:
    """A price list as the pharmacy drops it into a folder (JSON)."""
    drugs = ("阿莫西林胶囊", "布洛芬缓释胶囊", "氯化钠注射液", "葡萄糖注射液", "盐酸二甲双胍片")
    prices = [f"{chance.randrange(1, 99)}.{chance.randrange(100):02d}" for _ in drugs]
    items = [
        {"code": f"XY{n:05d}", "name": name, "unit": "盒", "price": price}
        for n, (name, price) in enumerate(zip(drugs, prices, strict=True), 1)
    ]
    made = {"list": number, "valid_from": f"{at:%Y-%m-%d}", "items": items}
    return json.dumps(made, ensure_ascii=False)


def header(kind: str, control: str, at: datetime, sender: str, charset: Charset) -> str:
    receiver = "LIS" if sender == "HIS" else "HIS"
    fields = [sender, "示例医院", receiver, "示例医院", stamp(at), "", kind, control, "P", "2.5"]
    return "|".join(["MSH", r"^~\&", *fields, "", "", "", "", "CHN", charset.msh18])


def _letter(control: str, kind: str, lines: Sequence[str], charset: Charset) -> Letter:
    return Letter(control, kind, "\r".join(lines) + "\r", charset)


def _pid(person: Person, charset: Charset) -> str:
    """The old program, which writes GB18030, puts the whole name into the first component."""
    name = (person.name, "") if charset is GB18030 else (person.surname, person.given)
    numbers = (
        f"{person.number}^^^HOSP^PI",
        f"{person.identity}^^^ID^NNCHN",
        f"{person.insurance}^^^YB^HC",
    )
    fields = {
        1: "1",
        3: "~".join(numbers),
        5: f"{escape(name[0])}^{escape(name[1])}^^^^^L",
        7: f"{person.born:%Y%m%d}",
        8: person.sex,
        11: _address(person.address),
        13: f"{person.phone}^PRN^CP",
        16: "U",
        22: "HA^汉族",
    }
    return segment("PID", fields)


def _nk1(person: Person) -> str:
    kin = person.kin
    fields = {
        1: "1",
        2: escape(kin.name),
        3: f"{kin.code}^{kin.relation}^HL70063",
        4: _address(person.address),
        5: f"{kin.phone}^PRN^CP",
        7: "C^紧急联系人^HL70131",
    }
    return segment("NK1", fields)


def _pv1(visit: Visit, at: datetime, discharged: bool = False) -> str:
    code, name = visit.ward
    fields = {
        1: "1",
        2: visit.kind,
        3: f"{code}^{visit.room}^{visit.bed}^HOSP^^^^^{name}",
        4: "E" if visit.kind == "E" else "R",
        7: f"{visit.doctor.number}^{visit.doctor.name}",
        10: "MED",
        19: f"{visit.number}^^^HOSP^VN",
        44: stamp(at - timedelta(days=3) if discharged else at),
    }
    return segment("PV1", {**fields, **({36: "01", 45: stamp(at)} if discharged else {})})


def _in1(person: Person) -> str:
    code, name = person.fund
    fields = {
        1: "1",
        2: f"{code}^{name}^99YB",
        3: "999900^^^YB",
        4: "示例市医疗保障局",
        12: "20260101",
        13: "20261231",
        15: code,
        16: f"{escape(person.surname)}^{escape(person.given)}",
        17: "SEL^本人^HL70063",
        18: f"{person.born:%Y%m%d}",
        36: person.insurance,
    }
    return segment("IN1", fields)


def _obx(number: int, result: Result, at: datetime) -> str:
    item = result.item
    code = f"{item.loinc}^{item.name}^LN^{item.short}^{item.name}^99LAB"
    normal = f"{item.low}-{item.high}" if item.unit else "阴性"
    unit = f"{item.unit}^{item.unit}^UCUM" if item.unit else ""
    fields = {1: str(number), 2: result.kind, 3: code, 5: result.value, 6: unit, 7: normal, 8: result.flag}
    return segment("OBX", {**fields, 11: "F", 14: stamp(at), 16: "D0001^检验员"})


def _address(text: str) -> str:
    return f"{escape(text)}^^示例市^示例省^999999^CHN^H"
