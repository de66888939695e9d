"""What pydantic says of YAML data, as problems with our codes, our words and the nearest known key."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from config.errors import Problem
from config.registry import nearest
from config.text import At

_TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
    "list_type": "a list",
    "tuple_type": "a list",
}
_RANGES = {
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "string_pattern_mismatch": "must match {pattern}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
}

# What other engines, and other keys of ours, call the same.
_ELSEWHERE = {
    "source": ("from",),
    "input": ("from",),
    "destinations": ("to",),
    "outputs": ("to",),
    "name": ("channel", "map"),
    "description": ("title",),
    "condition": ("when",),
    "filter": ("when",),
    "transform": ("map",),
    "transformer": ("map",),
    "retries": ("retry",),
    "attempts": ("for",),
    "concurrency": ("parallel", "connections"),
    "threads": ("parallel",),
    "retention": ("keep",),
    "response": ("reply",),
    "ack": ("acknowledge", "expect_answer"),
    "address": ("host", "url"),
    "uri": ("url", "path"),
    "verb": ("method",),
    "encoding": ("charset",),
    "directory": ("folder",),
    "dir": ("folder",),
    "filter_pattern": ("pattern",),
    "glob": ("pattern",),
    "filename": ("name",),
    "ssl": ("tls",),
    "cert": ("certificate",),
    "interval": ("poll", "first"),
    "type": ("kind",),
    "username": ("user",),
}


def problems_of(error: ValidationError, model: type[BaseModel], at: At = ()) -> list[Problem]:
    """Every mistake that `error` holds; `at` is the way to the data that `model` was made from."""
    return [_problem(detail, model, at) for detail in error.errors(include_url=False)]


def successor(key: str) -> dict[str, Any]:
    """For a field that still works and has a new name: `Field(..., json_schema_extra=successor("folder"))`."""
    return {"deprecated": True, "x-successor": key}


def old_names(data: Any, model: type[BaseModel], at: At = ()) -> Iterator[Problem]:
    """A warning for every key in `data` that has a new name."""
    for name, field in model.model_fields.items():
        key = field.alias or name
        if not isinstance(data, dict) or key not in data:
            continue
        extra = field.json_schema_extra
        if isinstance(extra, dict) and "x-successor" in extra:
            what, hint = f"{key!r} is an old name", f"write {extra['x-successor']!r} for it"
            yield Problem((*at, key), "JL-C050", what, hint, "warning", on_key=True)
        inner = next(models_in(field.annotation), None)
        if inner is not None:
            yield from old_names(data[key], inner, (*at, key))


def keys_of(model: type[BaseModel]) -> list[str]:
    """The keys that its YAML may have."""
    return [field.alias or name for name, field in model.model_fields.items()]


def meant(key: str, known: Sequence[str]) -> str:
    """The key that was meant: by what other engines call it, else the nearest; '' where nobody can say.

    >>> meant("filter", ["when", "map"]), meant("mpa", ["when", "map"])
    ('when', 'map')
    """
    said = next((name for name in _ELSEWHERE.get(key.lower(), ()) if name in known), "")
    return said or nearest(key, known)


def did_you_mean(near: str, known: Sequence[str]) -> str:
    """The hint to an unknown name: the nearest one, else all of them."""
    if near:
        return f"did you mean {near!r}?"
    return f"known are {', '.join(known)}" if known else ""


def _problem(detail: ErrorDetails, model: type[BaseModel], at: At) -> Problem:
    kind, loc, context = detail["type"], detail["loc"], detail.get("ctx", {})
    here: At = (*at, *loc)
    key = str(loc[-1]) if loc else ""
    if kind == "extra_forbidden":
        owner = _model_at(model, loc[:-1])
        known = keys_of(owner) if owner else []
        hint = did_you_mean(meant(key, known), sorted(known))
        return Problem(here, "JL-C010", f"unknown key {key!r}", hint, on_key=True)
    if kind == "missing":
        return Problem(here[:-1], "JL-C011", f"the key {key!r} is missing")
    if key == "[key]" or kind == "invalid_key":
        name = str(here[-2] if key == "[key]" else key)
        where = here[:-1] if key == "[key]" else here
        return Problem(where, "JL-C012", f"the key {name} must be text", "put it in quotes", on_key=True)
    if kind in _TYPES:
        hint = (
            "put it in quotes" if kind == "string_type" and isinstance(detail["input"], int | float) else ""
        )
        return Problem(here, "JL-C012", f"{key} must be {_TYPES[kind]}", hint)
    if kind in _RANGES:
        near = nearest(str(detail["input"]), re.findall("'([^']*)'", context.get("expected", "")))
        hint = f"did you mean {near!r}?" if near else ""
        return Problem(here, "JL-C014", f"{key} {_RANGES[kind].format(**context)}", hint)
    said = str(context["error"]) if kind == "value_error" and "error" in context else detail["msg"]
    message, _, hint = said.partition("; ")
    code = "JL-C013" if "a number and a unit" in hint else "JL-C014"
    if kind.startswith("JL"):  # a PydanticCustomError that has a code of its own
        code = kind
    return Problem(here, code, f"{key}: {message}" if key else message, hint)


def _model_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> type[BaseModel] | None:
    """The model in whose YAML the last of `loc` stands."""
    for key in loc:
        field = next((f for name, f in model.model_fields.items() if key in (f.alias or name, name)), None)
        if field is None:  # the name of an entry in a mapping, an index, the arm of a union
            model = next((arm for arm in model.__subclasses__() if _kind(arm) == key), model)
            continue
        inner = next(models_in(field.annotation), None)
        if inner is None:
            return None
        model = inner
    return model


def _kind(model: type[BaseModel]) -> Any:
    """The word by which a union chooses it."""
    field = model.model_fields.get("kind")
    return field.default if field else None


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that a field's type names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)
