"""What R4 asks beyond its schema: references inside a bundle, fullUrl, periods, and codes of required bindings.

The rules are invariants of the specification (R4 4.0.1, and R5), named by their keys (`bdl-7`). References to what is
not in the message are a server's business and not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from schemas.r4.check import MAX_NESTED, inside
from schemas.validation.base import CODE, MISSING, REFERENCE, RULE, Fault, listed
from schemas.validation.words import pointer

Node = dict[str, Any]
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
_CLINICAL = {"active", "recurrence", "relapse", "inactive", "remission", "resolved"}
_VERIFICATION = {"unconfirmed", "confirmed", "refuted", "entered-in-error"}

# Required bindings of a CodeableConcept: a schema knows only those of a code.
_BINDINGS: dict[str, dict[str, tuple[str, set[str]]]] = {
    "Condition": {
        "clinicalStatus": ("condition-clinical", _CLINICAL),
        "verificationStatus": ("condition-ver-status", _VERIFICATION | {"provisional", "differential"}),
    },
    "AllergyIntolerance": {
        "clinicalStatus": ("allergyintolerance-clinical", {"active", "inactive", "resolved"}),
        "verificationStatus": (
            "allergyintolerance-verification",
            _VERIFICATION | {"presumed"},
        ),  # which R5 added
    },
}


def rule_faults(resource: Any) -> Iterator[Fault]:
    """The faults of a resource and those inside it."""
    if isinstance(resource, dict):
        yield from _resource(resource, "", frozenset(), 0)


def _resource(resource: Node, at: str, known: frozenset[str], depth: int) -> Iterator[Fault]:
    """`known` are the fullUrls of the bundles around it."""
    kind = str(resource.get("resourceType", ""))
    within = dict(inside(resource, kind))
    if kind == "Bundle":
        entries = [entry for entry in _list(resource, "entry") if isinstance(entry, dict)]
        known |= {url for entry in entries if isinstance(url := entry.get("fullUrl"), str)}
        yield from _bundle(resource, at)
    contained = {f"#{inner.get('id')}" for inner in _list(resource, "contained") if isinstance(inner, dict)}
    refers = {"#"} | contained
    yield from _nodes(resource, at, {id(inner) for inner in within.values()}, refers, known)
    yield from _own(resource, kind, at)
    for place, inner in within.items():
        if isinstance(inner, dict) and depth < MAX_NESTED:
            if place.startswith("/contained/"):
                yield from _contained(inner, at + place, refers, known)
            else:
                yield from _resource(inner, at + place, known, depth + 1)


def _contained(resource: Node, at: str, refers: set[str], known: frozenset[str]) -> Iterator[Fault]:
    """It refers to its neighbours and to what it is contained in."""
    yield from _nodes(resource, at, set(), refers, known)
    yield from _own(resource, str(resource.get("resourceType", "")), at)


_ASKED = frozenset(("reference", "start", "end", "currency", "extension"))  # what `_node` looks at
Place = tuple[str | int, ...]  # of an object in a resource: a pointer is written only for a fault


def _nodes(
    resource: Node, at: str, others: set[int], refers: set[str], known: frozenset[str]
) -> Iterator[Fault]:
    """The faults of the objects of one resource; `others` are the resources inside it, by `id`."""
    asked: list[tuple[Place, Node]] = [((), resource)]
    _gather(resource, (), others, asked)
    for place, node in asked:
        for fault in _node(node, refers, known):
            yield fault._replace(path=at + pointer(place) + fault.path)


def _gather(node: Any, at: Place, others: set[int], asked: list[tuple[Place, Node]]) -> None:
    """The few objects with something to look at. JSON of the engine's is at most 100 levels deep."""
    for step, value in node.items() if node.__class__ is dict else enumerate(node):
        if value.__class__ is str:
            continue
        if value.__class__ is dict and id(value) not in others:
            place = (*at, step)
            if not _ASKED.isdisjoint(value):
                asked.append((place, value))
            _gather(value, place, others, asked)
        elif value.__class__ is list:
            _gather(value, (*at, step), others, asked)


def _node(node: Node, refers: set[str], known: frozenset[str]) -> Iterator[Fault]:
    """Its faults, by pointers from the node on."""
    reference = node.get("reference")
    if isinstance(reference, str):
        if reference.startswith("#") and reference not in refers:
            yield Fault("/reference", "nothing contained has this id (ref-1)", REFERENCE)
        if reference.startswith(("urn:uuid:", "urn:oid:")) and known and reference not in known:
            yield Fault("/reference", "no entry of the bundle has this fullUrl", REFERENCE)
    start, end = node.get("start"), node.get("end")
    if isinstance(start, str) and isinstance(end, str) and _after(start, end):
        yield Fault("", "begins after its end (per-1)", RULE)
    currency = node.get("currency")
    if isinstance(currency, str) and not (len(currency) == 3 and currency.isalpha() and currency.isupper()):
        yield Fault("/currency", "is no currency of ISO 4217", CODE)
    for number, extension in enumerate(_list(node, "extension")):
        if isinstance(extension, dict):
            has_value = any(key.lstrip("_").startswith("value") for key in extension)
            if has_value == ("extension" in extension):
                what = "needs a value or extensions, and not both (ext-1)"
                yield Fault(f"/extension/{number}", what, RULE)


def _after(start: str, end: str) -> bool:
    """Whether a beginning lies after an end, as far as both are precise."""
    if "T" in start and "T" in end:
        try:
            return datetime.fromisoformat(start) > datetime.fromisoformat(end)
        except (ValueError, TypeError):
            return False
    shared = min(len(start.partition("T")[0]), len(end.partition("T")[0]))
    return start[:shared] > end[:shared]


def _own(resource: Node, kind: str, at: str) -> Iterator[Fault]:
    """Rules of some common types."""
    for element, (system, codes) in _BINDINGS.get(kind, {}).items():
        concept = resource.get(element)
        for number, coding in enumerate(_list(concept, "coding")):
            ours = isinstance(coding, dict) and coding.get("system") == _TERMINOLOGY + system
            if ours and coding.get("code") not in codes:
                what = f"must be one of {listed(sorted(codes))}"
                yield Fault(f"{at}/{element}/coding/{number}/code", what, CODE)
    valued = kind == "Observation" and any(key.startswith("value") for key in resource)
    if valued and "dataAbsentReason" in resource:
        yield Fault(f"{at}/dataAbsentReason", "a value is there (obs-6)", RULE)
    if kind == "Patient":
        for number, contact in enumerate(_list(resource, "contact")):
            told = ("name", "telecom", "address", "organization")
            if isinstance(contact, dict) and not any(key in contact for key in told):
                yield Fault(f"{at}/contact/{number}", f"needs one of {listed(told)} (pat-1)", MISSING)


def _bundle(bundle: Node, at: str) -> Iterator[Fault]:
    kind = bundle.get("type")
    entries = [(n, e) for n, e in enumerate(_list(bundle, "entry")) if isinstance(e, dict)]
    seen: set[tuple[str, str]] = set()
    for number, entry in entries:
        place = f"{at}/entry/{number}"
        if kind != "history" and entry.get("fullUrl") and _identity(entry) in seen:
            yield Fault(f"{place}/fullUrl", "stands more than once (bdl-7)", RULE)
        seen.add(_identity(entry))
        yield from _full_url(entry, place)
        if not any(key in entry for key in ("resource", "request", "response")):
            yield Fault(place, "needs a resource, a request or a response (bdl-5)", MISSING)
        if kind != "searchset" and "search" in entry:
            yield Fault(f"{place}/search", "is only for a search's result (bdl-2)", RULE)
    if kind not in ("searchset", "history") and "total" in bundle:
        yield Fault(f"{at}/total", "is only for a search's result or a history (bdl-1)", RULE)
    first = {"document": "Composition", "message": "MessageHeader"}.get(str(kind))
    if first:
        begins = entries[0][1].get("resource") if entries else None
        if not isinstance(begins, dict) or begins.get("resourceType") != first:
            rule = "bdl-11" if kind == "document" else "bdl-12"
            yield Fault(f"{at}/entry/0/resource", f"a {kind} begins with a {first} ({rule})", RULE)
    if kind == "document":
        for element, rule in (("identifier", "bdl-9"), ("timestamp", "bdl-10")):
            if element not in bundle:
                yield Fault(f"{at}/{element}", f"is missing from a document ({rule})", MISSING)


def _identity(entry: Node) -> tuple[str, str]:
    resource = entry.get("resource")
    meta = resource.get("meta") if isinstance(resource, dict) else None
    version = meta.get("versionId") if isinstance(meta, dict) else None
    return str(entry.get("fullUrl")), str(version)


def _full_url(entry: Node, at: str) -> Iterator[Fault]:
    url, resource = entry.get("fullUrl"), entry.get("resource")
    if not isinstance(url, str):
        return
    if ":" not in url:
        yield Fault(f"{at}/fullUrl", "must be absolute", RULE)
    elif "/_history/" in url:
        yield Fault(f"{at}/fullUrl", "must name no version (bdl-8)", RULE)
    elif url.startswith("http") and isinstance(resource, dict) and isinstance(resource.get("id"), str):
        own = f"/{resource.get('resourceType')}/{resource['id']}"
        if not url.endswith(own):
            yield Fault(f"{at}/fullUrl", "is not that of the resource's type and id", RULE)


def _list(node: Any, key: str) -> list[Any]:
    found = node.get(key) if isinstance(node, dict) else None
    return found if isinstance(found, list) else []
