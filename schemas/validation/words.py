"""What jsonschema-rs finds, in our own words: the library's quote the value, which may be a patient's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from schemas.validation.base import CODE, MANY, MISSING, RULE, SIZE, TYPE, UNKNOWN, Fault, listed

_NAMES = 3  # unknown names that are told
_NAME = 60  # characters of each
_LIMITS = {
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "exclusiveMinimum": "must be more than {}",
    "exclusiveMaximum": "must be less than {}",
    "multipleOf": "must be a multiple of {}",
    "minLength": "must have at least {} characters",
    "maxLength": "must have at most {} characters",
    "minItems": "must have at least {} items",
    "minProperties": "must have at least {} members",
    "maxProperties": "must have at most {} members",
}


def fault_of(error: Any) -> Fault:
    """A validation error of jsonschema-rs."""
    at, kind = pointer(error.instance_path), error.kind.name
    value: Any = getattr(error.kind, "value", None)
    if kind == "required":
        return Fault(at + pointer([value]), "is missing", MISSING)
    if kind == "type":
        types = value if isinstance(value, list) else [value]
        return Fault(at, f"must be of type {' or '.join(types)}", TYPE)
    if kind == "enum":
        return Fault(at, f"must be one of {listed(code for code in value or () if code is not None)}", CODE)
    if kind == "const":
        return Fault(at, f"must be {str(value)[:_NAME]}", CODE)
    if kind == "format":
        return Fault(at, f"is no {value}", TYPE)
    if kind == "pattern":
        return Fault(at, f"must match {str(value)[:_NAME]}", TYPE)
    if kind in _LIMITS:
        empty = kind.startswith("min") and value == 1 and kind != "minimum"
        return Fault(at, "must not be empty" if empty else _LIMITS[kind].format(value), SIZE)
    if kind == "maxItems":
        return Fault(at, f"must have at most {value} items", MANY)
    if kind in ("additionalProperties", "unevaluatedProperties"):
        return Fault(at, f"has no member called {unknown(value)}", UNKNOWN)
    if kind in ("falseSchema", "unevaluatedItems"):
        return Fault(at, "is not foreseen", UNKNOWN)
    return Fault(at, f"breaks the schema's {kind}", RULE)


def unknown(names: Iterable[str]) -> str:
    """Names that the sender chose: cut, and not all of them."""
    return listed([str(name)[:_NAME] for name in names], _NAMES)


def pointer(steps: Iterable[str | int]) -> str:
    """A JSON pointer (RFC 6901).

    >>> pointer(["entry", 0, "a/b"])
    '/entry/0/a~1b'
    """
    return "".join(f"/{str(step)[:_NAME].replace('~', '~0').replace('/', '~1')}" for step in steps)
