"""Looks every few seconds whether all is well: opens alerts, closes them, logs each once, and has them sent on.

Of all processes with the role `journal` one looks, the one whose turn it is. Only that the broker is away each of them
says for itself: nobody can be told of it before it is back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from channels.model import Channel
from router.alerts.book import Alert, Book, Closed, Opened
from router.alerts.judge import Findings, Judge
from router.alerts.kinds import KINDS, Fact, Name
from router.alerts.teller import Teller
from router.brokers.base import Broker
from router.chore import Chore
from router.ids import new_id
from router.turns import TurnQueue

log = structlog.get_logger()

EVERY_S = 5.0
WATCH = "_alerts"  # whose turn it is; no channel is called so
_AWAY = Name("broker")


class Looks(Protocol):
    """Knows of some things whether they are well."""

    async def look(self, channels: Sequence[Channel], found: Findings, now_ms: int) -> None:
        """Adds to `found`."""


class Lookout(Chore):
    """`channels` are those of the moment."""

    def __init__(
        self,
        broker: Broker,
        book: Book,
        looks: Sequence[Looks],
        channels: Callable[[], Sequence[Channel]],
        teller: Teller,
        now_ms: Callable[[], int],
        close: Callable[[], None] = lambda: None,
    ) -> None:
        """`close` lets go of what the looks have opened; it may block."""
        super().__init__("alerts", self.once, 0, EVERY_S)
        self.away: Alert | None = None  # the broker, as long as the book cannot be told
        self._broker = broker
        self._book = book
        self._looks = looks
        self._channels = channels
        self._teller = teller
        self._now_ms = now_ms
        self._close = close
        self._turn = TurnQueue(broker, WATCH)
        self._waiting: asyncio.Task[None] | None = None  # for the turn
        self._judge = Judge()
        self._away_ms = 0
        self.ready = self._turn.start

    async def stop(self) -> None:
        await super().stop()
        if self._waiting is not None:
            self._waiting.cancel()
        await self._turn.stop()
        await asyncio.to_thread(self._close)

    @property
    def watches(self) -> bool:
        """Whether it is this process's turn."""
        return self._turn.held

    async def once(self) -> None:
        """One look. Raises BrokerDown where it goes away meanwhile: what was found is found again."""
        now_ms = self._now_ms()
        if not self._broker.open:
            self._judge = Judge()  # nothing of what was so counts on
            self._mind_the_broker(now_ms)
            return
        if self.away is not None:
            await self._book.opened(Opened(self.away.id, _AWAY, self.away.fact, self.away.opened_ms))
            self.away = None
        self._away_ms = 0
        if not self.watches:
            self._judge = Judge()
            if self._waiting is None or self._waiting.done():
                self._waiting = asyncio.create_task(self._turn.wait(), name="turn of alerts")
            return
        channels, found = self._channels(), Findings()
        for one in self._looks:
            await one.look(channels, found, now_ms)
        opening, over = self._judge.judge(found, self._book.open.keys(), now_ms)
        for name, fact in opening.items():
            alert = Opened(new_id(now_ms), name, fact, now_ms)
            if await self._book.opened(alert):
                _said("opened", name, fact)
        for name in over:
            await self._book.over(Closed(self._book.open[name].id, name, now_ms))
            _said("closed", name)
        await self._teller.tell(self._book, channels)

    def _mind_the_broker(self, now_ms: int) -> None:
        self._away_ms = self._away_ms or now_ms
        lasts = now_ms - self._away_ms >= KINDS[_AWAY.what].lasts_s * 1000
        if lasts and self.away is None and _AWAY not in self._book.open:
            self.away = Alert(new_id(self._away_ms), _AWAY, Fact(), self._away_ms)
            _said("opened", _AWAY)


def _said(what: str, name: Name, fact: Fact | None = None) -> None:
    """Whoever reads the log finds both by the same words."""
    facts = {"figure": round(fact.figure, 1), "limit": fact.limit} if fact is not None else {}
    said = {
        key: value for key, value in zip(("channel", "destination", "about"), name[1:], strict=True) if value
    }
    severity = KINDS[name.what].severity
    tell = log.info if what == "closed" else log.error if severity == "critical" else log.warning
    tell(f"alert.{what}", what=name.what, severity=severity, **said, **facts)
