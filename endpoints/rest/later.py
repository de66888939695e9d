"""Answers that came later: `GET <path>/results/<id>?wait=30s`, for who sent the request, for a day."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable

from fastapi import Request, Response

from endpoints.limits import problem
from schemas.message import Reply

TAIL = "/results/{result_id}"
LONGEST_S = 60.0
_WAIT = re.compile(r"([0-9]{1,4})(ms|s)?")

Find = Callable[
    [str, str, float], Awaitable[Reply | None]
]  # caller, message's id, how long to wait (seconds)
Answer = Callable[[Reply, Request], Response]


class Results:
    """The route's handler. `close` ends all waiting."""

    def __init__(self, find: Find, answer: Answer, most: int) -> None:
        """`answer` says a reply in the door's words. `most` wait at once: a further one is answered as it stands."""
        self._find = find
        self._answer = answer
        self._most = most
        self._waiting = 0
        self._closing = asyncio.Event()

    def close(self) -> None:
        self._closing.set()

    async def handle(self, request: Request) -> Response:
        said = request.query_params.get("wait", "0")
        wait = _WAIT.fullmatch(said)
        if wait is None:
            return problem(400, "JL-E205", detail="wait is a time: 30s, 500ms; a minute at the most")
        wait_s = min(int(wait[1]) / (1000 if wait[2] == "ms" else 1), LONGEST_S)
        id, caller = request.path_params["result_id"], getattr(request.state, "caller", "")
        self._waiting += 1
        try:
            reply = await self._found(caller, id, wait_s if self._waiting <= self._most else 0.0)
        finally:
            self._waiting -= 1
        if reply is None:
            return problem(404, "JL-E219", detail="no result is known by this id 没有该编号的结果")
        return self._answer(reply, request)

    async def _found(self, caller: str, id: str, wait_s: float) -> Reply | None:
        if not wait_s:
            return await self._find(caller, id, 0.0)
        asking = asyncio.ensure_future(self._find(caller, id, wait_s))
        closing = asyncio.ensure_future(self._closing.wait())
        await asyncio.wait((asking, closing), return_when=asyncio.FIRST_COMPLETED)
        closing.cancel()
        if asking.done():
            return asking.result()
        asking.cancel()
        return await self._find(caller, id, 0.0)
