"""The hourly job that drops what is over: the process that writes the rows does it, between two batches."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable

import structlog

from channels.model import Channel
from config.settings import Settings
from router.store import Keep, Rules, StoreError

log = structlog.get_logger()

EVERY_S = 3600.0
_FIRST_S = 60.0  # a start has other things to do


def rules_of(settings: Settings, channels: Iterable[Channel]) -> Rules:
    own = {c.name: Keep(c.keep.body_s, c.keep.rows_s) for c in channels if c.keep is not None}
    return Rules(own, Keep(settings.journal.keep.body, settings.journal.keep.rows))


class Keeping:
    """Once an hour, while it runs. `keep` drops what is over by these rules and says how much that was."""

    def __init__(
        self,
        keep: Callable[[Rules], Awaitable[int]],
        rules: Callable[[], Rules],
        first_s: float = _FIRST_S,
        every_s: float = EVERY_S,
    ) -> None:
        self._keep = keep
        self._rules = rules
        self._first_s, self._every_s = first_s, every_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="keeping")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        await asyncio.sleep(self._first_s)
        while True:
            rules = self._rules()
            try:
                if rules.end_anything:
                    await self._keep(rules)
            except StoreError as error:  # the next hour is another chance
                if error.code != "JL-J003":  # nothing was ever written
                    log.warning("journal.not_kept", code=error.code, error=error.text)
            except Exception:
                log.exception("journal.not_kept")
            await asyncio.sleep(self._every_s)
