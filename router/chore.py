"""Work that is done now and again while the engine runs. It may fail: the next time is another chance."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog

from config.errors import JingluoError

log = structlog.get_logger()


class Chore:
    """Does `work` every so often, for the first time after `first_s` seconds; what it raises is logged."""

    def __init__(
        self, name: str, work: Callable[[], Awaitable[object]], first_s: float, every_s: float
    ) -> None:
        self._name = name
        self._work = work
        self._first_s, self._every_s = first_s, every_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        """Cuts it short where it is at work."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        await asyncio.sleep(self._first_s)
        while True:
            try:
                await self._work()
            except JingluoError as error:
                log.warning("chore.not_done", chore=self._name, code=error.code, error=error.text)
            except OSError as error:
                log.warning("chore.not_done", chore=self._name, error=error.strerror or type(error).__name__)
            except Exception:
                log.exception("chore.not_done", chore=self._name)
            await asyncio.sleep(self._every_s)
