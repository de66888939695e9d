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


class Recorder:
    """Publishes attempts to the journal's queue and calls `then` for each once they are durable."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._gathered: list[tuple[Attempt, Callable[[], None]]] = []
        self._in_flight = False
        self._idle = asyncio.Event()
        self._idle.set()

    def record(self, attempt: Attempt, then: Callable[[], None]) -> None:
        self._gathered.append((attempt, then))
        if not self._in_flight:
            self._idle.clear()
            self._in_flight = True
            # In the same turn of the loop others may add theirs: one publish then carries all.
            asyncio.get_running_loop().call_soon(self._publish)

    async def flush(self) -> None:
        """Waits until everything recorded is durable, or the broker has failed."""
        await self._idle.wait()

    def _publish(self) -> None:
        batch, self._gathered = self._gathered[:_BATCH], self._gathered[_BATCH:]
        body = encode(Attempts(tuple(attempt for attempt, _ in batch)))
        self._broker.publish((JOURNAL,), body).add_done_callback(lambda done: self._published(batch, done))

    def _published(self, batch: list[tuple[Attempt, Callable[[], None]]], done: asyncio.Future[None]) -> None:
        error = None if done.cancelled() else done.exception()
        if done.cancelled() or error is not None:
            # Not acknowledged: the broker hands the work out again when it is back.
            log.warning("delivery.not_recorded", count=len(batch), error=str(error))
        else:
            for _, then in batch:
                then()
        if self._gathered:
            self._publish()
        else:
            self._in_flight = False
            self._idle.set()
