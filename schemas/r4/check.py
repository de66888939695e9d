"""Checks FHIR resources of R4 and R5, each with the compiled schema of its type; schemas are made when first needed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Any, NamedTuple

from config.errors import BadMessage
from schemas.r4.schema import PATTERNS, Release, resource_schema
from schemas.validation.base import KIND, MAX_FAULTS, MISSING, RULE, SIZE, TYPE, UNKNOWN, Fault
from schemas.validation.words import fault_of, pointer, unknown

MAX_NESTED = 20  # resources in resources


class Checker(NamedTuple):
    schema: dict[str, Any]
    validator: Any


@cache
def _checker(kind: str, release: Release) -> Checker | None:
    try:
        import jsonschema_rs

        schema = resource_schema(kind, release)
    except ImportError as error:
        raise BadMessage("JL-M041", f"checking FHIR needs the package extra jingluo[fhir]: {error}") from None
    return Checker(schema, jsonschema_rs.Draft202012Validator(schema)) if schema else None


def validate(resource: Any, release: Release = "R4") -> list[Fault]:
    """What is wrong with a resource and those inside it, by the schema: at most MAX_FAULTS."""
    return list(islice(faults(resource, release), MAX_FAULTS))


def faults(resource: Any, release: Release = "R4") -> Iterator[Fault]:
    return _faults(resource, release, "", 0)


def _faults(resource: Any, release: Release, at: str, depth: int) -> Iterator[Fault]:
    if not isinstance(resource, dict):
        yield Fault(at, "must be a resource", TYPE)
        return
    if depth > MAX_NESTED:
        yield Fault(at, f"resources nested deeper than {MAX_NESTED}", SIZE)
        return
    kind = resource.get("resourceType")
    checker = _checker(kind, release) if isinstance(kind, str) and kind.isalnum() and len(kind) < 60 else None
    if checker is None:
        missing = "resourceType" not in resource
        said = "is missing" if missing else f"{release} has no resource type of this name"
        yield Fault(f"{at}/resourceType", said, MISSING if missing else KIND)
        return
    if not checker.validator.is_valid(resource):
        for error in checker.validator.iter_errors(resource):
            fault = _fault(error, checker.schema)
            yield fault._replace(path=at + fault.path)
    for place, inner in inside(resource, kind or ""):
        yield from _faults(inner, release, at + place, depth + 1)


def inside(resource: dict[str, Any], kind: str) -> Iterator[tuple[str, Any]]:
    """The resources in a resource, by pointer. What is no list or object here, the schema has already named."""
    yield from _items(resource, "contained")
    if kind == "Bundle":
        for place, entry in _items(resource, "entry"):
            if "resource" in entry:
                yield f"{place}/resource", entry["resource"]
            response = entry.get("response")
            if isinstance(response, dict) and "outcome" in response:
                yield f"{place}/response/outcome", response["outcome"]
    if kind == "Parameters":
        yield from _parameters(resource, "parameter", "", 0)


def _parameters(node: dict[str, Any], key: str, at: str, depth: int) -> Iterator[tuple[str, Any]]:
    for place, parameter in _items(node, key):
        if "resource" in parameter:
            yield f"{at}{place}/resource", parameter["resource"]
        if depth < MAX_NESTED:
            yield from _parameters(parameter, "part", at + place, depth + 1)


def _items(node: dict[str, Any], key: str) -> list[tuple[str, dict[str, Any]]]:
    items = node.get(key)
    if not isinstance(items, list):
        return []
    return [(f"/{key}/{number}", item) for number, item in enumerate(items) if isinstance(item, dict)]


def _fault(error: Any, schema: dict[str, Any]) -> Fault:
    """In FHIR's words where it has its own: the names of types, elements, and `value[x]`."""
    at, kind = pointer(error.instance_path), error.kind.name
    value: Any = getattr(error.kind, "value", None)
    if kind == "pattern":
        return Fault(at, f"is no {PATTERNS.get(value, 'well-formed value')}", TYPE)
    if kind == "additionalProperties":
        return Fault(at, f"has no element called {unknown(value)}", UNKNOWN)
    if kind in ("anyOf", "oneOf"):
        title = _title(schema, error.schema_path)
        several = type(error.kind).__name__ == "OneOfMultipleValid"
        if several:
            return Fault(at, f"only one {title} may be present", RULE)
        if title.endswith("[x]"):
            return Fault(at, f"{title} is missing", MISSING)
        return Fault(at + pointer([title]), "is missing", MISSING)
    return fault_of(error)


def _title(schema: dict[str, Any], path: list[str | int]) -> str:
    """The element that a rule is about: the `title` beside the keyword that failed."""
    node: Any = schema
    for step in path[:-1]:
        node = node[step]
    return str(node.get("title", "a value"))
