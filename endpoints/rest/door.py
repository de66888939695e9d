"""What all doors share that are routes of the engine's web server: how much at once, and how a body is read."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import NamedTuple

import structlog
from fastapi import Request, Response
from msgspec.structs import replace
from pydantic import Field, field_validator
from starlette.requests import ClientDisconnect

from config.errors import JingluoError
from config.units import Seconds, Size
from endpoints.base import Arrival, Deliver, Ground, WebOptions
from endpoints.callers.asking import caller_facts
from endpoints.limits import Body, Limit, problem, too_large, unpacked
from endpoints.rest.once import repeatable
from endpoints.web import BODY_WITHIN_S
from schemas.message import Blob, Message, Once

log = structlog.get_logger()

_HEAD_WITHIN_S = 1.0  # how long the beginning of a body that is not taken is waited for
_SECRET_HEADERS = {"authorization", "proxy-authorization", "cookie"}
_TOO_MANY = "too many requests at once 并发请求过多"
_PAUSED = "the channel is paused 通道已暂停"


class DoorOptions(WebOptions):
    """What is said of every web door."""

    headers: tuple[str, ...] = Field(
        ("x-request-id",), max_length=32, description="request headers that the message keeps"
    )
    max_size: Size = Field(100_000_000, description="of a body; a larger one is answered 413")
    requests: int = Field(200, ge=1, description="at once; a further one is answered 503")
    body_within: Seconds = Field(
        BODY_WITHIN_S, description="a body that takes longer is answered 408; a large one: for each MB"
    )
    stop_within: Seconds = Field(10.0, description="how long a stop waits for the answers still owed")

    @field_validator("headers")
    @classmethod
    def _no_secrets(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        lower = tuple(name.lower() for name in names)
        if secret := _SECRET_HEADERS & set(lower):
            raise ValueError(f"{min(secret)} holds a credential and is never kept")
        if ours := [name for name in lower if "." in name]:
            raise ValueError(f"{ours[0]}: names with a dot are the engine's own")
        return lower


class Came(NamedTuple):
    """A request's body. Where it went over a `limit`, its head alone."""

    body: bytes = b""
    blob: Blob | None = None
    limit: Limit | None = None
    once: Once | None = None

    def of(self, message: Message) -> Message:
        """The message with that body. What went over a limit the engine refuses, and files its head."""
        message = replace(message, body=self.body, blob=self.blob)
        if self.limit is not None:
            return replace(message, fault=self.limit.detail, fault_code=self.limit.code)
        return replace(message, once=self.once) if self.once is not None else message


class WebDoor(ABC):
    """A source's part of that: pausing, counting, and a stop that waits for the answers still owed."""

    def __init__(self, options: DoorOptions, ground: Ground) -> None:
        self.door_options = options
        self.ground = ground
        self._paused = False
        self._open = 0
        self._none_open = asyncio.Event()
        self._none_open.set()
        self._deliver: Deliver

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False

    @abstractmethod
    def close(self) -> None: ...

    async def stop(self) -> None:
        self.close()
        with contextlib.suppress(TimeoutError):  # what is left then, the web server's own stop cuts
            await asyncio.wait_for(self._none_open.wait(), self.door_options.stop_within)

    def busy(self) -> str:
        """Why a request cannot be taken now, or ''."""
        if self._paused:
            return _PAUSED
        return _TOO_MANY if self._open >= self.door_options.requests else ""

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """While a request is being answered."""
        self._open += 1
        self._none_open.clear()
        try:
            yield
        finally:
            self._open -= 1
            if not self._open:
                self._none_open.set()

    async def handled(self, request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        """What `answer` says, where there is room for the request now."""
        if text := self.busy():
            return problem(503, "JL-E211", detail=text, headers={"retry-after": "5"})
        with self.at_work():
            try:
                return await answer(request)
            except ClientDisconnect:
                return Response(status_code=400)  # nobody reads it

    async def came(self, request: Request, needs_key: bool = False) -> Came:
        """The body as it was before it was packed, and what makes it known when it comes again.

        Raises Limit for what is answered at once, JingluoError where it cannot be kept, ClientDisconnect.
        """
        options, arrival = self.door_options, Arrival(self.ground.spool)
        request = unpacked(request, options.max_size)
        repeat = repeatable(request, needs_key)
        reading = repeat.request if repeat is not None else request
        try:
            limit = await read_body(reading, arrival, options.max_size, options.body_within)
        except JingluoError as error:
            log.warning("http.large_not_kept", channel=self.ground.name, code=error.code, reason=error.text)
            raise
        once = repeat.once() if repeat is not None and limit is None else None
        return Came(arrival.body, arrival.blob, limit, once)


def kept_headers(request: Request, names: Iterable[str], kind: str) -> dict[str, str]:
    """What a message keeps of its request: those headers, and what the protocol knows. `kind` is its content type."""
    kept = {name: request.headers[name] for name in names if name in request.headers}
    kept |= {"method": request.method, "path": request.url.path}
    return kept | caller_facts(request) | ({"content-type": kind} if kind else {})


async def read_body(request: Request, arrival: Arrival, size: int, within: float) -> Limit | None:
    """The body; or the limit that it went over, and its head.

    Raises JingluoError where it cannot be kept, ClientDisconnect where the caller went away.
    """
    over, length = None, request.headers.get("content-length", "")
    if length.isdigit() and int(length) > size:
        over, size, within = too_large(size), 0, min(within, _HEAD_WITHIN_S)
        if "expect" in request.headers:  # reading would invite all of it
            return over
    receive = Body(request.receive, size, within)
    try:
        more = True
        while more:
            event = await receive()
            if event["type"] == "http.disconnect":
                raise ClientDisconnect
            await arrival.take(event.get("body", b""))
            more = event.get("more_body", False)
        await arrival.end()
    except Limit as limit:
        arrival.body = receive.head
        return over or limit
    finally:
        await arrival.give_up()
    return None
