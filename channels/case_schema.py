"""The JSON Schema of a channel's and of a map's `tests:`, for editors. Paths and names stay the check's."""

from __future__ import annotations

from typing import Any

from channels.cases import ENDS, FILED, NO_ANSWER, REPLIES, STATES

Schema = dict[str, Any]

_PLAIN: Schema = {"type": ["string", "number"]}
_DURATION: Schema = {"type": "string", "pattern": r"^\d+(\.\d+)?(ms|s|m|h|d)$|\$\{"}
_TEXTS: Schema = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}


def _object(properties: Schema, says: str = "", **more: Any) -> Schema:
    made = {"type": "object", "properties": properties, "additionalProperties": False, **more}
    return made | ({"description": says} if says else {})


def _word(words: tuple[str, ...], says: str = "") -> Schema:
    return {"enum": list(words)} | ({"description": says} if says else {})


def _message(facts: Schema) -> Schema:
    """Facts, and what the message must hold."""
    content: Schema = {
        "file": {"type": "string", "description": "the whole message, in a file of the site"},
        "except": {"description": "paths that may differ in it", "type": ["string", "array"]},
        "holds": {"description": "a condition, as in `when`", "type": "object"},
    }
    return _object(facts | content, patternProperties={r"^\$": {}}, minProperties=1)


_ANSWER: Schema = {
    "anyOf": [
        {**_PLAIN, "description": f"AA, AE, 503, written ...; or {', '.join(NO_ANSWER)}"},
        _object(
            {
                "answer": {"anyOf": [_PLAIN, {"type": "array", "items": _PLAIN, "minItems": 1}]},
                "body": {"description": "the answer's text; of JSON also YAML; or {file: name}"},
                "headers": _TEXTS,
                "after": {**_DURATION, "description": "how long the answer takes"},
            }
        ),
    ]
}
_WHILE = _object(
    {
        "clock": {
            "description": "when the message comes, and for how long it is tried again",
            "anyOf": [{"type": "string"}, _object({"at": {"type": "string"}, "passes": _DURATION})],
        },
        "tables": {
            "description": "other rows in code tables: {table: {code: value}}",
            "type": "object",
            "additionalProperties": _TEXTS,
        },
    },
    "how destinations (by name), clock and tables behave",
    additionalProperties={"anyOf": [*_ANSWER["anyOf"], {"type": "array", "items": _ANSWER, "minItems": 1}]},
)
_REPLY = {
    "description": "a state, a code of the source, or what the sender reads",
    "anyOf": [_PLAIN, _message({"state": _word(REPLIES), "code": _PLAIN, "error": {"type": "string"}})],
}
_JOURNAL = {
    "description": "what the journal has of it",
    "anyOf": [
        _word(FILED),
        _object(
            {
                "state": _word(FILED),
                "kind": {"type": "string"},
                "code": {"type": "string"},
                "parent": {"type": "string"},
                "index": {"type": "object", "additionalProperties": {"type": ["string", "number", "null"]}},
            }
        ),
    ],
}
_THEN: Schema = {
    "type": "object",
    "description": "what must become of it in the channel that it is handed to",
}
_GROUP: Schema = {
    "anyOf": [
        _word(ENDS),
        _message(
            {
                "state": _word(ENDS),
                "code": _PLAIN,
                "messages": {"description": "how many were gathered", "type": "integer", "minimum": 1},
                "then": _THEN,
            }
        ),
    ]
}
_ITEM: Schema = {"anyOf": [_word(ENDS), _message({"state": _word(ENDS), "code": _PLAIN, "then": _THEN})]}
_WAY = {
    "description": "what became of it at this destination",
    "anyOf": [
        _word(STATES),
        _message(
            {
                "state": _word(STATES),
                "code": _PLAIN,
                "tries": {"type": "integer", "minimum": 0},
                "then": _THEN,
                "items": {
                    "description": "of what is divided: how many, or what each must be",
                    "anyOf": [{"type": "integer", "minimum": 0}, {"type": "array", "items": _ITEM}],
                },
                "groups": {
                    "description": "of what is gathered: how many groups went, or what each must be",
                    "anyOf": [{"type": "integer", "minimum": 0}, {"type": "array", "items": _GROUP}],
                },
            }
        ),
    ],
}
_EXPECT = _object(
    {"reply": _REPLY, "journal": _JOURNAL, "order": {**_PLAIN, "description": "the key of its order"}},
    "what must become of it: destinations by name, reply, journal, order",
    additionalProperties=_WAY,
    minProperties=1,
)
_GIVEN: Schema = {"description": "the message: a text; of JSON also YAML; or {file: name}"}

_MADE = {
    "description": "what is made of it, or the code that it is refused with",
    "anyOf": [_message({}), _object({"error": {"type": "string"}}, required=["error"])],
}
_HEAD: Schema = {"id": {"type": "string"}, "source": {"type": "string"}, "parent": {"type": "string"}}
_HEAD |= {"headers": _TEXTS}
_BEFORE: Schema = {
    "description": "messages that came earlier, each as `given`, or {given, ago}",
    "type": "array",
}


def _tests(expect: Schema, envelope: Schema, **more: Schema) -> Schema:
    name = {"type": "string", "description": "what must be so, in a sentence"}
    envelope = _object(envelope, "what comes with the message beside its body")
    keys = {"name": name, "given": _GIVEN, **more, "envelope": envelope, "expect": expect}
    return {"type": "array", "items": _object(keys, required=["given", "expect"])}


TESTS = _tests(_EXPECT, _HEAD, before=_BEFORE, **{"while": _WHILE})
MAP_TESTS = _tests(_MADE, {**_HEAD, "channel": {"type": "string"}, "received_ms": {"type": "integer"}})
