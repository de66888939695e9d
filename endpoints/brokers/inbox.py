"""What came on a connection, for whoever asks for the next."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

Came = TypeVar("Came")

LOST = "the broker closed the connection"


class Inbox(Generic[Came]):
    """`good` while the connection stands. What came before it was lost is still given out."""

    def __init__(self) -> None:
        self.good = False
        self._came: asyncio.Queue[Came | None] = asyncio.Queue()

    async def next(self, within_s: float) -> Came | None:
        """None where nothing came, or after a nudge. Raises ConnectionError once the connection is lost."""
        if not self.good and self._came.empty():
            raise ConnectionResetError(LOST)
        try:
            async with asyncio.timeout(within_s):
                return await self._came.get()
        except TimeoutError:
            return None

    def nudge(self) -> None:
        """Whoever waits for the next looks up."""
        self._came.put_nowait(None)
