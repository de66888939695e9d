"""HL7 v2 by a version's tables: what a right message may have, and the exact place of what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import BadMessage
from schemas.hl7v2 import decode
from schemas.validation.base import BadKind, Fault, Validation, told
from schemas.validation.hl7 import Hl7Validator
from schemas.validation.kinds import kind_of

pytest.importorskip("hl7apy")

MSH = "MSH|^~\\&|HIS|WARD|LIS|LAB|20260105080000||ADT^A01^ADT_A01|1|P|2.5"
EVN = "EVN|A01|20260105080000"
PID = "PID|1||P1^^^HIS^PI||Ceshi^Jia||19800101|F"
PV1 = "PV1|1|I|W3^12^1"
ORU = MSH.replace("ADT^A01^ADT_A01", "ORU^R01^ORU_R01")
OBR = "OBR|1||F1|GLU^Glucose^L"
OBX = "OBX|1|NM|GLU^Glucose^L||6.1|mmol/L|3.9-6.1|N|||F"


def faults(*lines: str, version: str = "2.5") -> list[Fault]:
    return Hl7Validator(version)(decode("\r".join(lines).encode()))


def places(*lines: str, version: str = "2.5") -> list[tuple[str, str]]:
    return [(fault.path, fault.code) for fault in faults(*lines, version=version)]


@pytest.mark.parametrize(
    "lines",
    [
        (MSH, EVN, PID, PV1),
        (MSH.replace("ADT^A01^ADT_A01", "ADT^A08^ADT_A01"), EVN, PID, PV1, "ZHI|anything^at&all~x"),
        (MSH, EVN, PID, PV1, "AL1|1||P", "DG1|1||J18^x^I10|||W", "DG1|2||J19|||W"),
        (MSH, EVN, PID, PV1, "IN1|1|X|C", "IN2||1", "IN1|2|Y|C"),
        (ORU, PID, OBR, OBX, "NTE|1||ok", OBX, OBR, OBX),
        (ORU, PID, "NTE|1", PV1, "ORC|RE", OBR, "NTE|1", OBX.replace("NM|", "ST|"), "OBX|2|CE|X^Y||A^B^L||||||F"),
        (MSH, EVN, PID.replace("|F", '|""').replace("19800101", '""'), PV1),
        (MSH, EVN, PID.replace("Ceshi", "A&B&C~Other"), PV1),
    ],
)  # fmt: skip
def test_a_right_message_has_no_faults(lines: tuple[str, ...]) -> None:
    assert faults(*lines) == []


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        # what is missing
        ((MSH, EVN, PID), [("PV1", "JL-V001")]),
        ((MSH, PID, PV1), [("EVN", "JL-V001")]),
        ((ORU, PID, OBX), [("OBR", "JL-V001")]),
        ((ORU, PID), [("OBR", "JL-V001")]),
        ((MSH, EVN, "PID|1||P1^^^HIS^PI||||19800101|F", PV1), [("PID-5", "JL-V001")]),
        ((MSH, EVN, PID, "PV1|1"), [("PV1-2", "JL-V001")]),
        ((ORU, PID, OBR, OBX, OBX.replace("|||F", "")), [("OBX[2]-11", "JL-V001")]),
        ((MSH.replace("|1|P|2.5", "|1|P"), EVN, PID, PV1), [("MSH-12", "JL-V001")]),
        # too many
        ((MSH, EVN, EVN, PID, PV1), [("EVN[2]", "JL-V002")]),
        ((MSH, EVN, PID.replace("|F", "|F~M"), PV1), [("PID-8[2]", "JL-V002")]),
        ((MSH, EVN, PID, PV1.replace("|I|", "|I~O|")), [("PV1-2[2]", "JL-V002")]),
        # not known
        ((MSH, EVN, PID, PV1, "OBR|1||F1|GLU"), [("OBR", "JL-V003")]),
        ((MSH, EVN, PID, PV1, "QQQ|1"), [("QQQ", "JL-V003")]),
        ((MSH, EVN, PID + "|" * 32 + "late", PV1), [("PID-40", "JL-V003")]),
        ((MSH, EVN, PID.replace("HIS^PI", "HIS^PI^^^^^^^^^x"), PV1), [("PID-3.14", "JL-V003")]),
        ((MSH, EVN, PID.replace("|F", "|F^female"), PV1), [("PID-8.2", "JL-V005")]),
        # at the wrong place
        ((MSH, EVN, PV1, PID), [("PID", "JL-V004")]),
        ((MSH, PID, EVN, PV1), [("EVN", "JL-V004")]),
        # of another type
        ((MSH, EVN, PID.replace("19800101", "1980-01-01"), PV1), [("PID-7.1", "JL-V005")]),
        ((MSH, EVN, PID.replace("19800101", "19800231"), PV1), [("PID-7.1", "JL-V005")]),
        ((MSH, EVN, PID.replace("19800101", "20260105256000"), PV1), [("PID-7.1", "JL-V005")]),
        ((MSH, EVN, PID.replace("PID|1", "PID|one"), PV1), [("PID-1", "JL-V005")]),
        ((ORU, PID, OBR, OBX.replace("6.1|mmol", "high|mmol")), [("OBX-5", "JL-V005")]),
        ((ORU, PID, OBR, OBX, OBX.replace("NM|", "DT|")), [("OBX[2]-5", "JL-V005")]),
        # not a code
        ((MSH.replace("|P|2.5", "|X|2.5"), EVN, PID, PV1), [("MSH-11.1", "JL-V006")]),
        ((MSH, EVN, PID.replace("HIS^PI", "HIS^PI~Q^^^HIS^NOPE"), PV1), [("PID-3[2].5", "JL-V006")]),
        ((ORU, PID, OBR, OBX.replace("|NM|", "|NX|")), [("OBX-2", "JL-V006")]),
        # a kind that the version does not have
        (
            (MSH.replace("A01^ADT_A01", "A99^"), EVN, PID, PV1),
            [("MSH-9.2", "JL-V006")],
        ),
        ((MSH.replace("A01^ADT_A01", "A04^ADT_A04"), EVN, PID, PV1), [("MSH-9.3", "JL-V006")]),
    ],
)
def test_a_fault_is_named_with_its_place(lines: tuple[str, ...], expected: list[tuple[str, str]]) -> None:
    assert places(*lines) == expected


def test_the_version_is_that_of_the_message_where_nobody_names_one() -> None:
    long = PID + "|" * 32 + "later"  # PID-40 came with 2.7
    assert places(MSH, EVN, long, PV1, version="") == [("PID-40", "JL-V003")]
    newer = (MSH.replace("|2.5", "|2.7"), EVN, long, PV1)
    assert "PID-40" not in dict(places(*newer, version=""))
    assert places(MSH.replace("|2.5", "|3.0"), version="") == [("MSH-12", "JL-V010")]


def test_a_kind_that_a_version_without_tables_does_not_have() -> None:
    old = MSH.replace("A01^ADT_A01", "A99").replace("|2.5", "|2.3")
    assert ("MSH-9", "JL-V010") in places(old, EVN, PID, PV1, version="2.3")


def test_every_version_has_structures_for_an_admission_and_a_result() -> None:
    for version in (
        "2.1",
        "2.2",
        "2.3",
        "2.3.1",
        "2.4",
        "2.5",
        "2.5.1",
        "2.6",
        "2.7",
        "2.8",
        "2.8.1",
        "2.8.2",
    ):
        found = [*places(MSH, EVN, PID, PV1, version=version), *places(ORU, PID, OBR, OBX, version=version)]
        assert not {"JL-V010", "JL-V004"} & {code for _, code in found}, (version, found)


def test_faults_quote_no_values_and_are_not_without_end() -> None:
    wrong = "OBX|1|NM|GLU^Glucose^L||SECRET|||||F"
    found = faults(ORU, PID, OBR, *[wrong] * 300)
    assert len(found) == 100
    assert "SECRET" not in str(found)
    assert told(found).endswith("and at least 95 more")
    assert len(faults(ORU, PID, OBR, "OBX|1|NM|G^G||" + "~".join(["x"] * 5000) + "|||||F")) == 100


def test_a_channel_may_say_what_is_no_fault_here() -> None:
    tree = decode("\r".join([MSH.replace("|P|", "|X|"), EVN, PID.replace("|F", "|F~M"), PV1]).encode())
    kind = kind_of("hl7v2/2.5", Path())

    def noted(*besides: str) -> list[str]:
        return [fault.path for fault in Validation(kind, False, frozenset(besides))(tree)]

    assert noted() == ["MSH-11.1", "PID-8[2]"]
    assert noted("JL-V006") == noted("MSH-11") == noted("MSH") == ["PID-8[2]"]
    assert noted("PID-8", "JL-V006") == []
    assert noted("PID-80", "MSH-1") == ["MSH-11.1", "PID-8[2]"]
    with pytest.raises(BadMessage, match=r"JL-V006: MSH-11\.1: .*; PID-8\[2\]: ") as refused:
        Validation(kind, True)(tree)
    assert refused.value.path == "MSH-11.1"


@pytest.mark.parametrize(
    ("name", "code", "hint"),
    [
        ("hl7v2/2.55", "JL-C070", "hl7v2/2.5"),
        ("hl7", "JL-C070", "hl7v2"),
        ("fhir/r44", "JL-C070", "fhir/r4"),
        ("no.json", "JL-C072", "put it into"),
        ("../../etc/x.xsd", "JL-C072", ""),
    ],
)
def test_what_nothing_is_validated_by_is_said(tmp_path: Path, name: str, code: str, hint: str) -> None:
    with pytest.raises(BadKind) as said:
        kind_of(name, tmp_path)
    assert (said.value.code, hint in said.value.hint) == (code, True)
