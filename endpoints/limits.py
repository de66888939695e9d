"""What a request may bring: a body up to a size and for a time. Every refusal is a problem (RFC 9457)."""

from __future__ import annotations

import asyncio
import http
from collections.abc import Mapping, MutableMapping
from typing import Any

from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import Receive

from endpoints.base import HEAD_SIZE
from schemas.message import LARGE

CLOSE = {"connection": "close"}


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
