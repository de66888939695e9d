"""Applies a site's files when they change: once for a burst of writes, and never in the middle of one.

Editors write beside and rename, or write twice; git writes many files. So a change counts when nothing has changed for
a moment and nobody has a file open for writing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import structlog

from config.errors import JingluoError
from config.settings import Settings
from router.files import Stamp, being_written, folders, is_one, stamp

log = structlog.get_logger()

T = TypeVar("T")

_SETTLE_S = 1.0
_LOOK_MS = 5_000  # without any news too: what changed before the watching began tells nobody


class Watcher:
    """Calls `apply` after each change until it is cancelled. It says whether it came so far as to judge the files.

    `polling` looks at the files again and again: network shares tell nobody of a change.
    """

    def __init__(
        self,
        settings: Settings,
        apply: Callable[[], Awaitable[bool]],
        *,
        polling: bool = False,
        settle_s: float = _SETTLE_S,
    ) -> None:
        """Raises JingluoError (JL-R007) where watchfiles is not installed."""
        try:
            import watchfiles
        except ImportError:
            raise JingluoError(
                "JL-R007", "`--watch` needs watchfiles: pip install 'jingluo[watch]'"
            ) from None
        self._awatch = watchfiles.awatch
        self._settings = settings
        self._apply = apply
        self._polling = polling
        self._settle_s = settle_s
        self._applied: Stamp = {}  # what changed while the engine started has been seen by nobody

    async def run(self) -> None:
        while True:
            try:
                await self._watch()
            except OSError as error:  # a share that is away for a while
                log.warning("watch.cannot_look", error=error.strerror or type(error).__name__)
                await asyncio.sleep(self._settle_s)
            except Exception:
                log.exception("watch.bug")
                await asyncio.sleep(self._settle_s)

    async def _watch(self) -> None:
        """Until there is another folder to watch: one for maps came."""
        await self._look()
        watched = await self._ask(folders)
        async for _ in self._awatch(
            *watched,
            watch_filter=lambda _, path: is_one(Path(path).name) or Path(path).is_dir(),
            rust_timeout=_LOOK_MS,
            yield_on_timeout=True,
            recursive=False,
            force_polling=self._polling or None,
        ):
            await self._look()
            if await self._ask(folders) != watched:
                return

    async def _look(self) -> None:
        found = await self._ask(stamp)
        while found != self._applied:
            await asyncio.sleep(self._settle_s)
            before, found = found, await self._ask(stamp)
            if found != before or await self._ask(being_written) is not None:
                continue
            if await self._apply():
                self._applied = found
            found = await self._ask(stamp)

    async def _ask(self, question: Callable[[Settings], T]) -> T:
        """In a thread: a share may take its time."""
        return await asyncio.to_thread(question, self._settings)
