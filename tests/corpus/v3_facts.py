"""What a bundle of a patient, or of orders, says that the V3 messages of the platform have a place for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from transforms.functions.addresses import full_address
from transforms.functions.names import full_name

Bundle = dict[str, Any]
Facts = Iterator[tuple[Any, ...]]


def facts(bundle: Bundle, *of: Callable[[Bundle], Facts]) -> set[tuple[str, ...]]:
    """Those that say something, as text without white space around it."""
    found = (fact for part in of for fact in part(bundle) if fact[-1] not in (None, "", [], {}))
    return {tuple(str(part).strip() for part in fact) for fact in found}


def resources(bundle: Bundle, *kinds: str) -> list[Bundle]:
    return [entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] in kinds]


def given(identifier: Bundle) -> bool:
    """Whether somebody gave the number, and it is not only a name of the bundle."""
    return bool(identifier.get("system") != "urn:ietf:rfc3986")


def of_patient(bundle: Bundle) -> Facts:
    patient = resources(bundle, "Patient")[0]
    yield from (("Patient", *fact) for fact in _person(patient))
    for number in patient.get("identifier", []):
        yield "identifier", number.get("system"), number["value"]
    yield from (("marital", code) for code in _codes(patient.get("maritalStatus")))
    for extension in patient.get("extension", []):
        yield from ((extension["url"], code) for code in _codes(extension.get("valueCodeableConcept")))
    yield "managed by", patient.get("managingOrganization", {}).get("display")
    for related in resources(bundle, "RelatedPerson"):
        yield from (("RelatedPerson", *fact) for fact in _person(related))
        yield from (
            ("relation", code) for concept in related.get("relationship", []) for code in _codes(concept)
        )
    for coverage in resources(bundle, "Coverage"):
        yield from (("coverage", code.zfill(2)) for code in _codes(coverage.get("type")))
    for header in resources(bundle, "MessageHeader"):
        yield "to", header.get("destination", [{}])[0].get("name")


def of_orders(bundle: Bundle) -> Facts:
    for request in resources(bundle, "MedicationRequest", "ServiceRequest"):
        yield from _request(bundle, request)
    for visit in resources(bundle, "Encounter"):
        yield from (("visit", said.get("system"), said["value"]) for said in visit.get("identifier", []))
        yield "class", visit["class"]["code"]
    for place in resources(bundle, "Location", "Specimen", "Condition"):
        yield place["resourceType"], place.get("name")
        yield from (
            (place["resourceType"], said["value"]) for said in place.get("identifier", []) if given(said)
        )
        yield from ((place["resourceType"], code) for code in _codes(place.get("type") or place.get("code")))
    for checked in resources(bundle, "Provenance"):
        yield "checked", checked["recorded"]
        yield from _staff(bundle, checked["agent"][0]["who"])


def _person(resource: Bundle) -> Iterator[tuple[str, Any]]:
    yield "name", full_name(resource["name"][:1]) if resource.get("name") else None
    phones = [said["value"] for said in resource.get("telecom", []) if said.get("system") == "phone"]
    yield "phone", phones[0] if phones else None
    yield "gender", resource.get("gender")
    yield "birthDate", resource.get("birthDate")
    for address in resource.get("address", [])[:1]:
        yield "address", full_address(address)
        yield from ((part, address.get(part)) for part in ("city", "district", "state", "postalCode"))
        yield from (("line", line) for line in address.get("line", []))


def _codes(concept: Bundle | None) -> Iterator[str]:
    yield from (coding["code"] for coding in (concept or {}).get("coding", []) if "code" in coding)


def _target(bundle: Bundle, reference: Bundle | None) -> Bundle:
    url = (reference or {}).get("reference")
    found = (entry["resource"] for entry in bundle["entry"] if url and entry.get("fullUrl") == url)
    return next(found, {})


def _staff(bundle: Bundle, reference: Bundle | None) -> Facts:
    role = _target(bundle, reference)
    person = _target(bundle, role.get("practitioner")) or role
    yield "staff", full_name(person.get("name", [])[:1]) or (reference or {}).get("display")
    department = _target(bundle, role.get("organization"))
    yield "department", department.get("name")
    for found in (person, department):
        yield from (("staff", said["value"]) for said in found.get("identifier", []) if given(said))


def _request(bundle: Bundle, request: Bundle) -> Facts:
    own = next((said["value"] for said in request["identifier"] if given(said)), None)
    yield "request", request["resourceType"], own
    yield "requisition", request.get("requisition", {}).get("value")
    for member in (
        "status",
        "priority",
        "authoredOn",
        "occurrenceDateTime",
        "occurrencePeriod",
        "occurrenceTiming",
    ):
        yield own, member, request.get(member)
    for member in ("code", "medicationCodeableConcept", "courseOfTherapyType"):
        yield own, member, (request.get(member) or {}).get("text")
        yield from ((own, member, code) for code in _codes(request.get(member)))
    for member in ("category", "orderDetail", "bodySite", "reasonCode", "note"):
        for concept in request.get(member, []):
            yield own, member, concept.get("text")
            yield from ((own, member, code) for code in _codes(concept))
    for member in ("dosageInstruction", "dispenseRequest", "quantityQuantity", "basedOn"):
        yield from ((own, member, path, value) for path, value in _leaves(request.get(member, {})))
    yield from _staff(bundle, request.get("requester"))
    yield "done by", _target(bundle, (request.get("performer") or [None])[0]).get("name")


def _leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            if key not in ("reference", "system"):
                yield from _leaves(value, f"{path}/{key}")
    else:
        yield path, node
