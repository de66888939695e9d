"""FHIR R4: what the schema misses, and the models."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.validation.fhir import models, r4

URN = "urn:uuid:00000000-0000-4000-8000-00000000000{}"
PATIENT: dict[str, Any] = {"resourceType": "Patient", "gender": "male", "birthDate": "1980-01-01"}
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"


SIGNED = {"identifier": {"value": "1"}, "timestamp": "2026-01-01T08:00:00Z"}


def observation(**changes: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}} | changes


def condition(**changes: Any) -> dict[str, Any]:
    return {"resourceType": "Condition", "subject": {"reference": "Patient/1"}} | changes


def coded(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": TERMINOLOGY + system, "code": code}]}


def entry(number: int, resource: dict[str, Any]) -> dict[str, Any]:
    return {"fullUrl": URN.format(number), "resource": resource}


def bundle(*entries: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "collection", "entry": list(entries)} | changes


def test_right_resources_have_no_faults() -> None:
    refers = observation(subject={"reference": URN.format(1)}, performer=[{"reference": "Practitioner/9"}])
    within = condition(
        contained=[PATIENT | {"id": "p"}],
        subject={"reference": "#p"},
        onsetPeriod={"start": "2026-01", "end": "2026-01-31"},
        clinicalStatus=coded("condition-clinical", "active"),
        recordedDate="2024-02-29",
    )
    for right in (PATIENT, bundle(entry(1, PATIENT), entry(2, refers), entry(3, within))):
        assert r4(right) == []
        assert models(right) == []


@pytest.mark.parametrize(
    ("resource", "path", "code"),
    [
        (PATIENT | {"birthDate": "2023-02-29"}, "/birthDate", "JL-V005"),
        (PATIENT | {"birthDate": "2023-04-31"}, "/birthDate", "JL-V005"),
        (observation(effectiveDateTime="1900-02-29T08:00:00Z"), "/effectiveDateTime", "JL-V005"),
        (observation(subject={"reference": "#gone"}), "/subject/reference", "JL-V008"),
        (
            bundle(entry(1, PATIENT), entry(2, observation(subject={"reference": URN.format(9)}))),
            "/entry/1/resource/subject/reference",
            "JL-V008",
        ),
        (bundle(entry(1, PATIENT), entry(1, PATIENT)), "/entry/1/fullUrl", "JL-V009"),
        (bundle({"fullUrl": "Patient/1", "resource": PATIENT}), "/entry/0/fullUrl", "JL-V009"),
        (
            bundle({"fullUrl": "http://x/fhir/Patient/1/_history/2", "resource": PATIENT}),
            "/entry/0/fullUrl",
            "JL-V009",
        ),
        (
            bundle({"fullUrl": "http://x/fhir/Patient/1", "resource": PATIENT | {"id": "2"}}),
            "/entry/0/fullUrl",
            "JL-V009",
        ),
        (bundle(entry(1, PATIENT), type="document", **SIGNED), "/entry/0/resource", "JL-V009"),
        (bundle(entry(1, PATIENT), type="message"), "/entry/0/resource", "JL-V009"),
        (bundle(entry(1, PATIENT), total=1), "/total", "JL-V009"),
        (bundle({"fullUrl": URN.format(1)}), "/entry/0", "JL-V001"),
        (
            observation(effectivePeriod={"start": "2026-02", "end": "2026-01-31"}),
            "/effectivePeriod",
            "JL-V009",
        ),
        (
            observation(
                effectivePeriod={"start": "2026-01-01T08:00:00+08:00", "end": "2026-01-01T00:00:00+01:00"}
            ),
            "/effectivePeriod",
            "JL-V009",
        ),
        (observation(valueString="x", dataAbsentReason={"text": "x"}), "/dataAbsentReason", "JL-V009"),
        (PATIENT | {"contact": [{"gender": "male"}]}, "/contact/0", "JL-V001"),
        (PATIENT | {"extension": [{"url": "http://x"}]}, "/extension/0", "JL-V009"),
        (
            condition(clinicalStatus=coded("condition-clinical", "SECRET")),
            "/clinicalStatus/coding/0/code",
            "JL-V006",
        ),
        (
            bundle(entry(1, condition(verificationStatus=coded("condition-ver-status", "sure")))),
            "/entry/0/resource/verificationStatus/coding/0/code",
            "JL-V006",
        ),
        (
            {"resourceType": "ChargeItem", "status": "billed", "code": {"text": "x"}}
            | {"subject": {"reference": "Patient/1"}, "priceOverride": {"value": 1, "currency": "yuan"}},
            "/priceOverride/currency",
            "JL-V006",
        ),
        (PATIENT | {"gender": "SECRET"}, "/gender", "JL-V006"),
        ({"resourceType": "Patiant"}, "/resourceType", "JL-V010"),
    ],
)
def test_a_fault_is_named_by_pointer(resource: dict[str, Any], path: str, code: str) -> None:
    found = r4(resource)
    assert [(fault.path, fault.code) for fault in found] == [(path, code)], found
    assert "SECRET" not in str(found)


def test_several_faults_stand_each_at_its_own_place_in_the_order_of_the_message() -> None:
    bare = {"url": "http://x"}
    name = [{"family": "A"}, {"family": "B", "extension": [bare | {"valueString": "x"}, bare]}]
    period = {"start": "2026-02-01", "end": "2026-01-01"}
    patient = PATIENT | {"name": name, "identifier": [{"value": "1", "period": period}], "extension": [bare]}
    assert [fault.path for fault in r4(bundle(entry(1, PATIENT), entry(2, patient)))] == [
        "/entry/1/resource/extension/0",
        "/entry/1/resource/name/1/extension/1",
        "/entry/1/resource/identifier/0/period",
    ]


@pytest.mark.parametrize(
    ("resource", "path", "code"),
    [
        (PATIENT | {"gender": 7}, "/gender", "JL-V005"),
        (PATIENT | {"colour": "SECRET"}, "/colour", "JL-V003"),
        ({"resourceType": "Patiant"}, "/resourceType", "JL-V010"),
        ([], "/resourceType", "JL-V010"),
    ],
)
def test_what_the_models_refuse_is_named_too(resource: Any, path: str, code: str) -> None:
    found = models(resource)
    assert (path, code) in [(fault.path, fault.code) for fault in found]
    assert "SECRET" not in str(found)


def test_any_shape_has_faults_and_never_an_error() -> None:
    shapes: list[Any] = [
        None,
        {"resourceType": "Bundle", "type": "document", "entry": [None, 1, {"resource": []}]},
        {"resourceType": "Condition", "clinicalStatus": {"coding": [None, "x"]}, "contained": [1]},
        {"resourceType": "Patient", "contact": 3, "extension": ["x"], "start": 1, "end": "x"},
        {"resourceType": "Observation", "effectivePeriod": {"start": "xTx", "end": "T"}},
    ]
    for shape in shapes:
        assert r4(shape)
