"""FHIR R4: resources as JSON, and what is wrong with them."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from config import registry
from config.errors import BadMessage
from schemas.fhir import Fhir, validate

FHIR = Fhir()
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "identifier": [{"system": "urn:oid:1.2.3", "value": "P1"}],
    "name": [{"family": "欧阳", "given": ["三", None], "_given": [None, {"id": "x"}]}],
    "gender": "male",
    "birthDate": "1980-01",
    "deceasedBoolean": False,
    "link": [{"other": {"reference": "Patient/2"}, "type": "seealso"}],
}
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "corrected",
    "code": {"text": "WBC"},
    "effectiveDateTime": "2026-01-05T08:00:00+08:00",
    "valueQuantity": {"value": 6.1, "unit": "10*9/L"},
}


def bundle(*resources: dict[str, Any]) -> dict[str, Any]:
    request = {"method": "POST", "url": "x"}
    entries = [{"resource": resource, "request": request} for resource in resources]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


BUNDLE = bundle(PATIENT, OBSERVATION)


def changed(resource: dict[str, Any], **values: Any) -> dict[str, Any]:
    """A copy with other values; `...` takes an element away."""
    made = copy.deepcopy(resource) | values
    return {name: value for name, value in made.items() if value is not ...}


def test_the_registry_gives_the_format_ready_to_use() -> None:
    assert registry.formats.get("fhir").name == "fhir"


def test_a_resource_is_read_asked_and_written_as_json() -> None:
    tree = FHIR.decode(FHIR.encode(BUNDLE))
    assert FHIR.sniff(tree) == "Bundle"
    assert FHIR.path(".entry[0].resource.gender").one(tree) == "male"
    assert FHIR.path(".entry[].resource.resourceType").many(tree) == ["Patient", "Observation"]


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"resourceType":1}', b"1"])
def test_what_is_no_resource_is_refused(body: bytes) -> None:
    with pytest.raises(BadMessage, match="JL-M040"):
        FHIR.decode(body)


@pytest.mark.parametrize("resource", [PATIENT, OBSERVATION, BUNDLE], ids=["Patient", "Observation", "Bundle"])
def test_a_right_resource_has_no_faults(resource: dict[str, Any]) -> None:
    assert FHIR.validate(resource) == []


@pytest.mark.parametrize(
    ("resource", "path", "word"),
    [
        (changed(PATIENT, gender="M"), "/gender", "male"),
        (changed(PATIENT, active="true"), "/active", "boolean"),
        (changed(PATIENT, multipleBirthInteger="2"), "/multipleBirthInteger", "integer"),
        (changed(PATIENT, colour="red"), "", "colour"),
        (changed(PATIENT, name={"family": "Li"}), "/name", "array"),
        (changed(PATIENT, managingOrganization=[{"reference": "x"}]), "/managingOrganization", "object"),
        (changed(PATIENT, birthDate="19800101"), "/birthDate", "Date"),
        (changed(PATIENT, birthDate=""), "/birthDate", "empty"),
        (changed(PATIENT, name=[]), "/name", "empty"),
        (changed(PATIENT, name=[{}]), "/name/0", "empty"),
        (changed(PATIENT, deceasedDateTime="2026"), "", "deceased[x]"),
        (changed(PATIENT, link=[{"type": "seealso"}]), "/link/0/other", "missing"),
        (changed(PATIENT, id="a b"), "/id", "Id"),
        (changed(PATIENT, contained=[changed(PATIENT, gender="M")]), "/contained/0/gender", "male"),
        (changed(OBSERVATION, status="F"), "/status", "final"),
        (changed(OBSERVATION, status=...), "/status", "is missing"),
        (changed(OBSERVATION, code=...), "/code", "is missing"),
        (changed(OBSERVATION, effectiveDateTime="2026-01-05T08:00:00"), "/effectiveDateTime", "DateTime"),
        (changed(OBSERVATION, valueString="6"), "", "value[x]"),
        (changed(OBSERVATION, valueQuantity={"value": "6.1"}), "/valueQuantity/value", "number"),
        (changed(OBSERVATION, note=[{"authorString": "x"}]), "/note/0/text", "missing"),
        (bundle(changed(PATIENT, gender="M")), "/entry/0/resource/gender", "male"),
        (bundle({"resourceType": "Patiant"}), "/entry/0/resource/resourceType", "type"),
        (changed(BUNDLE, type=...), "/type", "is missing"),
        (changed(BUNDLE, entry=[{"resource": PATIENT}]), "/entry/0/request", "missing"),
        ({"gender": "male"}, "/resourceType", "missing"),
        ({"resourceType": "HumanName", "family": "Li"}, "/resourceType", "no resource type"),
        (
            {
                "resourceType": "Parameters",
                "parameter": [{"name": "a", "part": [{"name": "b", "resource": {}}]}],
            },
            "/parameter/0/part/0/resource/resourceType",
            "missing",
        ),
    ],
)
def test_a_fault_is_named_with_its_place(resource: dict[str, Any], path: str, word: str) -> None:
    faults = validate(resource)
    assert any(at == path and word in text for at, text, _ in faults), faults


def test_what_is_no_resource_at_all_has_one_fault() -> None:
    assert [fault[:2] for fault in validate([])] == [("", "must be a resource")]
    assert validate({"resourceType": {}})[0].path == "/resourceType"


def test_a_fault_never_quotes_the_value() -> None:
    faults = validate(
        changed(PATIENT, gender="SECRET", birthDate="SECRET", name=[{"use": "SECRET"}], active="SECRET")
    )
    assert len(faults) == 4
    assert "SECRET" not in str(faults)


def test_resources_nested_without_end_are_cut_off() -> None:
    tree = PATIENT
    for _ in range(30):
        tree = bundle(tree)
    assert "nested deeper" in validate(tree)[0][1]


def test_what_the_models_refuse_the_schema_refuses_too() -> None:
    from fhir.resources.R4B.observation import Observation
    from fhir.resources.R4B.patient import Patient
    from pydantic import ValidationError

    for model, right, wrong in [
        (Patient, PATIENT, {"colour": "red"}),
        (Patient, PATIENT, {"deceasedDateTime": "2026"}),
        (Patient, PATIENT, {"birthDate": "19800101"}),
        (Observation, OBSERVATION, {"status": None}),
        (Observation, OBSERVATION, {"valueString": "6"}),
    ]:
        model.model_validate(right)
        with pytest.raises(ValidationError):
            model.model_validate(right | wrong)
        assert validate(right) == []
        assert validate(right | wrong) != []
