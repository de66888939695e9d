"""Large bodies whose time is over: their files go when nothing needs them any more.

A message's file has the message's id for a name. It is needed while the journal keeps that body, of the message or of
one that was replayed from it, and while one of their deliveries has no end. What the journal has never heard of is what
a crash left between the disk and the broker: it goes after a week. While the journal has something to catch up with,
nothing goes but what never ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from router.blobs import Blobs
from router.chore import Chore
from router.ids import DAY_MS
from router.search import Story
from router.store import NotFound

log = structlog.get_logger()


_UNFINISHED_MS = DAY_MS  # age of a body that never ended
_UNKNOWN_MS = 7 * DAY_MS  # age of a body that no row speaks of
_MANY = 100  # replays of one message: no more are looked at, and it is kept
_FIRST_S, _EVERY_S = 600.0, 6 * 3600.0


class Sweep(Chore):
    """For the process that has the database. `show` is the journal's, `caught_up` says that its queue is empty."""

    def __init__(
        self,
        blobs: Blobs,
        show: Callable[[str], Story],
        caught_up: Callable[[], Awaitable[bool]],
        now_ms: Callable[[], int],
    ) -> None:
        super().__init__("sweep", self.once, _FIRST_S, _EVERY_S)
        self._blobs = blobs
        self._show = show
        self._caught_up = caught_up
        self._now_ms = now_ms

    async def once(self) -> int:
        """Returns how many files went. Raises StoreError and OSError."""
        heard_of_all = await self._caught_up()
        swept = await asyncio.to_thread(self._sweep, heard_of_all)
        if swept:
            log.info("blobs.swept", count=swept)
        return swept

    def _sweep(self, heard_of_all: bool) -> int:
        now_ms, swept = self._now_ms(), 0
        for name, since_ms, whole in self._blobs.listed():
            age_ms = now_ms - since_ms
            if age_ms < _UNFINISHED_MS:
                continue
            if whole and (not heard_of_all or self._needed(name, age_ms > _UNKNOWN_MS)):
                continue
            self._blobs.discard(name)
            swept += 1
        self._blobs.forget_days(now_ms - _UNFINISHED_MS)
        return swept

    def _needed(self, name: str, unknown_is_over: bool) -> bool:
        """By the message that it came with, and by all that were made from that."""
        asked, seen = [name], 0
        while asked:
            try:
                story = self._show(asked.pop())
            except NotFound:
                return not unknown_is_over
            seen += 1
            asked += story.children
            if _needs(story, name) or seen + len(asked) >= _MANY:
                return True
        return False


def _needs(story: Story, name: str) -> bool:
    if story.blob is not None:
        return story.blob.name == name  # else a resend, with a file of its own
    return story.body_over and any(d.state not in ("sent", "dead") for d in story.message.deliveries)
