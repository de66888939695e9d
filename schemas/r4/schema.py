"""A JSON Schema for one FHIR resource type, made from the fields of the `fhir.resources` R4B models.

The models say which elements there are, how often, of which type, which are required, which exclude one
another and which codes are allowed. They are slow at checking (and convert what they should refuse), a schema
is not. Resources inside a resource are left open: `check` takes each by the schema of its own type.

The models of R5 serve in the same way; where they break a list of codes off, any code is taken.

R4B (4.3.0) is R4 (4.0.1) with corrections; of its types, those for medicinal products and evidence differ.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from typing import Any, Literal

from schemas.r4.codes import MORE

_YEAR = "([0-9]([0-9]([0-9][1-9]|[1-9]0)|[1-9]00)|[1-9]000)"
_MONTH = "(0[1-9]|1[0-2])"
_LEAP = "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)"
_MONTHS = (
    "((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
)
_DAY = f"({_YEAR}-{_MONTHS}|{_LEAP}-02-29)"  # of the calendar
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?"
_ZONE = "(Z|[+-]((0[0-9]|1[0-3]):[0-5][0-9]|14:00))"


def _text(pattern: str = "") -> dict[str, Any]:
    return {"type": "string", "minLength": 1} | ({"pattern": f"^({pattern})$"} if pattern else {})


def _whole(lowest: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": lowest, "maximum": 2**31 - 1}


# Primitive types (FHIR R4 section 2.24), by the names that the models' annotations use.
PRIMITIVES: dict[str, dict[str, Any]] = {
    "bool": {"type": "boolean"},
    "Integer": _whole(-(2**31)),
    "UnsignedInt": _whole(0),
    "PositiveInt": _whole(1),
    "Decimal": {"type": "number"},
    "String": _text(),
    "Markdown": _text(),
    "Xhtml": _text(r"\s*<div[\s\S]*"),
    "Code": _text(r"[^\s]+(\s[^\s]+)*"),
    "Id": _text(r"[A-Za-z0-9\-.]{1,64}"),
    "Uri": _text(r"\S*"),
    "Url": _text(r"\S*"),
    "Canonical": _text(r"\S*"),
    "Oid": _text(r"urn:oid:[0-2](\.(0|[1-9][0-9]*))+"),
    "Uuid": _text(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "Base64Binary": _text(r"[0-9A-Za-z+/=\s]*"),
    "Date": _text(f"{_YEAR}(-{_MONTH})?|{_DAY}"),
    "DateTime": _text(f"{_YEAR}(-{_MONTH})?|{_DAY}(T{_CLOCK}{_ZONE})?"),
    "Instant": _text(f"{_DAY}T{_CLOCK}{_ZONE}"),
    "Time": _text(_CLOCK),
}
PATTERNS = {made["pattern"]: name for name, made in PRIMITIVES.items() if "pattern" in made}
Release = Literal["R4", "R5"]
Codes = Mapping[str, list[str]]
Model = Any  # a class of fhir.resources, which has no types of its own


def resource_schema(kind: str, release: Release = "R4") -> dict[str, Any] | None:
    """The schema of a resource type; None where the release has no such type."""
    if release == "R5":
        from fhir.resources import get_fhir_model_class as model_of
    else:
        from fhir.resources.R4B import get_fhir_model_class as model_of
    more = MORE if release == "R4" else {}
    try:
        model = model_of(kind)
    except (ValueError, KeyError, ImportError):
        return None
    if not model.has_resource_base() or kind in ("Resource", "DomainResource"):
        return None
    definitions: dict[str, dict[str, Any]] = {}
    waiting: list[Model] = [model]
    while waiting:
        model = waiting.pop()
        if model.__name__ not in definitions:
            definitions[model.__name__] = _definition(model, waiting, more)
    if kind == "Bundle":
        definitions[kind] |= _TRANSACTION
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": f"#/$defs/{kind}",
        "$defs": definitions,
    }


# bdl-3: what is to be done with an entry must be said.
_TRANSACTION: dict[str, Any] = {
    "if": {"properties": {"type": {"enum": ["transaction", "batch"]}}, "required": ["type"]},
    "then": {"properties": {"entry": {"items": {"required": ["request"]}}}},
}


def _definition(model: Model, waiting: list[Model], more: Codes) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    required: list[str] = []
    rules: list[dict[str, Any]] = []
    choices: dict[str, list[str]] = {}
    must_choose: set[str] = set()
    for field in model.model_fields.values():
        name, facts = field.alias or "", field.json_schema_extra or {}
        if name == "fhir_comments" or not name:
            continue
        properties[name] = _element(f"{model.__name__}.{name}", field.annotation, facts, waiting, more)
        if field.is_required():
            required.append(name)
        elif facts.get("element_required"):
            rules.append({"title": name, "anyOf": [{"required": [name]}, {"required": [f"_{name}"]}]})
        if choice := facts.get("one_of_many"):
            choices.setdefault(choice, []).append(name)
            if facts.get("one_of_many_required"):
                must_choose.add(choice)
    rules += [_choice(choice, names, choice in must_choose) for choice, names in choices.items()]
    if model.has_resource_base():
        properties["resourceType"] = {"const": model.__name__}
        required.append("resourceType")
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
        "minProperties": 1,
    } | ({"allOf": rules} if rules else {})


def _choice(choice: str, names: list[str], needed: bool) -> dict[str, Any]:
    """value[x]: one of them, or none unless one is needed. The extension of a primitive stands for it too."""
    each = [{"anyOf": [{"required": [name]}, {"required": [f"_{name}"]}]} for name in names]
    none = [] if needed else [{"not": {"anyOf": each}}]
    return {"title": f"{choice}[x]", "oneOf": [*each, *none]}


def _element(
    at: str, annotation: Any, facts: dict[str, Any], waiting: list[Model], more: Codes
) -> dict[str, Any]:
    inner, many = _unwrap(annotation)
    made = _type(inner, waiting)
    codes = facts.get("enum_values")
    if codes and "+" in codes:
        codes = [code for code in codes if code != "+"] + more[at] if at in more else None
    if codes:
        made = {**made, "enum": list(codes)}
        made.pop("pattern", None)
    if not many:
        return made
    nullable = "$ref" not in made or at.partition(".")[2].startswith("_")
    return {"type": "array", "minItems": 1, "items": _or_null(made) if nullable else made}


def _or_null(made: dict[str, Any]) -> dict[str, Any]:
    """In a list of primitives null keeps the place of a value that has only an extension, and the reverse."""
    if "$ref" in made:
        return {"anyOf": [made, {"type": "null"}]}
    if "enum" in made:
        return {**made, "type": [made["type"], "null"], "enum": [*made["enum"], None]}
    return {**made, "type": [made["type"], "null"]}


def _unwrap(annotation: Any) -> tuple[Any, bool]:
    """The type inside Optional and List, and whether there was a List."""
    many = False
    while typing.get_origin(annotation) in (typing.Union, types.UnionType, list):
        many = many or typing.get_origin(annotation) is list
        annotation = next(part for part in typing.get_args(annotation) if part is not type(None))
    return annotation, many


def _type(annotation: Any, waiting: list[Model]) -> dict[str, Any]:
    if hasattr(annotation, "get_model_klass"):
        model = annotation.get_model_klass()
        if model.__name__ == "Resource":
            return {"type": "object", "required": ["resourceType"]}
        waiting.append(model)
        return {"$ref": f"#/$defs/{model.__name__}"}
    marks = [type(mark).__name__ for mark in getattr(annotation, "__metadata__", ())]
    name = next((mark for mark in marks if mark in PRIMITIVES), "")
    if not name:
        name = "Base64Binary" if marks else {"UUID": "Uuid"}.get(annotation.__name__, annotation.__name__)
    return dict(PRIMITIVES[name])
