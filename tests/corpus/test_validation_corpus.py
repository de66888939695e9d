"""What others published as right is not refused; and what hl7apy's own validator takes, ours takes too."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import BadMessage
from schemas.fhir import Fhir
from schemas.hl7v2 import decode
from schemas.validation.base import CODE, PLACE, TYPE, Fault
from schemas.validation.fhir import models, r4, r5
from schemas.validation.hl7 import Hl7Validator

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
pytestmark = [
    pytest.mark.skipif(not CORPUS.exists(), reason="the shared corpus is not beside the repository"),
    pytest.mark.timeout(60),
]
# Published as right, one of a kind: structures, escapes, Z-segments, withdrawn fields, several charsets.
GOOD = (
    *(
        "hl7v2/cosyte/canonical__adt-a01",
        "hl7v2/cosyte/canonical__oru-r01",
        "hl7v2/cosyte/canonical__adt-a08",
    ),
    *("hl7v2/cosyte/canonical__z-segments", "hl7v2/cosyte/vendor-quirks__unknown-escape-sequence"),
)


def own_version(body: bytes) -> list[Fault]:
    return Hl7Validator()(decode(body))


@pytest.mark.parametrize("name", GOOD)
def test_a_good_message_is_valid(name: str) -> None:
    pytest.importorskip("hl7apy")
    assert own_version((CORPUS / f"{name}.hl7").read_bytes()) == []


def test_what_hl7apy_takes_is_taken() -> None:
    """But for what hl7apy does not look at: values, and the order of segments."""
    pytest.importorskip("hl7apy")
    from hl7apy.exceptions import HL7apyException
    from hl7apy.parser import parse_message

    taken = 0
    for file in sorted([*CORPUS.glob("hl7v2/hl7types/*.hl7"), *CORPUS.glob("hl7v2/cosyte/*.hl7")]):
        try:
            ours = own_version(file.read_bytes())
            text = file.read_text(encoding="utf-8").replace("\r\n", "\r").replace("\n", "\r")
            parse_message(text.strip("\r") + "\r").validate()
        except (BadMessage, HL7apyException, UnicodeDecodeError, AttributeError, TypeError):
            continue
        taken += 1
        assert [fault for fault in ours if fault.code not in (TYPE, CODE, PLACE)] == [], file.name
    assert taken >= 20


def test_the_official_resources_are_valid_but_two() -> None:
    """A Questionnaire's items have no linkId, and a Bundle says pat12 where its Patient is pat2."""
    pytest.importorskip("fhir.resources")
    files = sorted([*CORPUS.glob("fhir/r4/*/*.json"), *CORPUS.glob("fhir/synthea-r4/*.json")])
    found = {file.stem: r4(Fhir().decode(file.read_bytes())) for file in files}
    assert len(files) >= 276
    wrong = {stem: {fault.code for fault in faults} for stem, faults in found.items() if faults}
    assert wrong == {
        "Questionnaire-qs1": {"JL-V001"},
        "Bundle-3a0707d3-549e-4467-b8b8-5a2ab3800efe": {"JL-V009"},
    }


def test_the_official_resources_of_r5_are_valid_but_two() -> None:
    """Of two Bundles an entry's fullUrl is not that of its resource."""
    pytest.importorskip("fhir.resources")
    faults = [r5(Fhir().decode(file.read_bytes())) for file in sorted(CORPUS.glob("fhir/r5/Bundle/*.json"))]
    assert len(faults) >= 15
    assert [[fault.code for fault in found] for found in faults if found] == [["JL-V009"], ["JL-V009"]]


def test_the_models_take_the_official_resources_too() -> None:
    pytest.importorskip("fhir.resources")
    for kind in ("Patient", "Observation", "Encounter", "DiagnosticReport", "Bundle"):
        for file in sorted(CORPUS.glob(f"fhir/r4/{kind}/*.json"))[:5]:
            assert models(Fhir().decode(file.read_bytes())) == [], file.name
