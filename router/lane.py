"""A lane: one queue with one consumer at a time, one message after the other.

A failure lets go of the consumer for the delay and then starts at the head again, so that what waits behind keeps its
place: never an acknowledgement before its time, never a delivery slept on. With `then: hold` what is given up stays at
the head, and nobody consumes until an operator has decided.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from router import envelope as wire
from router.attempt import Outcome
from router.board import Board, Drained, Held
from router.brokers.base import BrokerDown, Delivered
from router.gate import Gate
from router.handling import Handling, Round

log = structlog.get_logger()

_AHEAD = 32
_TRY_AGAIN_S = 1.0
_NEXT_ROUND_S = 0.01
_ASK_WITHIN_S = 5.0  # what the journal is waited for, after each time that the lane was taken up


@dataclass(frozen=True, slots=True)
class _Head:
    """The message that waits for its next try: only a lane's head can. `first_ms` is the time of its first."""

    id: str
    tries: int
    first_ms: int


class Lane:
    """Delivers one lane while its gate is open."""

    def __init__(
        self,
        queue: str,
        handling: Handling,
        gate: Gate,
        board: Board,
        tries: Callable[[str, str], tuple[int, int]],
        rounds: int,
    ) -> None:
        """`tries` is the journal's: of a message and a destination, the last number and the first time.

        `rounds`: how many sends one after the other nothing in hand may wait for.
        """
        self._queue = queue
        self._handling = handling
        self._gate = gate
        self._board = board
        self._tries = tries
        self._ahead = max(min(_AHEAD, rounds), 1)
        self._head: _Head | None = None
        self._asked = False
        self._hold = handling.branch.retry.then == "hold"
        self._inbox = self._new_inbox()
        self._round: Round

    async def run(self) -> None:
        """Until the gate ends."""
        self._gate.when_shut(lambda: self._inbox.put_nowait(None))
        while await self._gate.opened():
            inbox = self._inbox = self._new_inbox()
            self._asked = False
            self._round = Round()
            consumer = await self._handling.broker.consume(self._queue, inbox.put_nowait, self._ahead)
            try:
                delay_s = await self._until_let_go(inbox)
                await self._handling.flush()  # or what was sent goes back with the others
            finally:  # also where it is cut short: what it holds must go back
                await consumer.cancel()
            await self._gate.pause(delay_s)

    async def _until_let_go(self, inbox: asyncio.Queue[Delivered | None]) -> float:
        """Delivers until the gate is shut (0), or a failure wants to wait: for how many seconds."""
        while not self._gate.shut:
            delivered = await inbox.get()
            if delivered is None or self._gate.shut:
                break
            try:
                if delay_s := await self._deliver(delivered):
                    return delay_s
            except Exception:  # a bug of ours must not end the lane
                log.exception("delivery.bug", queue=self._queue)
                return _TRY_AGAIN_S
        return 0.0

    @staticmethod
    def _new_inbox() -> asyncio.Queue[Delivered | None]:
        return asyncio.Queue()  # bounded by the consumer's prefetch

    async def _deliver(self, delivered: Delivered) -> float:
        """0 when the lane may go on, else the seconds to wait before the same message is tried again."""
        handling = self._handling
        envelope = handling.open(delivered)
        if envelope is None:
            return 0.0
        if isinstance(envelope, wire.Fence):
            return await self._passed(envelope, delivered)
        head = await self._tried_before(envelope, delivered)
        if skipped := self._board.skips(self._queue, envelope.id):
            outcome = handling.attempter.skipped(envelope, head.tries, skipped.code, skipped.reason)
        else:
            outcome = await handling.attempt(
                wire.copy(envelope, first_ms=head.first_ms), delivered, head.tries + 1
            )
        if outcome.record.outcome == "dead" and self._hold and not skipped:
            return await self._give_up(envelope, delivered, outcome)
        if outcome.record.outcome == "retry":
            self._head = _Head(envelope.id, head.tries + 1, head.first_ms or outcome.record.at_ms)
            handling.failed(delivered, outcome.record)
            return outcome.delay_s
        self._head = None
        handling.settle(envelope, delivered, outcome)
        return _NEXT_ROUND_S if envelope.blob is not None and self._round.long else 0.0

    async def _tried_before(self, envelope: wire.Envelope, delivered: Delivered) -> _Head:
        """The tries so far, ours or another's: of those of an engine before us the journal knows."""
        if self._head is not None and self._head.id == envelope.id:
            return self._head
        if not delivered.redelivered:
            return _Head(envelope.id, 0, 0)
        known = (0, 0)
        if not self._asked:
            self._asked = True
            try:
                async with asyncio.timeout(_ASK_WITHIN_S):
                    branch = self._handling.branch.name
                    known = await asyncio.to_thread(self._tries, envelope.id, branch)
            except Exception as error:  # whatever the journal's trouble is, it holds up no lane
                log.warning("delivery.earlier_tries_unknown", queue=self._queue, error=type(error).__name__)
        if not known[0]:
            return _Head(envelope.id, delivered.deliveries - 1, 0)
        tries, first_ms = known
        return _Head(envelope.id, tries, max(first_ms, self._board.resumed_ms(self._queue, envelope.id)))

    async def _give_up(self, envelope: wire.Envelope, delivered: Delivered, outcome: Outcome) -> float:
        """Holds the lane. If its operator wants another try, the time for retries begins anew."""
        record = outcome.record
        self._head = _Head(envelope.id, record.attempt, 0)
        self._handling.held(envelope, delivered, outcome)
        try:
            await self._board.say(
                Held(self._queue, record.id, record.code, record.reason, self._handling.now_ms())
            )
            log.warning("lane.held", queue=self._queue, message=record.id, code=record.code)
        except BrokerDown as error:  # it is tried once more, and given up again
            log.warning("lane.not_held", queue=self._queue, message=record.id, code=error.code)
        return _TRY_AGAIN_S

    async def _passed(self, fence: wire.Fence, delivered: Delivered) -> float:
        """What came before it is delivered: the next era may begin, as far as this queue is concerned."""
        await self._handling.flush()
        try:
            if not self._board.over(self._queue, fence.era):
                await self._board.say(Drained(self._queue, fence.era))
        except BrokerDown as error:
            log.warning("delivery.fence_not_kept", queue=self._queue, code=error.code)
            return _TRY_AGAIN_S
        self._handling.broker.ack(delivered)
        return 0.0
