"""Whether a queue is delivered from now. Shut while its destination is paused, its lane held, older queues drain."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable


class Gate:
    """`look` again whenever `allowed()` may have changed. Who works behind it says with `when_shut` how it is woken."""

    def __init__(self, allowed: Callable[[], bool]) -> None:
        self._allowed = allowed
        self._open = asyncio.Event()  # or ended: nobody shall wait any more
        self._shut = asyncio.Event()
        self._ended = False
        self._wake: Callable[[], None] = _nobody
        self.look()

    @property
    def shut(self) -> bool:
        return self._shut.is_set()

    def look(self) -> None:
        if not self._ended and self._allowed():
            self._open.set()
            self._shut.clear()
        elif not self._shut.is_set():
            self._shut.set()
            self._open.clear()
            self._wake()
        if self._ended:
            self._open.set()

    def end(self) -> None:
        """For good."""
        self._ended = True
        self.look()

    def when_shut(self, wake: Callable[[], None]) -> None:
        self._wake = wake

    async def opened(self) -> bool:
        """Waits until it is open. False: it has ended."""
        await self._open.wait()
        return not self._ended

    async def pause(self, delay_s: float) -> None:
        """Waits that long, or until it is shut."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._shut.wait(), delay_s)


def _nobody() -> None:
    """Nothing works behind it yet."""
