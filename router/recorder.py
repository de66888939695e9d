"""Outcomes on their way: to the journal first, and only then is the work acknowledged.

One publish carries many: while one is on its way to the broker, the next outcomes gather. A crash before the
confirm brings the work back, flagged as redelivered; it never loses it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from router.brokers.base import Broker
from router.envelope import JOURNAL, Attempt, Attempts, encode

log = structlog.get_logger()

_BATCH = 200  # attempts in one publish
_GATHER_S = 0.02  # a publish to the broker costs as much for one outcome as for many


class Recorder:
    """Publishes attempts to the journal's queue and calls `then` for each once they are durable."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._gathered: list[tuple[Attempt, Callable[[], None]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._in_flight: set[asyncio.Future[None]] = set()

    def record(self, attempt: Attempt, then: Callable[[], None]) -> None:
        self._gathered.append((attempt, then))
        if len(self._gathered) >= _BATCH:
            self._publish()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_GATHER_S, self._publish)

    async def flush(self) -> None:
        """Waits until everything recorded is durable, or the broker has failed."""
        self._publish()
        if self._in_flight:
            await asyncio.wait(self._in_flight)

    def _publish(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._gathered:
            return
        batch, self._gathered = self._gathered, []
        body = encode(Attempts(tuple(attempt for attempt, _ in batch)))
        published = self._broker.publish((JOURNAL,), body)
        self._in_flight.add(published)
        published.add_done_callback(lambda done: self._published(batch, done))

    def _published(self, batch: list[tuple[Attempt, Callable[[], None]]], done: asyncio.Future[None]) -> None:
        self._in_flight.discard(done)
        error = None if done.cancelled() else done.exception()
        if done.cancelled() or error is not None:
            # Not acknowledged: the broker hands the work out again when it is back.
            log.warning("delivery.not_recorded", count=len(batch), error=str(error))
            return
        for _, then in batch:
            then()
