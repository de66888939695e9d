"""What a source does that looks for itself: again and again, in its turn, while the engine takes messages.

Of all processes one looks at a time. What fails is tried again, later each time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog

from config.errors import JingluoError
from endpoints.base import Turn

log = structlog.get_logger()

_FIRST_S, _LONGEST_S = 1.0, 60.0


class Poller:
    """`look` does what is to be done, and says how long to wait until the next time (seconds).

    What it raises as JingluoError is logged with its code; everything else is a bug, and logged whole.
    """

    def __init__(self, name: str, turn: Turn, look: Callable[[], Awaitable[float]]) -> None:
        self._name = name
        self._turn = turn
        self._look = look
        self._go = asyncio.Event()
        self._go.set()
        self._stopping = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises JingluoError where nobody can get in line."""
        await self._turn.start()
        self._running = asyncio.create_task(self._run(), name=self._name)

    def pause(self) -> None:
        self._go.clear()

    def resume(self) -> None:
        self._go.set()

    @property
    def ends(self) -> bool:
        """Whether the source is to begin nothing more."""
        return self._stopping.is_set()

    def close(self) -> None:
        self._stopping.set()

    async def stop(self) -> None:
        """Returns when the look at hand is over; then the next process has its turn."""
        self.close()
        if self._running is not None:
            await self._running
        await self._turn.stop()

    async def may(self) -> bool:
        """Waits while the engine takes nothing. False where the source is to end, or has lost its turn."""
        return await self._unless_over(self._go.wait()) and self._turn.held

    async def _run(self) -> None:
        failed = 0
        while await self._unless_over(self._turn.wait()) and await self._unless_over(self._go.wait()):
            try:
                wait_s = await self._look()
                failed = 0
            except JingluoError as error:
                log.warning("source.waits", source=self._name, code=error.code, reason=error.text)
                failed += 1
            except Exception:
                log.exception("source.failed", source=self._name)
                failed += 1
            if failed:
                wait_s = min(_FIRST_S * 2 ** (failed - 1), _LONGEST_S)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), wait_s)

    async def _unless_over(self, waiting: Awaitable[object]) -> bool:
        """Waits for that. False where the source is to end first."""
        tasks = [asyncio.ensure_future(waiting), asyncio.ensure_future(self._stopping.wait())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return not self._stopping.is_set()
