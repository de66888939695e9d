"""What every protocol offers: a source that takes messages in, a destination that hands them on.

README.md in this folder is the checklist for a new one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from schemas.message import Message, Receipt, Reply

# Never raises, never blocks: what comes back is a Future of the Reply.
Deliver = Callable[[Message], "asyncio.Future[Reply]"]

HEAD_SIZE = 4096  # bytes kept of a message that could not be taken whole: enough to know whose it is


class Options(BaseModel):
    """The YAML of an endpoint. Unknown keys are refused; a field's description is the manual."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Web(Protocol):
    """The engine's one HTTP server, to which web doors add their routes."""

    def add_route(
        self, path: str, methods: list[str], handler: Callable[..., Awaitable[Any]], **facts: Any
    ) -> None: ...
    def remove_route(self, path: str, methods: list[str]) -> None: ...


@dataclass(frozen=True, slots=True)
class Ground:
    """What a running engine lends its endpoints."""

    name: str  # the channel, or channel.destination: for logs
    format: str = ""  # what the channel reads, or what the destination is sent
    web: Web | None = None
    base_dir: str = "."  # relative paths in a site are relative to this
    now: Callable[[], float] = time.time  # Unix seconds: the router's clock, which a test can stop


class Source(Protocol):
    """Takes messages in. Registered by `@source("kind")`; `Options` is its YAML."""

    Options: ClassVar[type[Options]]

    def __init__(self, options: Any, ground: Ground) -> None: ...
    async def start(self, deliver: Deliver) -> None: ...  # open the door; raises OSError where it cannot
    def pause(self) -> None: ...  # take nothing new (stop reading, 503) until `resume`
    def resume(self) -> None: ...
    def close(self) -> None: ...  # give up the port, route or folder at once: another source may open there
    async def stop(self) -> None: ...  # close the door, then wait for the replies still owed


class Destination(Protocol):
    """Hands messages on. Registered by `@destination("kind")`; `Options` is its YAML.

    `send` is called concurrently, at most `parallel` times at once. It returns when the receiver has
    said yes, and raises `Refused` or `Unreachable` (config.errors) otherwise.
    """

    Options: ClassVar[type[Options]]

    def __init__(self, options: Any, ground: Ground) -> None: ...
    async def start(self) -> None: ...
    async def send(self, message: Message) -> Receipt: ...
    async def stop(self) -> None: ...
