"""How much waits where, and for how long: sampled once a second, so that nobody who asks has to wait."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping

from config.errors import JingluoError
from endpoints.web import WebServer
from router.alerts.book import Alert
from router.board import Board
from router.brokers.base import Broker, Depth
from router.chore import Chore
from router.conservation import Missing
from router.delivery import Outlet
from router.envelope import JOURNAL, way_of
from router.journal import Journal
from router.metrics import Snapshot, Waiting

_EVERY_S = 1.0
_NONE = Depth(0)


class Gauges(Chore):
    """The last sample of every queue's depth.

    `outlets` are those of the moment, `queues` what is looked at besides their own; `tell` hears of each sample.
    """

    def __init__(
        self,
        broker: Broker,
        outlets: Callable[[], Iterable[Outlet]],
        now_ms: Callable[[], int],
        queues: Callable[[], Iterable[str]],
        tell: Callable[[Mapping[str, Depth]], None],
    ) -> None:
        super().__init__("gauges", self._look, 0, _EVERY_S)
        self._broker = broker
        self._outlets = outlets
        self._now_ms = now_ms
        self._queues = queues
        self._tell = tell
        self._depths: dict[str, Depth] = {}
        self._delayed = 0

    async def sample(self) -> None:
        own = [queue for outlet in self._outlets() for queue in outlet.queues]
        self._depths = await self._broker.depth(list(dict.fromkeys([JOURNAL, *own, *self._queues()])))
        self._delayed = await self._broker.delayed()
        self._tell(self._depths)

    def waiting(self) -> tuple[Waiting, ...]:
        """For every destination: how many messages wait, and since when the oldest of them (seconds)."""
        now_ms = self._now_ms()
        found = []
        for outlet in self._outlets():
            depth = sum(self._depths.get(queue, _NONE).total for queue in outlet.queues)
            # Another process may have taken what this one saw: where nothing waits, nothing is old.
            since = outlet.oldest_ms() if depth or self._delayed else None
            oldest_s = 0.0 if since is None else max(now_ms - since, 0) / 1000
            found.append(Waiting(outlet.channel.name, outlet.branch.name, depth, oldest_s))
        return tuple(found)

    def snapshot(
        self,
        journal: Journal | None,
        web: WebServer,
        board: Board,
        paused: Collection[str] = (),
        missing: Collection[Missing] = (),
        alerts: Collection[Alert] = (),
    ) -> Snapshot:
        return Snapshot(
            waiting=self.waiting(),
            delayed=self._delayed,
            journal_behind=self._depths.get(JOURNAL, _NONE).total,
            journal_ok=journal is None or journal.ok,
            broker_open=self._broker.open,
            connections=web.connections,
            paused=tuple(paused),
            stopped=tuple((*way, mode.state) for way, mode in board.modes.items()),
            missing=tuple((one.channel, one.destination, one.count) for one in missing),
            alerts=tuple(alert.name for alert in alerts),
            held=tuple(Counter(way_of(queue) for queue in board.held).items()),
        )

    async def _look(self) -> None:
        with contextlib.suppress(JingluoError):  # the broker is down: the last sample stands
            await self.sample()
