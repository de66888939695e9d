"""What `/openapi.json` says of a door at which several things can be asked: a path for each."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from endpoints.base import WebOptions
from endpoints.operations import Operation
from schemas.json import Json

_REF = "#/components/schemas/"


def each(
    channel: str, options: WebOptions, operations: Mapping[str, Operation], facts: Mapping[str, Any]
) -> dict[str, Any]:
    """`facts` are those of the one route behind them. Returns `paths` and `schemas`."""
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    path, method = options.path, options.method.lower()  # type: ignore[attr-defined]
    for name, operation in operations.items():
        request, answer = f"{channel}.{name}", f"{channel}.{name}.answer"
        schemas[request], schemas[answer] = dict(operation.request()), dict(operation.answer())
        for schema in (schemas[request], schemas[answer]):
            schema.pop("$schema", None)
        at = re.sub(r"\{\w+\}", name, path, count=1)
        paths[at] = {method: _operation(channel, options, operation, facts, request, answer)}
    return {"paths": paths, "schemas": schemas}


def _operation(
    channel: str, options: Any, operation: Operation, facts: Mapping[str, Any], request: str, answer: str
) -> dict[str, Any]:
    extra = copy.deepcopy(dict(facts["openapi_extra"]))
    extra["parameters"] = list(_parameters(options, operation, extra["parameters"]))
    for content in extra["requestBody"]["content"].values():
        content.clear()
        content["schema"] = {"$ref": _REF + request}
        content["examples"] = {"1": {"summary": operation.title, "value": _plain(operation.sample())}}
    responses = {str(code): copy.deepcopy(said) for code, said in facts["responses"].items()}
    for content in responses.get("200", {}).get("content", {}).values():
        content.clear()
        content["schema"] = {"$ref": _REF + answer}
    responses["404"] = copy.deepcopy(responses["403"]) | {"description": "nothing is called so here"}
    return {
        "tags": [channel],
        "summary": f"{operation.name} {operation.title}".strip(),
        "operationId": f"{channel}_{operation.name}".replace("-", "_"),
        "responses": responses,
        **extra,
    }


def _plain(tree: Any) -> Any:
    """With numbers that any encoder of JSON writes."""
    return msgspec.json.decode(Json().encode(tree))


def _parameters(options: Any, operation: Operation, known: list[Any]) -> Iterator[Any]:
    """Without the one that the path says, which is the first."""
    inside = re.findall(r"\{(\w+)\}", options.path)[:1]
    for one in known:
        if one["in"] == "path" and one["name"] in inside:
            continue
        if one["name"] == "Idempotency-Key" and options.idempotency_key == "writes":
            one = {**one, "required": operation.writes}
        yield one
