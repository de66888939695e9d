"""Checks FHIR R4 resources, each with the compiled schema of its type; schemas are made when first needed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from config.errors import BadMessage
from schemas.r4.schema import PATTERNS, resource_schema

MAX_NESTED = 20  # resources in resources
MAX_FAULTS = 100
Fault = tuple[str, str]  # path, text


class Checker(NamedTuple):
    schema: dict[str, Any]
    validator: Any


@cache
def _checker(kind: str) -> Checker | None:
    try:
        import jsonschema_rs

        schema = resource_schema(kind)
    except ImportError as error:
        raise BadMessage("JL-M041", f"checking FHIR needs the package extra jingluo[fhir]: {error}") from None
    return Checker(schema, jsonschema_rs.Draft202012Validator(schema)) if schema else None


def validate(resource: Any) -> list[Fault]:
    """What is wrong with a resource and those inside it: (path, text), at most MAX_FAULTS."""
    faults: list[Fault] = []
    for fault in _faults(resource, "", 0):
        faults.append(fault)
        if len(faults) == MAX_FAULTS:
            break
    return faults


def _faults(resource: Any, at: str, depth: int) -> Iterator[Fault]:
    if not isinstance(resource, dict):
        yield at, "must be a resource"
        return
    if depth > MAX_NESTED:
        yield at, f"resources nested deeper than {MAX_NESTED}"
        return
    kind = resource.get("resourceType")
    checker = _checker(kind) if isinstance(kind, str) and kind.isalnum() and len(kind) < 60 else None
    if checker is None:
        missing = "resourceType" not in resource
        yield _join(at, "resourceType"), "is missing" if missing else "R4 has no resource type of this name"
        return
    if not checker.validator.is_valid(resource):
        for error in checker.validator.iter_errors(resource):
            yield _join(at, _path(error.instance_path)), _words(error, checker.schema)
    for place, inner in _inside(resource, kind or ""):
        yield from _faults(inner, _join(at, place), depth + 1)


def _inside(resource: dict[str, Any], kind: str) -> Iterator[tuple[str, Any]]:
    """The resources in a resource. What is no list or object here, the schema has already named."""
    for place, inner in _items(resource, "contained"):
        yield place, inner
    if kind == "Bundle":
        for place, entry in _items(resource, "entry"):
            if "resource" in entry:
                yield f"{place}.resource", entry["resource"]
            response = entry.get("response")
            if isinstance(response, dict) and "outcome" in response:
                yield f"{place}.response.outcome", response["outcome"]
    if kind == "Parameters":
        yield from _parameters(resource, "parameter", "", 0)


def _parameters(node: dict[str, Any], key: str, at: str, depth: int) -> Iterator[tuple[str, Any]]:
    for place, parameter in _items(node, key):
        if "resource" in parameter:
            yield _join(at, f"{place}.resource"), parameter["resource"]
        if depth < MAX_NESTED:
            yield from _parameters(parameter, "part", _join(at, place), depth + 1)


def _items(node: dict[str, Any], key: str) -> list[tuple[str, dict[str, Any]]]:
    items = node.get(key)
    if not isinstance(items, list):
        return []
    return [(f"{key}[{number}]", item) for number, item in enumerate(items) if isinstance(item, dict)]


def _join(at: str, more: str) -> str:
    return f"{at}.{more}" if at and more else at or more


def _path(steps: list[str | int]) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return text.removeprefix(".")


def _words(error: Any, schema: dict[str, Any]) -> str:
    """Our own words: the library's quote the value, which may be a patient's."""
    kind, value = error.kind.name, error.kind.value
    if kind == "enum":
        return f"must be one of {', '.join(str(code) for code in value if code is not None)}"
    if kind == "type":
        return f"must be of type {' or '.join(value) if isinstance(value, list) else value}"
    if kind == "pattern":
        return f"is no {PATTERNS.get(value, 'well-formed value')}"
    if kind == "additionalProperties":
        return f"has no element called {', '.join(value)}"
    if kind == "required":
        return f"{value} is missing"
    if kind in ("minItems", "minLength", "minProperties"):
        return "must not be empty"
    if kind in ("minimum", "maximum"):
        return f"must be {'at least' if kind == 'minimum' else 'at most'} {value}"
    if kind in ("anyOf", "oneOf"):
        title = _title(schema, error.schema_path)
        several = type(error.kind).__name__ == "OneOfMultipleValid"
        return f"only one {title} may be present" if several else f"{title} is missing"
    return f"does not fit the schema ({kind})"


def _title(schema: dict[str, Any], path: list[str | int]) -> str:
    """The element that a rule is about: the `title` beside the keyword that failed."""
    node: Any = schema
    for step in path[:-1]:
        node = node[step]
    return str(node.get("title", "a value"))
