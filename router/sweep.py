"""Large bodies whose time is over: their files go when nothing needs them any more.

A message's file has the message's id for a name. It is needed while the journal keeps that body, of the message or of
one that was replayed from it, and while one of their deliveries has no end. What the journal has never heard of is what
a crash left between the disk and the broker: it goes after a week, where the journal has, or had, rows of that day. A
journal that knows nothing of the day is another one (a wrong address, a new database), and says nothing about the file.
While the journal has something to catch up with, nothing goes but what never ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from config.crypto import KeyTrouble
from router.blobs import Blobs
from router.chore import Chore
from router.ids import DAY_MS, day_at
from router.search import Story
from router.store import NotFound

log = structlog.get_logger()


_UNFINISHED_MS = DAY_MS  # age of a body that never ended
_UNKNOWN_MS = 7 * DAY_MS  # age of a body that no row speaks of
_MANY = 100  # replays of one message: no more are looked at, and it is kept
_FIRST_S, _EVERY_S = 600.0, 6 * 3600.0


class Asked(Protocol):
    """The journal."""

    def show(self, id: str, *, children: bool = True) -> Story: ...
    def knew(self, day: str) -> bool: ...


class Sweep(Chore):
    """For the process that has the database. `caught_up` says that the journal's queue is empty."""

    def __init__(
        self,
        blobs: Blobs,
        journal: Asked,
        caught_up: Callable[[], Awaitable[bool]],
        now_ms: Callable[[], int],
    ) -> None:
        super().__init__("sweep", self.once, _FIRST_S, _EVERY_S)
        self._blobs = blobs
        self._journal = journal
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
        knew: dict[str, bool] = {}
        for name, since_ms, whole in self._blobs.listed():
            age_ms = now_ms - since_ms
            if age_ms < _UNFINISHED_MS:
                continue
            if whole:
                if not heard_of_all:
                    continue
                needed = self._needed(name)
                if needed is None and age_ms > _UNKNOWN_MS:
                    day = day_at(since_ms)
                    if day not in knew:
                        knew[day] = self._journal.knew(day)
                    needed = not knew[day]
                if needed in (None, True):
                    continue
            self._blobs.discard(name)
            swept += 1
        if strange := sorted(day for day, known in knew.items() if not known):
            log.warning("blobs.days_unknown", days=len(strange), oldest=strange[0], newest=strange[-1])
        self._blobs.forget_days(now_ms - _UNFINISHED_MS)
        return swept

    def _needed(self, name: str) -> bool | None:
        """By the message that it came with, or one that was made from it. None: the journal knows none of them."""
        try:
            if _needs(
                self._journal.show(name, children=False), name
            ):  # usually; their search takes every later day
                return True
            asked, seen = [name], 0
            while asked:
                story = self._journal.show(asked.pop())
                seen += 1
                asked += story.children
                if _needs(story, name) or seen + len(asked) >= _MANY:
                    return True
        except NotFound:
            return None
        except (
            KeyTrouble
        ) as error:  # a row that was changed: the proof of the journal says so, and the file stays
            log.warning("blobs.not_judged", message=name, code=error.code)
            return True
        return False


def _needs(story: Story, name: str) -> bool:
    if story.blob is not None:
        return story.blob.name == name  # else a resend, with a file of its own
    return story.body_over and any(d.state not in ("sent", "dead") for d in story.message.deliveries)
