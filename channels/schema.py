"""JSON Schemas (2020-12) of the files that people write, so that an editor completes and underlines them.

They are made from the models that read the files, with the kinds of endpoints and formats that are installed. What
JSON Schema cannot say (whether a system, a map or a path exists) stays `jingluo check`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pydantic import BaseModel

from channels.answers import RESERVED
from channels.case_schema import MAP_TESTS
from channels.model import ChannelText
from channels.sending import PATTERN
from channels.settling.cases import WORDS, CaseText
from channels.settling.text import SettlementText
from config.callers import ANYBODY, CallersText
from config.registry import Names, Unknown, destinations, formats, load_plugins, sources
from config.settings import SettingsText
from config.units import Seconds, Size, as_seconds, as_size
from schemas.nhsa.profile_text import ProfileText
from transforms.conditions import OPERATORS
from transforms.mapping import ANY, FRAGMENT_KEYS, MAP_KEYS
from transforms.table_tests import ARROW
from transforms.tables import KEYS as TABLE_KEYS

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ENVIRONMENT: Schema = {"type": "string", "pattern": r"\$\{"}  # ${NAME} is any value
_SCALAR: Schema = {"type": ["string", "number", "boolean"]}
_NAME = "^[a-z0-9][a-z0-9-]{0,63}$"
# Where a model says less than the parser wants: the definition that holds instead.
_PLACES = {
    ("ChannelText", "from"): "source",
    ("ChannelText", "when"): "condition",
    ("ChannelText", "format"): "format",
    ("ChannelText", "index"): "index",
    ("BranchText", "when"): "condition",
    ("BranchText", "send"): "destination",
    ("BranchText", "index"): "index",
    ("OrderText", "by"): "expression",
    ("DuplicatesText", "by"): "expression",
}
_SAYS = {
    "map": "the name; the file is called so too",
    "fragment": "the name; the file is called so too, in `maps/types`",
    "table": "the name; the file is called so too",
    "title": "for people",
    "from": "the format that is read",
    "to": "the format that is made",
    "start": "`$`: the message is copied first, and the shape laid over it",
    "let": "names for values that are used twice: `$name`",
    "when": "made only where this holds",
    "else": "made where `when` does not hold",
    "keep": "what is made besides, for `kept` of the map: `{as, make}`, once for each `as`",
    "make": "what is made: literals, `$` expressions, and shapes of these",
    "tests": "cases: `given` a message, `expect` what is made of it",
    "source": "where the codes come from",
    "oid": "the object identifier of the codes",
    "doubt": "what is not sure, or was mended",
    "default": "the answer for a code that is not here",
    "error": "true: a code that is not here refuses the message",
    "rows": "code to value, or to `{fhir: ..., name: ...}`: the first column answers where nobody names another",
}
_ASKS = "what is asked, an arrow, what the table says: `F -> female`, `2 to name -> 女性`, `X -> nothing`"


def schema_of(name: str) -> Schema:
    """The schema of one kind of file: a name of `FILES`. Raises KeyError."""
    _, make = FILES[name]
    load_plugins()
    made = make()
    definitions = made.pop("$defs", {}) | _common()
    return {"$schema": DIALECT, "title": f"Jingluo: {name}", **made, "$defs": _needed(made, definitions)}


def _channel() -> Schema:
    made = _of_model(ChannelText)
    for name, model in (("ChannelText", made), *made["$defs"].items()):
        for key, said in model.get("properties", {}).items():
            if (name, key) in _PLACES:
                model["properties"][key] = _refer(_PLACES[name, key], said.get("description", ""))
    to = made["properties"]["to"]
    to["propertyNames"] = {"pattern": _NAME, "not": {"enum": ["accepted", "none"]}}
    made["$defs"] |= _endpoint("source", sources) | _endpoint("destination", destinations)
    return made


def _settlement() -> Schema:
    """Steps and tests are read by models of their own; a test's answers have short forms."""
    made = _of_model(SettlementText)
    cases = _of_model(CaseText)
    made["$defs"] |= cases.pop("$defs", {}) | {"CaseText": cases, "says": _says()}
    made["properties"]["tests"]["items"] = {"$ref": "#/$defs/CaseText"}
    answers: list[Schema] = [{"$ref": "#/$defs/says"}, {"type": "array", "items": {"$ref": "#/$defs/says"}}]
    cases["properties"]["parties"]["additionalProperties"] = {"anyOf": answers}
    made["$defs"]["StepText"]["properties"]["when"] = _refer("condition", "a condition on the facts")
    for name in ("WaitText", "ProbeText"):  # one alone is a list of one
        every = made["$defs"][name]["properties"]["every"]
        every["anyOf"] = [*every["anyOf"], every["anyOf"][0]["items"]]
    return made


def _says() -> Schema:
    """`lost`, `{ok: {...}}`, or in full."""
    short = {**_object({word: {} for word in WORDS}), "minProperties": 1, "maxProperties": 1}
    return {"anyOf": [{"enum": [*WORDS]}, short, {"$ref": "#/$defs/SaysText"}]}


def _settings() -> Schema:
    return _of_model(SettingsText)


def _profile() -> Schema:
    """Of a province (insurance)."""
    return _of_model(ProfileText)


def _callers() -> Schema:
    made = _of_model(CallersText)
    names = {"pattern": _NAME, "not": {"const": ANYBODY}}
    made["properties"]["callers"]["propertyNames"] = names
    return made


def _systems() -> Schema:
    """An entry may leave out what a channel adds, so nothing but its kind is required."""
    ends: dict[str, Schema] = {}
    definitions: Schema = {}
    for names in (sources, destinations):
        for kind, options in _kinds(names):
            definitions |= options.pop("$defs", {})
            ends.setdefault(kind, {}).update(options["properties"])
    kinds = [
        _object({"kind": {"const": kind}, **properties}, required=["kind"])
        for kind, properties in sorted(ends.items())
    ]
    entry = {
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": {"enum": sorted(ends)}},
        "anyOf": kinds,
    }
    systems = {"type": "object", "additionalProperties": entry, "description": "the outside parties, by name"}
    return {**_object({"systems": systems}), "$defs": definitions}


def _map() -> Schema:
    properties = {key: _shaped(key) for key in MAP_KEYS}
    properties["to"] = _refer("named", _SAYS["to"])
    properties["tests"] = {**MAP_TESTS, "description": _SAYS["tests"]}
    return _object(properties, required=["map", "from", "to", "make"])


def _fragment() -> Schema:
    properties = {key: _shaped(key) for key in FRAGMENT_KEYS}
    properties["from"] = {"enum": [ANY, *formats.known()], "description": _SAYS["from"]}
    return _object(properties, required=["fragment", "from", "make"])


def _table() -> Schema:
    properties: Schema = {key: {"type": "string", "description": _SAYS[key]} for key in TABLE_KEYS}
    properties["default"] = {**_SCALAR, "description": _SAYS["default"]}
    properties["error"] = {"type": "boolean", "description": _SAYS["error"]}
    cells = {"type": "object", "additionalProperties": _SCALAR}
    rows = {"type": "object", "additionalProperties": {"anyOf": [_SCALAR, cells]}}
    properties["rows"] = {**rows, "description": _SAYS["rows"]}
    for key in ("source", "doubt"):
        properties[key] = {
            "type": ["string", "array"],
            "items": {"type": "string"},
            "description": _SAYS[key],
        }
    asked = {"type": "string", "pattern": rf"\S.*{ARROW}\s*\S"}
    properties["tests"] = {"type": "array", "items": asked, "description": _ASKS}
    return _object(properties, required=["table", "rows"])


# By name: which files of a site, and what makes the schema.
FILES: dict[str, tuple[str, Callable[[], Schema]]] = {
    "channel": ("channels/*.yaml", _channel),
    "settlement": ("channels/settlements/*.yaml", _settlement),
    "systems": ("systems.yaml", _systems),
    "callers": ("callers.yaml", _callers),
    "settings": ("jingluo.yaml", _settings),
    "map": ("maps/*.yaml", _map),
    "fragment": ("maps/types/*.yaml", _fragment),
    "table": ("tables/**/*.yaml", _table),
    "profile": ("profiles/*.yaml", _profile),
}


def _shaped(key: str) -> Schema:
    """A key of a map or a fragment that is not a shape itself, or else a shape."""
    known = {"from": "named", "when": "condition"}
    if key in known:
        return _refer(known[key], _SAYS[key])
    if key in ("map", "fragment", "title"):
        return {"type": "string", "description": _SAYS[key]}
    if key == "start":
        return {"const": "$", "description": _SAYS[key]}
    if key == "let":
        lets = {"type": "object", "propertyNames": {"pattern": "^[a-z_][a-z0-9_]*$"}}
        return {**lets, "minProperties": 1, "description": _SAYS[key]}
    return {"description": _SAYS[key]}


def _common() -> Schema:
    """What several files' schemas refer to."""
    value: Schema = {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR, "minItems": 1}]}
    condition = {"$ref": "#/$defs/condition"}
    wanted: Schema = {"anyOf": [*value["anyOf"], {"$ref": "#/$defs/operators"}]}
    operators: Schema = dict.fromkeys(OPERATORS, _SCALAR)
    operators |= {
        "exists": {"type": "boolean"},
        "in_table": {"type": "string"},
        "matches": {"type": "string"},
    }
    operators |= dict.fromkeys(("not", "any", "all"), wanted)
    groups: Schema = {name: {"type": "array", "items": condition, "minItems": 1} for name in ("any", "all")}
    groups["not"] = {"anyOf": [condition, {"type": "array", "items": condition}]}
    expression = {"type": "string", "pattern": r"^\$(?!\$)"}
    return {
        "expression": {**expression, "description": "`$` and a path, then pipes: `$PID-5.1 | trim`"},
        "index": {
            "type": "object",
            "propertyNames": {"pattern": "^[a-z][a-z0-9_]{0,31}$", "not": {"enum": list(RESERVED)}},
            "additionalProperties": {"$ref": "#/$defs/expression"},
        },
        "operators": {**_object(operators), "minProperties": 1},
        "condition": {
            **_object(groups),
            "minProperties": 1,
            "patternProperties": {expression["pattern"]: wanted},
            "description": "a path and what it must be, or any, all, not: `{$MSH-9.1: ADT}`",
        },
        "format": _format([name for name in formats.known() if not getattr(formats.get(name), "lacks", "")]),
        "named": _format(formats.known()),
    }


def _format(alone: list[str]) -> Schema:
    """A name that may stand `alone`, or a name and its options. A map may leave out those that a channel must give."""
    named: Schema = {}
    for name in formats.known():
        options = getattr(formats.get(name), "Options", None)
        if options is not None:
            named[name] = _flat(options)
    whole = {**_object(named), "minProperties": 1, "maxProperties": 1}
    return {"anyOf": [{"enum": alone}, whole, _ENVIRONMENT]}


def _endpoint(name: str, names: Names) -> Schema:
    """`{kind: {options}}`, or `{system: name, overrides}`; inside a kind `system` stands for what is required."""
    definitions: Schema = {}
    kinds: Schema = {}
    every: Schema = {}
    system = {
        "type": "string",
        "description": "an entry of systems.yaml, whose options may be given anew here",
    }
    for kind, options in _kinds(names):
        definitions |= options.pop("$defs", {})
        required = options.pop("required", [])
        every |= options["properties"]
        options["properties"] = {**options["properties"], "system": system}
        if required:
            options["anyOf"] = [{"required": ["system"]}, {"required": required}]
        short = getattr(names.get(kind).Options, "short", "")
        kinds[kind] = {"anyOf": [options["properties"][short], options]} if short else options
    one = {**_object(kinds), "minProperties": 1, "maxProperties": 1}
    named = _object({"system": system, **every}, required=["system"])
    ways: list[Schema] = [one, named]
    if any(getattr(names.get(kind).Options, "operation_field", "") for kind in kinds):
        says = "a system and what is asked of it: `insurance.2207`"
        ways.append({"type": "string", "pattern": PATTERN, "description": says})
    return {**definitions, name: {"anyOf": ways}}


def _kinds(names: Names) -> Iterator[tuple[str, Schema]]:
    for kind in names.known():
        try:
            yield kind, _of_model(names.get(kind).Options)
        except Unknown:
            continue  # a file that has the other end only


def _flat(model: type[BaseModel]) -> Schema:
    """A model's schema with its parts where they are used."""
    made = _of_model(model)
    flat: Schema = _inlined(made, made.pop("$defs", {}))
    return flat


def _inlined(value: Any, definitions: Schema) -> Any:
    if isinstance(value, list):
        return [_inlined(inner, definitions) for inner in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        rest = {key: inner for key, inner in value.items() if key != "$ref"}
        return {**_inlined(definitions[name], definitions), **rest}
    return {key: _inlined(inner, definitions) for key, inner in value.items()}


def _of_model(model: type[BaseModel]) -> Schema:
    """A model's schema as YAML is written: durations with their unit, and the environment for any value."""
    made: Schema = _written(model.model_json_schema())
    return made


def _written(value: Any) -> Any:
    if isinstance(value, list):
        return [_written(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    made = {key: _written(inner) for key, inner in value.items() if key != "title" or isinstance(inner, dict)}
    default = made.get("default")
    if isinstance(default, int | float) and made.get("pattern") == _pattern(Seconds):
        made["default"] = as_seconds(default)
    if isinstance(default, int) and made.get("pattern") == _pattern(Size):
        made["default"] = as_size(default)
    strict = made.get("type") in ("integer", "number", "boolean", "array")
    if strict or (made.get("type") == "string" and ("pattern" in made or "enum" in made)):
        outside = {key: made.pop(key) for key in ("description", "default") if key in made}
        return {**outside, "anyOf": [made, _ENVIRONMENT]}
    return made


def _pattern(unit: Any) -> str:
    return str(
        next(mark.json_schema["pattern"] for mark in unit.__metadata__ if hasattr(mark, "json_schema"))
    )


def _needed(made: Schema, definitions: Schema) -> Schema:
    """Those definitions that something refers to."""
    names: set[str] = set()

    def look(value: Any) -> None:
        for inner in value.values() if isinstance(value, dict) else value:
            if isinstance(inner, dict | list):
                look(inner)
        name = value["$ref"].rpartition("/")[2] if isinstance(value, dict) and "$ref" in value else ""
        if name and name not in names:
            names.add(name)
            look(definitions[name])

    look(made)
    return {name: definitions[name] for name in sorted(names)}


def _refer(name: str, says: str) -> Schema:
    return {"$ref": f"#/$defs/{name}", "description": says}


def _object(properties: Schema, required: list[str] | None = None) -> Schema:
    made: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**made, "required": required} if required else made
