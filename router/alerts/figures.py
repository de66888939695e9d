"""What channels want to be told of: how long one is silent, how long messages wait, how many died lately.

All of it is asked of what every process of the site shares, the journal and the queues: so it is known whoever takes
messages in and whoever delivers them, and over restarts. While the journal is away or behind, nothing of it is known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from channels.model import Branch, Channel
from config.alert_settings import ALERTS, AlertSettings, Hours
from router.alerts.judge import Findings
from router.alerts.kinds import Fact, Name
from router.board import Way
from router.brokers.base import Broker, BrokerDown
from router.conservation import Conservation
from router.ids import DAY_MS
from router.intake import queues_of_branch
from router.journal import Journal
from router.queues import Queues
from router.store import StoreError

T = TypeVar("T")

_HOUR_MS = 3_600_000
_LATER_MS = 7 * DAY_MS  # so long after its last try somebody may still give up a message by hand


class Books(Protocol):
    """What is asked of the journal. Blocking."""

    def latest(self, channels: Mapping[str, int]) -> dict[str, int]: ...

    def died(self, since_ms: int, from_ms: int) -> dict[Way, int]: ...


class Figures:
    """`oldest` are the deliveries that this process has had in hand: when the oldest of each way was received."""

    def __init__(
        self,
        books: Books,
        journal: Journal,
        broker: Broker,
        conservation: Conservation,
        queues: Queues,
        oldest: Callable[[], Mapping[Way, int]],
        site: AlertSettings,
        started_ms: int,
    ) -> None:
        self._books = books
        self._journal = journal
        self._broker = broker
        self._conservation = conservation
        self._queues = queues
        self._oldest = oldest
        self._site = site
        self._started_ms = started_ms

    async def look(self, channels: Sequence[Channel], found: Findings, now_ms: int) -> None:
        """Adds to `found`."""
        wanted = [(channel, channel.alert.over(self._site)) for channel in channels]
        for what, look in (("silent", self._silent), ("oldest", self._waiting), ("dead", self._died)):
            try:
                await look(wanted, found, now_ms)
            except (StoreError, BrokerDown):  # there are alerts of their own for that
                found.unseen.add(what)

    async def _silent(
        self, wanted: Sequence[tuple[Channel, AlertSettings]], found: Findings, now_ms: int
    ) -> None:
        limits = {
            channel.name: (alert.silent * 1000, alert.hours)
            for channel, alert in wanted
            if alert.silent is not None and channel.kind != ALERTS
        }
        if not limits:
            return
        if not await self._journal.keeps_pace():
            found.unseen.add("silent")
            return
        # Of what is handed over, the id is of its parent's time: that may have waited before.
        since = {name: int(now_ms - limit_ms) - DAY_MS for name, (limit_ms, _) in limits.items()}
        latest = await _asked(lambda: self._books.latest(since))
        for channel, (limit_ms, hours) in limits.items():
            name, last_ms = Name("silent", channel), latest.get(channel, 0)
            began_ms = _within(hours, now_ms)
            if now_ms - last_ms < limit_ms:
                continue
            if began_ms is None or now_ms - max(last_ms, began_ms, self._started_ms) < limit_ms:
                found.unsure.add(name)
            else:
                found.raised[name] = Fact((now_ms - last_ms) / 1000 if last_ms else 0.0, limit_ms / 1000)

    async def _waiting(
        self, wanted: Sequence[tuple[Channel, AlertSettings]], found: Findings, now_ms: int
    ) -> None:
        limits = {
            (channel.name, branch.name): (alert.oldest + gathers_s, queues_of_branch(channel, branch))
            for channel, alert in wanted
            if alert.oldest is not None
            for branch in channel.branches
            if (gathers_s := _gathers_s(branch)) is not None
        }
        if not limits:
            return
        depths = await self._broker.depth([queue for _, queues in limits.values() for queue in queues])
        delayed = await self._broker.delayed()
        # What others have in hand is in no queue that anybody sees, and what was ours they may have delivered.
        alone, looked = await self._queues.alone(), self._conservation
        mine = self._oldest() if alone else {}
        for way, (limit_s, queues) in limits.items():
            waits = sum(depths[queue].total for queue in queues)
            since = [known[way] for known in (mine, looked.oldest) if way in known]
            name = Name("oldest", *way)
            if alone and not waits and not delayed:
                continue
            if not since:
                if waits or not looked.looked_lately(now_ms):
                    found.unsure.add(name)
                continue
            age_s = (now_ms - min(since)) / 1000
            if age_s > limit_s:
                found.raised[name] = Fact(age_s, limit_s)
            elif age_s > limit_s / 2:
                found.unsure.add(name)

    async def _died(
        self, wanted: Sequence[tuple[Channel, AlertSettings]], found: Findings, now_ms: int
    ) -> None:
        limits = {channel.name: alert.dead for channel, alert in wanted if alert.dead is not None}
        if not limits:
            return
        longest_s = max((b.retry.for_s for channel, _ in wanted for b in channel.branches), default=0)
        from_ms = int(now_ms - 1000 * longest_s - _LATER_MS)
        died = await _asked(lambda: self._books.died(now_ms - _HOUR_MS, from_ms))
        for way, count in died.items():
            if way[0] not in limits:
                continue
            limit, name = limits[way[0]], Name("dead", *way)
            if count >= limit:
                found.raised[name] = Fact(count, limit)
            elif count > limit // 2:
                found.unsure.add(name)


def _gathers_s(branch: Branch) -> float | None:
    """For how long a destination that collects lets messages wait on purpose; None: until there are enough."""
    return branch.collect.within_s if branch.collect is not None else 0.0


async def _asked(ask: Callable[[], dict[T, int]]) -> dict[T, int]:
    try:
        return await asyncio.to_thread(ask)
    except StoreError as error:
        if error.code != "JL-J003":  # nothing was ever written
            raise
        return {}


def _within(hours: Hours | None, now_ms: int) -> int | None:
    """When the hours began that it is in (Unix ms); None outside of them."""
    if hours is None:
        return 0
    local = datetime.fromtimestamp(now_ms / 1000)  # the hours of people are the machine's
    gone = hours.since(local.hour * 60 + local.minute + local.second / 60)
    return None if gone is None else int(now_ms - gone * 60_000)
