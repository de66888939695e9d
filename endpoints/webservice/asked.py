"""Calls of `Call` at a door at which several things can be asked: XML in, the same as JSON for the channel, XML out."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from fastapi import Request
from msgspec.structs import replace

from config.errors import BadMessage
from endpoints.callers.admission import NOT_HERE
from endpoints.callers.asking import Right
from endpoints.operations import Operation
from endpoints.rest.asked import at_fault, faults_of
from endpoints.webservice.conventions import Asked, Said
from endpoints.webservice.conventions.call import Call
from endpoints.webservice.conventions.outline import HEAD, outline, text_at
from schemas.message import Message, Once, Reply

NUMBER = "HISTradeNo"  # what a caller calls a request by: with the same it is done once
UNDER_WAY = "JL-M081"
_APART = 50_000  # bytes that are read in a thread


class Wanted(NamedTuple):
    operation: Operation | None = None
    refusal: Reply | None = None


def wanted(request: Request, operations: Mapping[str, Operation], action: str) -> Wanted:
    """What a call wants, or why it cannot have it."""
    right: Right | None = getattr(request.state, "right", None)
    operation = operations.get(action)
    words = (operation.name, *operation.groups) if operation is not None else (action,)
    if right is not None and right.refusal(words) is not None:
        return Wanted(refusal=Reply("refused", code="JL-E213", text=NOT_HERE))
    return Wanted(operation)


async def carried(message: Message, operation: Operation) -> Message:
    """The call's message as JSON; one that is at fault as it came, with what is wrong."""
    if message.blob is not None or len(message.body) < _APART:
        return as_json(message, operation)
    return await asyncio.to_thread(as_json, message, operation)


def as_json(message: Message, operation: Operation) -> Message:
    number = text_at(outline(message.body[:HEAD]), f"{{*}}{NUMBER}")
    if message.fault:
        return message
    if operation.writes and not number:
        return replace(
            message, fault=f"{NUMBER} is needed: with the same it is done once", fault_code="JL-E217"
        )
    try:
        made = operation.of_xml(message.body)
    except BadMessage as error:
        return replace(message, fault=error.text, fault_code=error.code)
    faults = faults_of(operation, made)
    if faults:
        return at_fault(message, faults)
    whose = f"{message.headers.get('caller.name', '')}\0soap\0{number}".encode()
    once = Once(
        hashlib.blake2b(whose, digest_size=16).digest(),
        hashlib.blake2b(f"{operation.name}\n".encode() + made, digest_size=16).digest(),
    )
    headers = {**message.headers, "param.code": operation.name}
    return replace(message, body=made, charset="utf-8", headers=headers, once=once if number else None)


def outlined(convention: Call, operation: Operation, asked: Asked, reply: Reply, now_s: float) -> Said:
    """Of an answer what can be outlined; all else in the convention's own words.

    While the first call of a number is under way, the same again is no refusal: nobody must take it for one.
    """
    if reply.code == UNDER_WAY:
        reply = replace(reply, state="pending")
    if reply.state != "answered" or not reply.body:
        return convention.answer(asked, reply, now_s)
    try:
        answer = operation.in_xml(reply.body)
    except BadMessage:
        return convention.answer(asked, reply, now_s)
    return convention.outlined(asked, reply, answer, now_s)
