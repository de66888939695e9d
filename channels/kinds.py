"""The manual of the kinds of endpoints and of formats, made from their models: each option with type and default."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from config import registry, units
from config.callers import CallersText, CallerText, KeyText


@dataclass(frozen=True, slots=True)
class Option:
    """`default` as YAML writes it; '' is nothing, None: it must be given. In a part, the name has dots: `tls.ca`."""

    name: str
    type: str
    default: str | None
    says: str


@dataclass(frozen=True, slots=True)
class Kind:
    kind: str
    side: str  # source, destination, format
    says: str
    options: tuple[Option, ...]


def all_kinds() -> list[Kind]:
    """Every kind that a channel can name, the site's own too; sources first."""
    registry.load_plugins()
    found = []
    for side, names in (("source", registry.sources), ("destination", registry.destinations)):
        for kind in names.known():
            try:
                options = names.get(kind).Options
            except registry.Unknown:
                continue  # a file that has the other side only
            says = " ".join((inspect.getdoc(options) or "").split())
            shown = list(_options(options))
            fields = options.model_fields.items()
            own = {field.alias or name for name, field in fields if name in options.__annotations__}
            shown.sort(
                key=lambda option: option.name.partition(".")[0] not in own
            )  # those it shares come last
            found.append(Kind(kind, side, says, tuple(shown)))
    return found


def all_formats() -> list[Kind]:
    """Every format, the site's own too, with the options that it has in YAML."""
    registry.load_plugins()
    return [_format(name, registry.formats.get(name)) for name in registry.formats.known()]


def callers_file() -> Kind:
    """The keys of callers.yaml."""
    each = [*_options(CallerText, "callers.NAME."), *_options(KeyText, "callers.NAME.keys[].")]
    says = " ".join((inspect.getdoc(CallersText) or "").split())
    return Kind("callers.yaml", "file", says, (*_options(CallersText), *each))


def _format(name: str, format: Any) -> Kind:
    model = getattr(format, "Options", None)
    says = " ".join((inspect.getdoc(inspect.getmodule(type(format))) or "").split("\n\n")[0].split())
    return Kind(name, "format", says, tuple(_options(model)) if model else ())


def _options(model: type[BaseModel], before: str = "") -> Iterator[Option]:
    for name, field in model.model_fields.items():
        full = before + (field.alias or name)
        inner = _model(field.annotation)
        says = field.description or ""
        default = None if field.is_required() else _default(field)
        if inner is None:
            yield Option(full, _type(field.annotation, field), default, says)
        else:
            yield Option(full, "a part", default, says or " ".join((inspect.getdoc(inner) or "").split()))
            yield from _options(inner, f"{full}.")


def _model(kind: Any) -> type[BaseModel] | None:
    kinds = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    return next((one for one in kinds if isinstance(one, type) and issubclass(one, BaseModel)), None)


def _validated_by(field: FieldInfo) -> Any:
    return next((rule.func for rule in field.metadata if hasattr(rule, "func")), None)


def _type(kind: Any, field: FieldInfo) -> str:
    by = _validated_by(field)
    if by is units.seconds:
        return "a duration"
    if by is units.size:
        return "a size"
    if get_origin(kind) is Literal:
        return " | ".join(map(str, get_args(kind)))
    if get_origin(kind) in (Union, types.UnionType):
        return " or ".join(_type(one, field) for one in get_args(kind) if one is not type(None))
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    if kind in names:
        return names[kind]
    listed = re.match(r"(?:typing\.)?(tuple|list|frozenset|dict|collections\.abc\.Mapping)\b", str(kind))
    if listed is None:
        return "text"
    return "a list" if listed[1] in ("tuple", "list", "frozenset") else "names and values"


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is None or isinstance(value, BaseModel) or value in ("", (), {}):
        return ""
    by = _validated_by(field)
    if by is units.seconds:
        return units.as_seconds(value)
    if by is units.size:
        return units.as_size(value)
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
