"""Doors at which several things can be asked: what a request wants, whether its caller may, whether it is valid."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from fastapi import Request, Response

from config.models import did_you_mean
from config.registry import nearest
from endpoints.callers.asking import Right, respond
from endpoints.limits import problem
from endpoints.operations import Operation
from schemas.json import Json
from schemas.message import Message, Reply
from schemas.validation.base import Fault, told

_APART = 50_000  # bytes that are read in a thread
_json = Json()


class Wanted(NamedTuple):
    """An operation, None where the door has none; or a response that says no."""

    operation: Operation | None = None
    refusal: Response | None = None


def wanted(request: Request, operations: Mapping[str, Operation], values: Mapping[str, str]) -> Wanted:
    """`values` are the words of the request that may stand in `scope`."""
    operation = next((operations[value] for value in values.values() if value in operations), None)
    if operations and operation is None:
        name = next(iter(values.values()), "")
        hint = did_you_mean(nearest(name, operations), [])
        text = f"nothing is called {name[:60]!r} here 无此交易"
        return Wanted(refusal=problem(404, "JL-E206", detail="; ".join(filter(None, (text, hint)))))
    right: Right | None = getattr(request.state, "right", None)
    words = (operation.name, *operation.groups) if operation is not None else tuple(values.values())
    refused = right.refusal(words) if right is not None else None
    return Wanted(operation, respond(refused) if refused is not None else None)


async def judged(message: Message, operation: Operation | None) -> tuple[Message, Sequence[Fault]]:
    """The message as it is to be delivered: one that is at fault is refused, and filed. And its faults."""
    if operation is None or message.fault or message.blob is not None:
        return message, ()
    if len(message.body) < _APART:
        faults = faults_of(operation, message.body)
    else:
        faults = await asyncio.to_thread(faults_of, operation, message.body)
    return at_fault(message, faults), faults


def faults_of(operation: Operation, body: bytes) -> Sequence[Fault]:
    """What cannot be read at all, the engine says."""
    try:
        tree: Any = _json.decode(body)
    except Exception:
        return ()
    return operation.faults(tree)


def at_fault(message: Message, faults: Sequence[Fault]) -> Message:
    if not faults:
        return message
    return msgspec.structs.replace(message, fault=told(list(faults)), fault_code=faults[0].code)


def with_faults(reply: Reply, faults: Sequence[Fault]) -> Reply:
    """Each of them by itself, where the engine has the first in one line."""
    if not faults or reply.state != "refused":
        return reply
    return msgspec.structs.replace(reply, faults=tuple((f.path, f.text, f.code) for f in faults))
