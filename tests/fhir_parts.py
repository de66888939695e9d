"""What the tests of FHIR share: invented resources, and what is valid R4."""

from __future__ import annotations

import json
from typing import Any

from schemas.fhir import validate

JSON = {"content-type": "application/fhir+json"}
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "identifier": [{"system": "urn:oid:1.2.3", "value": "P0001"}],
    "name": [{"text": "测试甲"}],
}
KEPT = json.dumps({**PATIENT, "id": "9"}).encode()


def bundle(kind: str, *requests: dict[str, str], resource: dict[str, Any] = PATIENT) -> dict[str, Any]:
    """A bundle of these requests, each with a resource where it writes one."""
    entries = [
        {"request": one} | ({"resource": resource} if one["method"] in ("POST", "PUT") else {})
        for one in requests
    ]
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


CREATE = {"method": "POST", "url": "Patient"}
UPDATE = {"method": "PUT", "url": "Patient?identifier=P0001"}


def valid(resource: dict[str, Any]) -> dict[str, Any]:
    """The resource, which the models of fhir.resources and the schema of R4 have nothing to say against."""
    from fhir.resources.R4B import get_fhir_model_class

    get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    assert validate(resource) == []
    return resource


def issues(resource: dict[str, Any]) -> list[tuple[str, str]]:
    """Severity and code of each issue of a valid OperationOutcome."""
    assert valid(resource)["resourceType"] == "OperationOutcome"
    return [(one["severity"], one["code"]) for one in resource["issue"]]
