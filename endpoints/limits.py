"""What a request may bring: a body up to a size and for a time. Every refusal is a problem (RFC 9457)."""

from __future__ import annotations

import asyncio
import hashlib
import http
import zlib
from collections.abc import Mapping, MutableMapping
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import Receive

from endpoints.base import HEAD_SIZE
from schemas.message import LARGE

CLOSE = {"connection": "close"}
MOST_TIMES = 100  # that a body may be larger unpacked: text with many blanks is some 20 times
_PIECE = 64_000  # bytes that are unpacked at one go


def problem(
    status: int,
    code: str,
    title: str = "",
    detail: str = "",
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Response:
    """A refusal as RFC 9457 problem+json; `code` is the engine's stable code, `more` are further members."""
    body: dict[str, Any] = {"title": title or http.HTTPStatus(status).phrase, "status": status}
    body |= {"detail": detail} if detail else {}
    body |= {"code": code} if code else {}
    body |= {name: value for name, value in more.items() if value}
    return JSONResponse(body, status, dict(headers or {}), "application/problem+json")


class Limit(HTTPException):
    """A client went over a limit. Raised while a request is read, answered as a problem."""

    def __init__(self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.code = code


class Body:
    """Reads a request's body up to a size and for a time, anew for each MB; over either a `Limit` is raised.

    `head` is the first that was read, also of what went over the limit.
    """

    def __init__(self, receive: Receive, max_size: int, within_s: float, length: bytes = b"") -> None:
        """`length`: what the headers say of it; where that is over the limit, nothing is read."""
        self._too_large = length.isdigit() and int(length) > max_size
        self._receive = receive
        self._max_size = max_size
        self._within_s = within_s
        self._size = 0
        self._next = LARGE  # where the time begins anew
        self.head = b""
        self._ends_at: float | None = None

    async def __call__(self) -> MutableMapping[str, Any]:
        if self._too_large:
            raise too_large(self._max_size)
        loop = asyncio.get_running_loop()
        if self._ends_at is None:
            self._ends_at = loop.time() + self._within_s
        try:
            async with asyncio.timeout_at(self._ends_at):
                event = await self._receive()
        except TimeoutError:
            text = f"the body did not end within {self._within_s:g} s"
            raise Limit(408, "JL-E203", text, CLOSE) from None
        piece = event.get("body", b"")
        if len(self.head) < HEAD_SIZE:
            self.head += piece[: HEAD_SIZE - len(self.head)]
        self._size += len(piece)
        if self._size > self._max_size:
            raise too_large(self._max_size)
        if self._size > self._next:
            self._next, self._ends_at = self._size + LARGE, loop.time() + self._within_s
        if not event.get("more_body"):
            self._ends_at = float("inf")  # a handler may wait for the client to go away
        return event


def too_large(max_size: int) -> Limit:
    return Limit(413, "JL-E201", f"the body is larger than {max_size} bytes")


def limit_problem(limit: Limit, id: str = "") -> Response:
    """`id` is the journal's, where what came is filed."""
    return problem(limit.status_code, limit.code, detail=limit.detail, headers=limit.headers, id=id)


class Unpacked:
    """A body that came with `Content-Encoding: gzip`, piece by piece as it was before.

    Nobody can make much of little: over `max_size`, or past the first MB over `MOST_TIMES` of what came, a `Limit` is
    raised. So it is of what is no gzip, or does not end with its end.
    """

    def __init__(self, receive: Receive, max_size: int) -> None:
        self._receive = receive
        self._max_size = max_size
        self._unpack = zlib.decompressobj(wbits=31)  # RFC 1952
        self._left = b""  # came, and is not unpacked yet
        self._more = False
        self._came = self._made = 0
        self._ended = False

    async def __call__(self) -> MutableMapping[str, Any]:
        while True:
            piece = self._piece()
            if piece:
                return {"type": "http.request", "body": piece, "more_body": True}
            if self._ended:
                if not self._unpack.eof:
                    raise _no_gzip()
                return {"type": "http.request", "body": b"", "more_body": False}
            event = await self._receive()
            if event["type"] != "http.request":
                return event
            self._left = event.get("body", b"")
            self._came += len(self._left)
            self._ended = not event.get("more_body")

    def _piece(self) -> bytes:
        if not (self._left or self._more):
            return b""
        if self._unpack.eof:  # a second one behind the first, or anything else
            raise _no_gzip()
        try:
            piece = self._unpack.decompress(self._left, _PIECE)
        except zlib.error:
            raise _no_gzip() from None
        self._left = self._unpack.unconsumed_tail or self._unpack.unused_data
        self._more = len(piece) == _PIECE and not self._unpack.eof  # without anything new, perhaps
        self._made += len(piece)
        if self._made > self._max_size:
            raise too_large(self._max_size)
        if self._made > LARGE and self._made > self._came * MOST_TIMES:
            raise Limit(413, "JL-E201", f"the body is more than {MOST_TIMES} times what came")
        return piece


def unpacked(request: Request, max_size: int) -> Request:
    """Raises Limit (415) for what is packed otherwise."""
    said = request.headers.get("content-encoding", "identity").strip().lower()
    if said in ("", "identity"):
        return request
    if said not in ("gzip", "x-gzip"):
        raise Limit(415, "JL-E212", f"{said[:40]} is not unpacked here", {"accept-encoding": "gzip"})
    return Request(request.scope, Unpacked(request.receive, max_size))


def _no_gzip() -> Limit:
    return Limit(400, "JL-E218", "the body is no whole gzip")


class Hashed:
    """What came of a body, as a digest when all is read."""

    def __init__(self, receive: Receive, before: bytes) -> None:
        """`before`: what the digest is of, besides."""
        self._receive = receive
        self._read = hashlib.blake2b(before, digest_size=16)

    async def __call__(self) -> MutableMapping[str, Any]:
        event = await self._receive()
        self._read.update(event.get("body", b""))
        return event

    def digest(self) -> bytes:
        return self._read.digest()
