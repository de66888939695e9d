"""A transaction as JSON Schema (2020-12), in our names: for the REST door's OpenAPI, for editors and other tools.

It says what `check` says, but for two things that no schema can: a misspelled name, and the days of a month in a
time. Amounts may be numbers or text; an empty text and null are nothing, which a field that is required must not be.
"""

from __future__ import annotations

from typing import Any

from schemas.nhsa.model import Field, Node, Transaction
from schemas.nhsa.overlay import Profile, Side
from schemas.nhsa.profile import national
from schemas.nhsa.rules import EXACT, MAX_DIGITS, MAX_NUMBER, takes_time

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DATE = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIME = f"{_DATE} ([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
_NAMED = 30  # codes whose names are told


def json_schema(transaction: Transaction, of: Profile | None = None, side: Side = "in") -> dict[str, Any]:
    """Of its input, or of its output."""
    chosen = of or national()
    applied = chosen.applied(transaction)
    nodes = applied.input if side == "in" else applied.output
    words = {"in": "input 输入", "out": "output 输出"}[side]
    schemas: dict[str, dict[str, Any]] = {"": _object(Node("", False, ()), chosen)}
    whole = schemas[""]
    for node in nodes:
        made = _object(node, chosen)
        if node.name:
            parent, _, name = node.name.rpartition(".")
            _put(schemas[parent], name, node, made)
        else:
            schemas[""] |= made
            if node.many:
                whole = {"type": "array", "items": schemas[""]}
        schemas[node.name] = schemas[""] if not node.name else made
    return {"$schema": DIALECT, "title": f"{transaction.name} {transaction.name_zh} {words}", **whole}


def _put(parent: dict[str, Any], name: str, node: Node, made: dict[str, Any]) -> None:
    schema: dict[str, Any] = made
    required = node.required or name in parent.get("required", ())
    if node.many:
        schema = {"type": "array", "items": made, **({"minItems": 1} if required else {})}
    if required:
        parent["required"] = list(dict.fromkeys((*parent.get("required", ()), name)))
        if not node.many:
            made["minProperties"] = 1
    else:
        schema = {"anyOf": [schema, {"enum": [None, "", {}, []]}]}
    parent["properties"][name] = schema


def _object(node: Node, of: Profile) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {field.name: _field(field, of) for field in node.fields},
    }
    required = [field.name for field in node.fields if field.required and not field.status]
    if required:
        schema["required"] = required
    if of.unknown_fields == "refuse":
        others = [alias for field in node.fields for alias in field.aliases]
        schema["properties"] |= {name: {} for name in (*others, "expContent", "exp_content")}
        schema["additionalProperties"] = False
    return schema


def _field(field: Field, of: Profile) -> dict[str, Any]:
    known = of.code_list(field.codes) if field.codes else None
    said = [field.note] if field.note else []
    if known is not None and known.values:
        few = list(known.values.items())[:_NAMED]
        said.append(f"{known.name}: " + ", ".join(f"{code} {word}" for code, word in few))
    about = {"title": field.name_zh, "description": "; ".join(said)}
    needed = field.required and not field.status
    return {key: text for key, text in about.items() if text} | _value(field, of.allowed(field.codes), needed)


def _value(field: Field, codes: tuple[str, ...], needed: bool) -> dict[str, Any]:
    nothing: list[Any] = [] if needed else ["", None]
    if codes and field.type in ("text", "") and not field.guessed:
        return {"enum": [*codes, *(int(code) for code in codes if _plain(code)), *nothing]}
    if field.guessed or not field.type:
        return {"not": {"enum": ["", None]}} if needed else {}
    null = [] if needed else ["null"]
    if field.type == "text":
        return _text(field.length, needed) | {"type": ["string", "integer", *null]}
    if field.type == "number":
        return _number(field, needed) | {"type": ["number", "string", *null]}
    if field.type in ("date", "datetime"):
        pattern = _TIME if field.type == "datetime" else f"{_DATE}|{_TIME}" if takes_time(field) else _DATE
        return {"type": ["string", *null], "pattern": f"^({pattern}{'' if needed else '|'})$"}
    others: dict[str, dict[str, Any]] = {
        "flag": {"enum": [True, False, "true", "false", "0", "1", 0, 1]},
        "bytes": {"type": "array", "items": {"type": "integer", "minimum": -128, "maximum": 255}},
        "node": {"type": ["object", "array"]},
    }
    schema = others[field.type]
    return schema if needed else {"anyOf": [schema, {"enum": nothing}]}


def _plain(code: str) -> bool:
    return code.isascii() and code.isdecimal() and str(int(code)) == code


def _text(length: int, needed: bool) -> dict[str, Any]:
    """A whole number is a text of its digits."""
    digits = min(length or EXACT, EXACT)
    schema: dict[str, Any] = {"maximum": 10**digits - 1, "minimum": -(10 ** (digits - 1)) + 1}
    if not length or length > EXACT:
        schema["minimum"] = -(10**EXACT) + 1
    if length:
        schema["maxLength"] = length
    if needed:
        schema["minLength"] = 1
    return schema


def _number(field: Field, needed: bool) -> dict[str, Any]:
    whole = (field.length or MAX_DIGITS) - field.decimals
    decimals = field.decimals if field.length else MAX_DIGITS
    digits = f"0*[0-9]{{1,{whole}}}" if whole else "0+"
    point = rf"(\.[0-9]{{1,{decimals}}}0*)?" if decimals else r"(\.0+)?"
    schema: dict[str, Any] = {
        "pattern": f"^(-?{digits}{point}{'' if needed else '|'})$",
        "maxLength": MAX_NUMBER,
        "exclusiveMinimum": -(10**whole),
        "exclusiveMaximum": 10**whole,
    }
    if field.length:
        schema["multipleOf"] = 1 if not decimals else float(f"1e-{decimals}")
    return schema
