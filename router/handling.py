"""What is done with one delivery of a destination, in a lane or in parallel: one try, and what its outcome sets going.

Acknowledged means recorded: the outcome is durable in the journal's queue before the work leaves its own queue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from channels.model import LONGEST_SEND_S, Branch, Channel
from endpoints.base import Destination
from router import envelope as wire
from router.attempt import Attempter, Outcome
from router.brokers.base import POISON_AFTER, Broker, BrokerDown, Delivered
from router.few import Few
from router.items import Letter
from router.large import Large
from router.metrics import Metrics
from router.recorder import Recorder
from router.replies import Replies
from router.suspects import Suspects

log = structlog.get_logger()

OLDEST_TRACKED = 10_000
_AGAIN_S = 1.0


class Round:
    """What is taken in hand from a queue at one go.

    Large bodies have their time by the piece, so that what waits in hand behind them could wait too long. A round that
    is `long` ends with the next of them, and the rest goes back before the broker takes it.
    """

    def __init__(self) -> None:
        self._ends_at = asyncio.get_running_loop().time() + LONGEST_SEND_S / 2

    @property
    def long(self) -> bool:
        return asyncio.get_running_loop().time() > self._ends_at


class Handling:
    """One destination's deliveries, whichever of its queues they come from."""

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
        now_ms: Callable[[], int],
        large: Large,
    ) -> None:
        self.channel = channel
        self.branch = branch
        self.broker = broker
        self.now_ms = now_ms
        self.attempter = Attempter(channel, branch, destination, now_ms, large)
        self.flush = recorder.flush
        self.waiting: dict[str, int] = {}  # id -> received_ms
        self._recorder = recorder
        self._replies = replies
        self._count = metrics.delivery(channel.name, branch.name)
        self._accepted = metrics.channel(channel.name).accepted
        self._suspects = suspects
        self._few = Few(channel.name, branch.name)

    def open(self, delivered: Delivered) -> wire.Envelope | wire.Fence | None:
        """What travels, unpacked; from now on it is one of those that wait here.

        None where the connection was lost, or its consumer ended, while it waited here: then it comes again.
        """
        if not self.broker.holds(delivered):
            return None
        found: wire.Envelope | wire.Fence = wire.decode_work(delivered.body)
        if isinstance(found, wire.Envelope):
            self.seen(found)
        return found

    def seen(self, envelope: wire.Envelope) -> None:
        if len(self.waiting) < OLDEST_TRACKED:
            self.waiting.setdefault(envelope.id, envelope.received_ms)

    async def attempt(self, envelope: wire.Envelope, delivered: Delivered, number: int) -> Outcome:
        """One try; or none, where the last tries of this message each ended the process."""
        if delivered.deliveries == 1:
            return await self._tried(envelope, delivered, number, delivered.redelivered)
        async with self._suspects.trying(envelope.id, self.branch.name) as unended:
            # Its first try was not announced: with two that have no end, this is the third delivery that ended so.
            if unended >= POISON_AFTER - 1:
                return self.attempter.poisoned(envelope, unended + 1)
            return await self._tried(envelope, delivered, number, redelivered=True)

    async def _tried(
        self, envelope: wire.Envelope, delivered: Delivered, number: int, redelivered: bool
    ) -> Outcome:
        outcome = await self.attempter.attempt(envelope, number, redelivered=redelivered)
        if outcome.letters:
            await self._file(outcome.letters, delivered)
        return outcome

    async def _file(self, letters: Sequence[Letter], delivered: Delivered) -> None:
        """Dead items, before the end of what they were items of. Made twice they are the same rows."""
        tries = wire.encode(wire.Attempts(tuple(letter.attempt for letter in letters)))
        bodies = [*(wire.encode(letter.envelope) for letter in letters), tries]
        while self.broker.holds(delivered):  # else all of it comes again
            try:
                await asyncio.gather(*(self.broker.publish((wire.JOURNAL,), body) for body in bodies))
                break
            except BrokerDown as error:
                log.warning("delivery.items_not_filed", count=len(letters), code=error.code)
                await asyncio.sleep(_AGAIN_S)
        else:
            return
        for letter in letters:
            self._say(letter.attempt, "dead")
            self._accepted.inc()
            self._count.dead.inc()

    def settle(self, envelope: wire.Envelope, delivered: Delivered, outcome: Outcome) -> None:
        """The outcome goes to the journal, and then the work out of its queue; a waiting sender hears at once."""
        record = outcome.record
        if record.outcome != "sent":
            self._say(record, record.outcome)
        if outcome.noted:
            self._count.noted.inc()
        if self.channel.reply == self.branch.name:
            self._replies.tried(envelope, outcome)
        self._recorder.record(record, delivered, lambda: self._recorded(envelope, delivered, record.outcome))

    def failed(self, delivered: Delivered, record: wire.Attempt) -> None:
        """A try of a message that stays where it is: recorded, not acknowledged."""
        self._say(record, "retry")
        self._count.failed.inc()
        self._recorder.record(record, delivered, _nothing)

    def held(self, envelope: wire.Envelope, delivered: Delivered, outcome: Outcome) -> None:
        """Given up, and yet not over: it stays at the head of its lane until an operator decides."""
        record = wire.copy(outcome.record, outcome="retry")
        self.failed(delivered, record)
        if self.channel.reply == self.branch.name:
            self._replies.held(envelope, record)

    def _say(self, record: wire.Attempt, what: str) -> None:
        self._few.say("delivery." + what, record.code, message=record.id, attempt=record.attempt)

    def _recorded(self, envelope: wire.Envelope, delivered: Delivered, outcome: str) -> None:
        self.broker.ack(delivered)
        if outcome == "retry":
            self._count.failed.inc()
            return
        self.waiting.pop(envelope.id, None)
        if outcome == "sent":
            self._count.delivered.inc()
            self._count.delivery_seconds.observe(max(self.now_ms() - envelope.received_ms, 0) / 1000)
        else:
            self._count.dead.inc()


def _nothing() -> None:
    """A try that leaves its message where it is has nothing to acknowledge."""
