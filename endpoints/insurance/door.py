"""What the doors have in common at which a centre calls the hospital: one address, an envelope in, an envelope out.

The engine has stored the message before the centre hears that it was taken. Sent again, it is the same message, and
hears the same: what it is known by is its content, since a centre that repeats signs and dates it anew.
"""

from __future__ import annotations

import asyncio
import hashlib
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

import structlog
from fastapi import Request, Response
from pydantic import Field

from config.units import Size
from endpoints.base import Arrival, Deliver, Ground, Told
from endpoints.limits import Limit, limit_problem, unpacked
from endpoints.rest.door import DoorOptions, WebDoor, kept_headers, read_body
from schemas.message import NOTHING, Message, Once, Reply

log = structlog.get_logger()

_KIND = "application/json; charset=utf-8"


class CentreDoorOptions(DoorOptions):
    path: str = Field(pattern=r"^/[^{}]*$", description="the address that the centre was given")
    max_size: Size = Field(
        1_000_000, description="of a body, which is held whole; a larger one is answered 413"
    )


class Understood(NamedTuple):
    """What came, out of its envelope. With a `fault` the engine refuses it and files it."""

    body: bytes
    headers: Mapping[str, str] = NOTHING
    fault: str = ""
    fault_code: str = ""
    same: bytes = b""  # what it is known by when it comes again; the whole body where this is empty


class Unproved(Exception):
    """It is not the centre's, or cannot be told to be. Nothing of it is stored."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code, self.text = code, text


class CentreDoor(WebDoor):
    codes = frozenset(("0", "-1"))
    answers_in = "json"

    def __init__(self, options: CentreDoorOptions, ground: Ground) -> None:
        super().__init__(options, ground)
        self._path = options.path
        self._open_at = False

    @abstractmethod
    def understood(self, body: bytes) -> Understood:
        """Raises Unproved. Runs in a thread."""

    @abstractmethod
    def say(self, reply: Reply) -> bytes:
        """The centre's envelope around what became of it. Runs in a thread."""

    async def start(self, deliver: Deliver) -> None:
        if self.ground.web is None:
            raise OSError("the engine has no web server")
        self._deliver = deliver
        who, name, said = self.door_options, self.ground.name, self.ground.described
        facts: dict[str, Any] = {"tags": [name], "summary": said.title or name, "schemas": said.schemas}
        self.ground.web.add_route(self._path, ["POST"], self._handle, who=who, channel=name, **facts)
        self._open_at = True

    def close(self) -> None:
        if self._open_at and self.ground.web is not None:
            self._open_at = False
            self.ground.web.remove_route(self._path, ["POST"])

    async def _handle(self, request: Request) -> Response:
        return await self.handled(request, self._answer)

    async def _answer(self, request: Request) -> Response:
        options, arrival = self.door_options, Arrival(None)
        try:
            limit = await read_body(
                unpacked(request, options.max_size), arrival, options.max_size, options.body_within
            )
        except Limit as refused:
            return limit_problem(refused)
        if limit is not None:
            await self._taken(request, Understood(arrival.body, NOTHING, limit.detail, limit.code))
            return limit_problem(limit)
        try:
            read = await asyncio.to_thread(self.understood, arrival.body)
        except Unproved as error:
            log.warning("insurance.call_unproved", channel=self.ground.name, code=error.code)
            return await self._said(400, Reply("refused", code=error.code, text=error.text))
        reply = await self._taken(request, read)
        return await self._said(503 if reply.state == "failed" else 200, reply)

    async def _taken(self, request: Request, read: Understood) -> Reply:
        headers = kept_headers(request, self.door_options.headers, "application/json") | dict(read.headers)
        same = hashlib.blake2b(read.same or read.body, digest_size=16).digest()
        client = request.client.host if request.client else ""
        message = Message(
            read.body,
            f"insurance {client}",
            headers,
            fault=read.fault,
            fault_code=read.fault_code,
            once=None if read.fault else Once(same),
        )
        return await asyncio.shield(self._deliver(message))

    async def _said(self, status: int, reply: Reply) -> Response:
        body = await asyncio.to_thread(self.say, reply)
        headers = {"retry-after": str(reply.retry_after_s or 5)} if status == 503 else {}
        return Response(body, status, headers, _KIND)

    def told(self, message: Message, reply: Reply) -> Told:
        """For `jingluo test`, whose messages stand there without their envelope."""
        taken = reply.state in ("accepted", "answered", "pending")
        return Told("0" if taken else "-1", self.plain(reply), "json")

    @abstractmethod
    def plain(self, reply: Reply) -> bytes:
        """What a test sees of the answer: what goes into the envelope."""


def words(reply: Reply) -> str:
    """Why it was not taken, for the centre's people; '' where it was."""
    if reply.state in ("accepted", "answered", "pending"):
        return ""
    if reply.state == "failed":
        return "暂时无法接收，请稍后重发 not taken, send it again"
    return f"{reply.code}: {reply.text}".strip(": ") or "拒绝 refused"
