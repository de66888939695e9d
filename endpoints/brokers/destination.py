"""A destination that publishes at somebody's broker: one connection, and the broker's word for each message."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Mapping
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from config.errors import Unreachable
from endpoints.base import Ground
from schemas.message import Message, Receipt


class Link(Protocol):
    """A connection."""

    good: bool

    async def close(self) -> None: ...


L = TypeVar("L", bound=Link)


class Publishing(ABC, Generic[L]):
    """Its own part: how a connection is opened, and what it publishes. `lost`: the code of a word that did not come."""

    lost: ClassVar[str]
    streams: ClassVar[bool] = False
    codes: ClassVar[frozenset[str]] = frozenset(("sent",))
    answers_in: ClassVar[str] = ""

    def __init__(self, options: Any, ground: Ground) -> None:
        self.options = options
        self.ground = ground
        self._link: L | None = None
        self._opening = asyncio.Lock()

    @abstractmethod
    def made(self) -> L:
        """A connection that is not open yet."""

    @abstractmethod
    async def open(self, link: L) -> None:
        """Raises OSError and TimeoutError."""

    async def start(self) -> None:
        """A connection is made when there is something to send."""

    async def stop(self) -> None:
        if self._link is not None:
            await self._link.close()

    def heard(self, message: Message, code: str, answer: bytes, headers: Mapping[str, str]) -> Receipt:
        return Receipt("sent")

    async def link(self) -> L:
        """The connection, made anew where it is lost. Raises Unreachable."""
        async with self._opening:
            if self._link is None or not self._link.good:
                await self.stop()
                self._link = self.made()
                try:
                    await self.open(self._link)
                except (OSError, TimeoutError) as error:
                    await self.stop()  # it may stand, and not be what is published on
                    raise self.options.refused_by(error) from None
            return self._link

    async def word(self, publishing: Awaitable[None]) -> Receipt:
        """The broker's, in time. Raises Unreachable where it does not come: the broker may have the message."""
        try:
            async with asyncio.timeout(self.options.timeout):
                await publishing
        except TimeoutError:
            text = f"no word of the broker within {self.options.timeout:g} s"
            raise Unreachable(self.lost, text, maybe_done=True) from None
        except ConnectionError as error:
            raise Unreachable(self.lost, str(error), maybe_done=True) from None
        return Receipt("sent")
