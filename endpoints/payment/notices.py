"""The door at which a payment channel tells what has happened (异步通知): verified, kept, and only then answered.

A kind verifies and reads; what it makes is the message that `noticed` takes. What cannot be proved to be the channel's
is answered 4xx, and nothing of it is kept but how many there were and the names of its headers.

    @registry.source("wechat_pay")
    class WechatNotices(NoticeDoor):
        Options = WechatNoticeOptions

        def understood(self, headers, body) -> Notice: ...
"""

from __future__ import annotations

import asyncio
import hashlib
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import structlog
from fastapi import Request, Response
from pydantic import Field

from config.units import Size
from endpoints.base import Arrival, Deliver, Ground, Told
from endpoints.limits import Limit, limit_problem, unpacked
from endpoints.payment.numbers import yuan_of
from endpoints.rest.door import DoorOptions, WebDoor, read_body
from schemas.json import Json
from schemas.message import Message, Once, Reply

log = structlog.get_logger()
_JSON = Json()
_TAKEN = ("accepted", "answered", "pending")


class NoticeOptions(DoorOptions):
    """`from: {system: wechat, path: /notices/wechat, callers: anybody}`: who calls is known by signature alone."""

    system_field: ClassVar[str] = "name"
    makes: ClassVar[str] = "json"

    name: str = Field("", max_length=40, description="what its orders are kept under: the system's name")
    path: str = Field(pattern=r"^/[^{}]*$", description="the address that the channel was given")
    max_size: Size = Field(64_000, description="of a body, which is held whole; a larger one is answered 413")


class Unproved(Exception):
    """It is not the channel's, or cannot be told to be. Nothing of it is stored."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code, self.text = code, text


class Said(NamedTuple):
    """What the channel reads."""

    status: int
    body: bytes = b""
    kind: str = "application/json; charset=utf-8"


def notice(
    id: str,
    kind: str,
    order: str,
    fen: int,
    *,
    refund: str = "",
    state: str = "",
    channel_no: str = "",
    at_ms: int = 0,
    merchant: str = "",
    app: str = "",
    currency: str = "CNY",
    **more: Any,
) -> dict[str, Any]:
    """The message: see noticed.py. `fen` is what was paid, or of this refund; 0 where the channel does not say."""
    made = {
        "id": id,
        "kind": kind,
        "order": order,
        "refund": refund,
        "amount": yuan_of(fen) if fen else "",
        "currency": currency,
        "state": state,
        "channel_no": channel_no,
        "paid_ms": at_ms,
        "merchant": merchant,
        "app": app,
    }
    return {**made, **more}


class NoticeDoor(WebDoor):
    Options: ClassVar[Any] = NoticeOptions
    codes = frozenset(("200", "400", "503"))

    def __init__(self, options: NoticeOptions, ground: Ground) -> None:
        super().__init__(options, ground)
        self.options: Any = options
        self.unproved = 0
        self._open_at = False

    @abstractmethod
    def understood(self, headers: Mapping[str, str], body: bytes) -> dict[str, Any] | None:
        """What `notice` makes; None of a notice that says nothing of an order, which is answered as taken. Raises
        Unproved. Header names are in small letters. Runs in a thread."""

    def yes(self) -> Said:
        """The channel's word for: it need not be sent again."""
        return Said(200)

    def no(self, status: int, text: str) -> Said:
        return Said(status, _JSON.encode({"code": "FAIL", "message": text}))

    async def start(self, deliver: Deliver) -> None:
        if self.ground.web is None:
            raise OSError("the engine has no web server")
        self._deliver = deliver
        name, said = self.ground.name, self.ground.described
        facts: dict[str, Any] = {"tags": [name], "summary": said.title or name, "schemas": said.schemas}
        self.ground.web.add_route(
            self.options.path, ["POST"], self._handle, who=self.door_options, channel=name, **facts
        )
        self._open_at = True

    def close(self) -> None:
        if self._open_at and self.ground.web is not None:
            self._open_at = False
            self.ground.web.remove_route(self.options.path, ["POST"])

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
            return limit_problem(limit)
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            read = await asyncio.to_thread(self.understood, headers, arrival.body)
        except Unproved as error:
            self.unproved += 1
            names = sorted(headers)[:40]
            log.warning(
                "payment.unproved",
                channel=self.ground.name,
                code=error.code,
                count=self.unproved,
                headers=names,
            )
            return _response(self.no(400, error.text))
        if read is None:
            return _response(self.yes())
        return _response(self._said(await self._kept(request, read)))

    async def _kept(self, request: Request, read: dict[str, Any]) -> Reply:
        """One notice is one message, however often it comes."""
        same = hashlib.blake2b(f"{self.options.name}\0{read['id']}".encode(), digest_size=16).digest()
        client = request.client.host if request.client else ""
        headers = {"notice": str(read["kind"]), "order": str(read["order"])}
        message = Message(_JSON.encode(read), f"notice {client}", headers, once=Once(same))
        return await asyncio.shield(self._deliver(message))

    def _said(self, reply: Reply) -> Said:
        if reply.state in _TAKEN:
            return self.yes()
        if reply.state == "failed":
            return self.no(503, "try again 暂时无法接收")
        return self.no(400, "refused 拒绝")

    def told(self, message: Message, reply: Reply) -> Told:
        """For `jingluo test`, whose messages stand there as `notice` makes them."""
        said = self._said(reply)
        return Told("200" if said.status < 300 else str(said.status), said.body, "json" if said.body else "")


def _response(said: Said) -> Response:
    headers = {"retry-after": "5"} if said.status == 503 else {}
    return Response(said.body, said.status, headers, said.kind if said.body else None)
