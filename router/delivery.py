"""Queue to destination: one outlet a destination, its deliveries in parallel or, where order counts, in lanes.

Acknowledged means recorded: the outcome is durable in the journal's queue before the work leaves its own queue.
Nobody sleeps on an unacknowledged delivery. Without order a failed delivery goes back through a delay queue; a lane
lets go of its consumer instead, so that what waits behind keeps its place.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from channels.model import Branch, Channel
from endpoints.base import Destination
from router import envelope as wire
from router.attempt import Attempter, Outcome
from router.brokers.base import POISON_AFTER, Broker, BrokerDown, Consumer, Delivered
from router.intake import queues_of_branch
from router.metrics import Metrics
from router.recorder import Recorder
from router.replies import Replies
from router.suspects import Suspects

log = structlog.get_logger()

_AHEAD = 160  # deliveries held beyond those being sent: they wait for the journal's confirm
_LANE_AHEAD = 32
_OLDEST_TRACKED = 10_000
_TRY_AGAIN_S = 1.0
_ASK_WITHIN_S = 5.0  # what the journal is waited for, once a lane


class Outlet:
    """One destination of one channel at work."""

    def __init__(
        self,
        channel: Channel,
        branch: Branch,
        destination: Destination,
        broker: Broker,
        recorder: Recorder,
        replies: Replies,
        metrics: Metrics,
        suspects: Suspects,
        tries: Callable[[str, str], tuple[int, int]],
        now_ms: Callable[[], int],
    ) -> None:
        """`tries` is the journal's: of a message and a destination, the last number and the first time."""
        self.channel = channel
        self.branch = branch
        self.queues = queues_of_branch(channel, branch)
        self._destination = destination
        self._broker = broker
        self._recorder = recorder
        self._replies = replies
        self._count = metrics.delivery(channel.name, branch.name)
        self._attempter = Attempter(channel, branch, destination, now_ms)
        self._suspects = suspects
        self._tries = tries
        self._now_ms = now_ms
        self._stopping = asyncio.Event()
        self._waiting: dict[str, int] = {}  # id -> received_ms
        self._inboxes: list[asyncio.Queue[Delivered | None]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._consumers: list[Consumer] = []

    async def start(self) -> None:
        await self._destination.start()
        if self.channel.order_by is None:
            for body in await self._broker.delayed_in(self.queues[0], _OLDEST_TRACKED):
                self._envelope(body)  # its age counts until it comes again
            await self._start_parallel()
        else:
            for queue in self.queues:
                self._tasks.append(asyncio.create_task(self._lane(queue), name=queue))

    async def stop(self) -> None:
        """Finishes and records what is being sent; what waits stays in its queue."""
        self._stopping.set()
        for inbox in self._inboxes:  # wakes those who wait for work; who is sending looks up afterwards
            for _ in self._tasks:
                inbox.put_nowait(None)
        for ended in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                log.error("delivery.bug", queue=self.queues[0], error=repr(ended))
        await self._recorder.flush()
        for consumer in self._consumers:
            await consumer.cancel()
        await self._destination.stop()

    def oldest_ms(self) -> int | None:
        """When the oldest message that waits here was received (Unix ms), as far as this process has seen it."""
        return min(self._waiting.values(), default=None)

    # In parallel

    async def _start_parallel(self) -> None:
        inbox = self._inbox()
        for n in range(self.branch.parallel):
            self._tasks.append(asyncio.create_task(self._work(inbox), name=f"{self.queues[0]}#{n}"))
        prefetch = self.branch.parallel + _AHEAD
        self._consumers.append(await self._broker.consume(self.queues[0], inbox.put_nowait, prefetch))

    def _inbox(self) -> asyncio.Queue[Delivered | None]:
        inbox: asyncio.Queue[Delivered | None] = asyncio.Queue()  # bounded by the consumer's prefetch
        self._inboxes.append(inbox)
        return inbox

    async def _work(self, inbox: asyncio.Queue[Delivered | None]) -> None:
        while (delivered := await inbox.get()) is not None and not self._stopping.is_set():
            try:
                await self._deliver(delivered)
            except Exception:  # a bug of ours must not end the worker; the work stays unacknowledged
                log.exception("delivery.bug", queue=self.queues[0])

    async def _deliver(self, delivered: Delivered) -> None:
        if not self._broker.holds(delivered):
            return  # its connection was lost while it waited here: it comes again
        envelope = self._envelope(delivered.body)
        outcome = await self._attempt(envelope, delivered, envelope.attempt)
        if outcome.record.outcome == "retry" and not await self._later(envelope, delivered, outcome):
            return  # neither copied nor acknowledged: the broker hands it out again
        self._settle(envelope, delivered, outcome)

    async def _later(self, envelope: wire.Envelope, delivered: Delivered, outcome: Outcome) -> bool:
        """Makes the copy that comes back after the delay durable, before the original may go."""
        first_ms = envelope.first_ms or outcome.record.at_ms
        body = wire.encode(wire.copy(envelope, attempt=envelope.attempt + 1, first_ms=first_ms))
        while self._broker.holds(delivered):
            try:
                await self._broker.publish(self.queues, body, delay_s=outcome.delay_s)
                return True
            except BrokerDown as error:
                log.warning("delivery.retry_not_kept", queue=self.queues[0], code=error.code)
            if self._stopping.is_set():
                break
            await self._pause(_TRY_AGAIN_S)
        return False

    async def _pause(self, delay_s: float) -> None:
        """Waits, or until the engine stops."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), delay_s)

    # In order

    async def _lane(self, queue: str) -> None:
        """One after the other. A failure lets go of the consumer for the delay, then starts at the head again."""
        tries: dict[str, tuple[int, int]] | None = None  # of the head: id -> (tries so far, first try)
        while not self._stopping.is_set():
            inbox = self._inbox()
            consumer = await self._broker.consume(queue, inbox.put_nowait, _LANE_AHEAD)
            self._consumers.append(consumer)
            delay_s = 0.0
            while delay_s == 0.0:
                delivered = await inbox.get()
                if delivered is None or self._stopping.is_set():
                    return
                try:
                    tries = await self._tried_before(delivered) if tries is None else tries
                    delay_s = await self._deliver_in_order(delivered, tries)
                except Exception:  # a bug of ours must not end the lane
                    log.exception("delivery.bug", queue=queue)
                    delay_s = _TRY_AGAIN_S
            self._inboxes.remove(inbox)
            self._consumers.remove(consumer)
            await consumer.cancel()
            await self._pause(delay_s)

    async def _tried_before(self, delivered: Delivered) -> dict[str, tuple[int, int]]:
        """The tries of an engine before this one: only the first message of a lane can have any."""
        if not delivered.redelivered:
            return {}
        id = self._envelope(delivered.body).id
        try:
            async with asyncio.timeout(_ASK_WITHIN_S):
                found = await asyncio.to_thread(self._tries, id, self.branch.name)
        except Exception as error:  # whatever the journal's trouble is, it holds up no lane
            log.warning("delivery.earlier_tries_unknown", queue=delivered.queue, error=type(error).__name__)
            return {}
        return {id: found} if found[0] else {}

    async def _deliver_in_order(self, delivered: Delivered, tries: dict[str, tuple[int, int]]) -> float:
        """0 when the lane may go on, else the seconds to wait before the same message is tried again."""
        if not self._broker.holds(delivered):
            return 0.0  # its connection was lost while it waited here: it comes again
        envelope = self._envelope(delivered.body)
        tried, first_ms = tries.get(envelope.id, (delivered.deliveries - 1, 0))
        envelope = wire.copy(envelope, first_ms=first_ms)
        outcome = await self._attempt(envelope, delivered, tried + 1)
        if outcome.record.outcome != "retry":
            tries.pop(envelope.id, None)
            self._settle(envelope, delivered, outcome)
            return 0.0
        tries[envelope.id] = (tried + 1, first_ms or outcome.record.at_ms)
        self._count.failed.inc()
        self._recorder.record(outcome.record, delivered, _nothing)
        await self._recorder.flush()
        return outcome.delay_s

    # Both

    async def _attempt(self, envelope: wire.Envelope, delivered: Delivered, number: int) -> Outcome:
        """One try; or none, where the last tries of this message each ended the process."""
        if delivered.deliveries == 1:
            return await self._attempter.attempt(envelope, number, redelivered=delivered.redelivered)
        # Its first try left no mark: with two that have no end it is the third.
        if self._suspects.unended(envelope.id, self.branch.name) >= POISON_AFTER - 1:
            self._suspects.forget(envelope.id, self.branch.name)
            return self._attempter.poisoned(envelope, delivered.deliveries)
        with self._suspects.trying(envelope.id, self.branch.name):
            return await self._attempter.attempt(envelope, number, redelivered=True)

    def _envelope(self, body: bytes) -> wire.Envelope:
        """What travels, opened; from now on it is one of those that wait here."""
        envelope = wire.decode(body)
        assert isinstance(envelope, wire.Envelope), "only envelopes travel in a destination's queue"
        if len(self._waiting) < _OLDEST_TRACKED:
            self._waiting.setdefault(envelope.id, envelope.received_ms)
        return envelope

    def _settle(self, envelope: wire.Envelope, delivered: Delivered, outcome: Outcome) -> None:
        """The outcome goes to the journal, and then the work out of its queue; a waiting sender hears at once."""
        record = outcome.record
        if record.outcome != "sent":
            log.info(
                "delivery." + record.outcome,
                channel=record.channel,
                destination=record.destination,
                message=record.id,
                attempt=record.attempt,
                code=record.code,
            )
        if self.channel.reply == self.branch.name:
            if outcome.receipt is not None and outcome.error is None:
                self._replies.answered(envelope, outcome.receipt, outcome.reply_body, outcome.reply_format)
            elif outcome.error is not None and record.outcome != "retry":
                self._replies.failed(envelope, outcome.error)
        self._recorder.record(record, delivered, lambda: self._recorded(envelope, delivered, record.outcome))

    def _recorded(self, envelope: wire.Envelope, delivered: Delivered, outcome: str) -> None:
        self._broker.ack(delivered)
        if outcome == "retry":
            self._count.failed.inc()
            return
        self._waiting.pop(envelope.id, None)
        if outcome == "sent":
            self._count.delivered.inc()
            self._count.delivery_seconds.observe(max(self._now_ms() - envelope.received_ms, 0) / 1000)
        else:
            self._count.dead.inc()


def _nothing() -> None:
    """A try that leaves its message where it is has nothing to acknowledge."""
