"""What `/openapi.json` says of a REST door: what it takes, what it answers, and every way it says no."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from endpoints.base import Described, WebOptions
from endpoints.describing import SECURITY
from endpoints.rest.media import media_type

Facts = dict[str, Any]

_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_REFUSALS: dict[int, str] = {
    400: "the message or the request is at fault; nothing was done",
    401: "who calls is not known, or not proved",
    403: "the caller may not come in here",
    408: "the body did not come in time",
    409: "the request of this Idempotency-Key is still under way",
    413: "the body is too large",
    415: "a content type or encoding that is not taken",
    422: "the Idempotency-Key was sent with another request",
    429: "too many requests of this caller; see Retry-After",
    503: "nothing was kept; see Retry-After",
}
_KEPT: Facts = {
    "type": "object",
    "required": ["id", "state"],
    "properties": {
        "id": {"type": "string", "description": "the message's, by which it is found"},
        "state": {"enum": ["accepted", "pending"]},
        "detail": {"type": "string"},
    },
}

_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "the same for the same request sent again: it is done once",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!#-~]+$"},
}


def door(
    channel: str, path: str, method: str, who: WebOptions, taken: Sequence[str], answer: str, asks: bool,
    needs_key: bool, said: Described,
) -> Facts:  # fmt: skip
    """Facts for `add_route`. `answer`: the content type of a destination's answer, where the channel `asks` one."""
    extra: Facts = {"parameters": _parameters(path)}
    if method != "GET":
        extra["parameters"].append({**_KEY, "required": needs_key})
        extra["requestBody"] = {"required": True, "content": {_any(t): _content(said) for t in taken}}
    elif isinstance(asked := said.schemas.get(said.request), dict):
        extra["parameters"] += _query(asked, path)
    responses: dict[int | str, Facts] = {code: _refusal(text) for code, text in _REFUSALS.items()}
    for code in (409, 413, 415, 422, 408) if method == "GET" else ():
        del responses[code]
    responses[204] = {"description": "kept, where the channel says no more"}
    responses[202] = {
        "description": "kept; `pending`: no answer yet, do not send it again",
        "content": _json(_KEPT),
    }
    if asks:
        responses[200] = {"description": "the answer", "content": {answer: _answer(said)}}
    return _facts(channel, said, who, extra, responses)


def results(channel: str, path: str, who: WebOptions, answer: str, said: Described) -> Facts:
    """Facts of the route where a later answer is asked for."""
    wait = {
        "name": "wait",
        "in": "query",
        "description": "how long to wait for more than `pending`: `30s`; a minute at the most",
        "schema": {"type": "string", "pattern": r"^\d{1,4}(ms|s)?$"},
    }
    responses: dict[int | str, Facts] = {
        code: _refusal(_REFUSALS[code]) for code in (400, 401, 403, 429, 503)
    }
    responses[404] = _refusal("no result is known by this id")
    responses[202] = {"description": "no answer yet", "content": _json(_KEPT)}
    responses[200] = {"description": "the answer", "content": {answer: _answer(said)}}
    return _facts(channel, said, who, {"parameters": [*_parameters(path), wait]}, responses)


def _facts(
    channel: str, said: Described, who: WebOptions, extra: Facts, responses: dict[int | str, Facts]
) -> Facts:
    if who.callers or who.scope:
        asked = who.callers != ("anybody",)
        extra |= {"security": [{name: []} for name in SECURITY]} if asked else {}
    status = 200 if 200 in responses else 202
    return {
        "tags": [channel],
        "summary": said.title or channel,
        "status_code": status,
        "response_description": responses[status]["description"],
        "responses": responses,
        "openapi_extra": extra,
    }


def _parameters(path: str) -> list[Facts]:
    schema = {"type": "string", "minLength": 1, "pattern": "^[^/]+$"}
    return [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name in re.findall(r"\{(\w+)", path)
    ]


def _query(schema: Mapping[str, Any], path: str) -> list[Facts]:
    """A GET's message is an object of its parameters: what its schema says of them."""
    properties, inside = schema.get("properties", {}), re.findall(r"\{(\w+)", path)
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": said}
        for name, said in properties.items()
        if name not in inside
    ]


def _content(said: Described) -> Facts:
    schema = {"$ref": f"#/components/schemas/{said.request}"} if said.request else {}
    return ({"schema": schema} if schema else {}) | _examples(said.examples)


def _answer(said: Described) -> Facts:
    schema = {"$ref": f"#/components/schemas/{said.response}"} if said.response else {}
    return {"schema": schema} | _examples(said.answers)


def _examples(known: Mapping[str, Any]) -> Facts:
    made = {f"{n}": {"summary": name, "value": value} for n, (name, value) in enumerate(known.items(), 1)}
    return {"examples": made} if made else {}


def _refusal(text: str) -> Facts:
    return {"description": text, "content": _PROBLEM}


def _json(schema: Any) -> Facts:
    return {"application/json": {"schema": schema}}


def _any(taken: str) -> str:
    return taken if taken != "*" else "*/*"


def answer_type(response: str, format: str) -> str:
    """The content type of an answer: what the option says, unless that names a schema."""
    return response if response and not response.endswith((".json", ".xsd")) else media_type(format)
