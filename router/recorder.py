"""Outcomes on their way: to the journal first, and only then is the work acknowledged.

One publish carries many: while one is on its way to the broker, the next outcomes gather. A crash before the
confirm brings the work back, flagged as redelivered; it never loses it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from msgspec import Struct

from router.brokers.base import Broker, Delivered
from router.envelope import JOURNAL, Attempt, Attempts, encode

log = structlog.get_logger()

_BATCH = 200  # attempts in one publish
_BATCH_BYTES = 4_000_000  # of their answers: RabbitMQ takes messages of up to 16 MB
_GATHER_S = 0.02  # a publish to the broker costs as much for one outcome as for many
_TRY_AGAIN_S = 1.0


class _Outcome(Struct, frozen=True):
    attempt: Attempt
    delivered: Delivered  # the work that it ends
    then: Callable[[], None]


class Recorder:
    """Publishes attempts to the journal's queue and calls `then` for each once they are durable."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._gathered: list[_Outcome] = []
        self._size = 0  # of their answers
        self._timer: asyncio.TimerHandle | None = None
        self._in_flight: set[asyncio.Future[None]] = set()

    def record(self, attempt: Attempt, delivered: Delivered, then: Callable[[], None]) -> None:
        """An outcome is dropped only where its work has gone back to its queue: then it comes again."""
        self._gathered.append(_Outcome(attempt, delivered, then))
        self._size += len(attempt.answer)
        if len(self._gathered) >= _BATCH or self._size >= _BATCH_BYTES:
            self._publish()
        else:
            self._soon(_GATHER_S)

    async def flush(self) -> None:
        """Waits until everything recorded is durable, or the broker has failed."""
        self._publish()
        if self._in_flight:
            await asyncio.wait(self._in_flight)

    def _soon(self, delay_s: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._publish)

    def _publish(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        gathered, self._gathered, self._size = self._gathered, [], 0
        while gathered:
            count = _fitting(gathered)
            batch, gathered = gathered[:count], gathered[count:]
            self._publish_batch(batch)

    def _publish_batch(self, batch: list[_Outcome]) -> None:
        body = encode(Attempts(tuple(outcome.attempt for outcome in batch)))
        published = self._broker.publish((JOURNAL,), body)
        self._in_flight.add(published)
        published.add_done_callback(lambda done: self._published(batch, done))

    def _published(self, batch: list[_Outcome], done: asyncio.Future[None]) -> None:
        self._in_flight.discard(done)
        error = None if done.cancelled() else done.exception()
        if not done.cancelled() and error is None:
            for outcome in batch:
                outcome.then()
            return
        ours = [outcome for outcome in batch if self._broker.holds(outcome.delivered)]
        log.warning("delivery.not_recorded", count=len(batch), again=len(ours), error=str(error))
        if ours:
            self._gathered = ours + self._gathered
            self._soon(_TRY_AGAIN_S)


def _fitting(gathered: list[_Outcome]) -> int:
    """How many go in one publish: one at least. Those whose publish failed may have come back all at once."""
    size = 0
    for number, outcome in enumerate(gathered[:_BATCH]):
        size += len(outcome.attempt.answer)
        if size > _BATCH_BYTES and number:
            return number
    return min(len(gathered), _BATCH)
