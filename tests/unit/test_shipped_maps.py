"""Every map that the product ships compiles without a complaint and does what its own tests say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle

from config import registry
from schemas.fhir import validate
from schemas.message import Message
from schemas.validation.hl7 import Hl7Validator
from tests.bundles import references
from transforms.library import SHIPPED_MAPS, Library
from transforms.proving import prove

ROOT = Path(__file__).parents[2]
LIBRARY = Library([SHIPPED_MAPS], [ROOT / "schemas" / "tables"])
PAIRS = ROOT.parent / "shared" / "corpus" / "pairs" / "ms-hl7v2-fhir"
HL7 = registry.formats.get("hl7v2")
FHIR = registry.formats.get("fhir")


def compiled(name: str) -> Any:
    problems: list[Any] = []
    found = LIBRARY.map(name, problems)
    assert found is not None, LIBRARY.findings or problems
    return found


def own_tests(name: str) -> list[Any]:
    document = LIBRARY.document(name)
    assert document is not None
    return list(document.data.get("tests", []))


@pytest.mark.parametrize("name", LIBRARY.map_names())
def test_a_shipped_map_compiles_without_findings(name: str) -> None:
    compiled(name)
    assert LIBRARY.findings == []


@pytest.mark.parametrize("name", LIBRARY.map_names())
def test_a_shipped_map_passes_its_own_tests(name: str) -> None:
    assert own_tests(name), "a shipped map has tests"
    assert [str(failure) for failure in prove(compiled(name), own_tests(name))] == []


def bundles(name: str) -> list[Any]:
    """What a map makes of the messages of its own tests."""
    made = compiled(name)
    given = [test["given"] for test in own_tests(name) if "error" not in test["expect"]]
    return [json.loads(made.run(made.source.decode(text.encode()))) for text in given]


TO_FHIR = [name for name in LIBRARY.map_names() if name.endswith("-to-fhir") or "-to-fhir-" in name]


@pytest.mark.parametrize("name", TO_FHIR)
def test_a_bundle_is_valid_for_the_schema_and_for_the_models(name: str) -> None:
    made = bundles(name)
    assert made
    for bundle in made:
        assert validate(bundle) == []
        Bundle.model_validate(bundle)


@pytest.mark.parametrize("name", TO_FHIR)
def test_every_reference_in_a_bundle_leads_to_an_entry_of_it(name: str) -> None:
    for bundle in bundles(name):
        urls = [entry["fullUrl"] for entry in bundle["entry"]]
        assert len(set(urls)) == len(urls)
        assert set(references(bundle)) <= set(urls)


TO_V2 = ["encounter-to-adt", "request-to-oml", "report-to-oru"]


@pytest.mark.parametrize("name", TO_V2)
def test_a_message_made_of_fhir_is_valid(name: str) -> None:
    made = compiled(name)
    given = [test["given"] for test in own_tests(name) if "error" not in test["expect"]]
    assert given
    for bundle in given:
        body = made.run(FHIR.decode(json.dumps(bundle).encode()), Message(b"", id="0" * 32))
        assert [str(fault) for fault in Hl7Validator("2.5")(HL7.decode(body))] == []


def test_all_that_is_said_of_a_patient_refers_to_the_patient() -> None:
    for bundle in bundles("adt-to-fhir"):
        clinical = [entry["resource"] for entry in bundle["entry"][1:]]
        assert all(bundle["entry"][0]["fullUrl"] in references(resource) for resource in clinical)


def test_the_same_message_twice_makes_the_same_bundle() -> None:
    text = own_tests("adt-to-fhir")[0]["given"].encode()
    made = compiled("adt-to-fhir")
    assert made.run(HL7.decode(text)) == made.run(HL7.decode(text))


@pytest.mark.parametrize("name", ["merge-to-fhir", "v3-merge-to-fhir"])
def test_a_record_may_keep_a_patient_who_is_replaced_as_it_is(tmp_path: Path, name: str) -> None:
    text = LIBRARY.map_file(name).read_text("utf-8")
    assert "replaced: told " in text
    (tmp_path / f"{name}.yaml").write_text(text.replace("replaced: told ", "replaced: mentioned "))
    problems: list[Any] = []
    own = Library([tmp_path, SHIPPED_MAPS], [ROOT / "schemas" / "tables"]).map(name, problems)
    assert own is not None, problems
    given = own.source.decode(own_tests(name)[0]["given"].encode())
    told, mentioned = (json.loads(made.run(given))["entry"][1] for made in (compiled(name), own))
    assert told["resource"] == mentioned["resource"]
    assert told["resource"]["active"] is False
    assert told["request"] == {"method": "PUT", "url": "Patient?identifier=urn:id:HIS|P0002"}
    key = "identifier=urn:id:HIS|P0002"
    assert mentioned["request"] == {"method": "POST", "url": "Patient", "ifNoneExist": key}


# What another converter makes of the same messages: expected bundles in the corpus beside the repository.

KEY_PATHS = {
    "Patient": (
        "identifier[].value name[].family name[].given[] name[].prefix[] gender birthDate deceasedDateTime "
        "address[].line[] address[].city address[].state address[].postalCode address[].country "
        "telecom[].value maritalStatus.coding[].code multipleBirthInteger"
    ),
    "Encounter": (
        "identifier[].value class.code type[].coding[].code serviceType.coding[].code period.start period.end "
        "participant[].type[].coding[].code hospitalization.admitSource.coding[].code "
        "hospitalization.preAdmissionIdentifier.value "
        "hospitalization.reAdmission.coding[].code "
        "hospitalization.dischargeDisposition.coding[].code "
        "hospitalization.dietPreference[].coding[].code"
    ),
    "Coverage": (
        "status period.start period.end class[].value class[].name type.coding[].code subscriberId "
        "relationship.coding[].code network"
    ),
    "RelatedPerson": (
        "name[].family name[].given[] telecom[].value address[].line[] address[].city gender birthDate "
        "relationship[].coding[].code period.start period.end"
    ),
}
PAIR_NAMES = ("ADT-A01-01", "ADT-A03-01", "ADT-A04-01", "ADT-A08-01", "ADT01-28", "ADT04-23")


def key_values(bundle: Any) -> set[tuple[str, str, str]]:
    """(resource type, path, value) of what both converters could agree on; times are compared by their day."""
    json_format = registry.formats.get("json")
    found = set()
    for resource in (entry["resource"] for entry in bundle["entry"]):
        for path in KEY_PATHS.get(resource["resourceType"], "").split():
            value = json_format.path("." + path).one(resource)
            for item in value if isinstance(value, list) else [value]:
                if item is not None:
                    text = str(item)[:10] if "period" in path or "Date" in path else str(item)
                    found.add((resource["resourceType"], path, text))
    return found


@pytest.mark.skipif(not PAIRS.is_dir(), reason="the corpus is not beside the repository")
def test_most_key_values_that_another_converter_makes_are_made_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = compiled("adt-to-fhir")
    agreed = wanted = 0
    for name in PAIR_NAMES:
        bundle = json.loads(made.run(HL7.decode((PAIRS / f"{name}.hl7").read_bytes())))
        assert validate(bundle) == []
        expected = key_values(json.loads((PAIRS / f"{name}.expected.fhir.json").read_text("utf-8-sig")))
        ours = key_values(bundle)
        agreed, wanted = agreed + len(expected & ours), wanted + len(expected)
        with capsys.disabled():
            print(f"\n  {name}: {len(expected & ours)} of {len(expected)} key values", end="")
    # The rest is mostly of segments that this map does not read (GT1, IN2, DB1) and of insured persons.
    assert agreed / wanted > 0.75
