"""A queue without order: its deliveries at once, and what failed comes back through a delay queue."""

from __future__ import annotations

import asyncio

import structlog

from router import envelope as wire
from router.attempt import Outcome
from router.away import Away
from router.board import Board, Drained
from router.brokers.base import BrokerDown, Delivered
from router.gate import Gate
from router.handling import Handling, Round

log = structlog.get_logger()

_AHEAD = 160  # deliveries held beyond those being sent: they wait for the journal's confirm
_TRY_AGAIN_S = 1.0


class Parallel:
    """Delivers one queue, `parallel` messages at once, while its gate is open. Nobody sleeps on a delivery."""

    def __init__(self, queue: str, handling: Handling, gate: Gate, board: Board, rounds: int) -> None:
        """`rounds`: how many sends one after the other nothing in hand may wait for."""
        self._queue = queue
        self._handling = handling
        self._gate = gate
        self._board = board
        self._parallel = handling.branch.parallel
        self._ahead = min(_AHEAD, self._parallel * max(rounds - 1, 0))
        self._inbox: asyncio.Queue[Delivered | None] = asyncio.Queue()
        self._away = Away(handling.channel.max_messages)
        self._fence: tuple[wire.Fence, Delivered] | None = None
        self._round: Round | None = None

    async def run(self) -> None:
        """Until the gate ends. What is being sent is finished and recorded before the others go back."""
        self._gate.when_shut(self._wake)
        while await self._gate.opened():
            if wait_s := self._away.room_in_s():
                await self._gate.pause(wait_s)
                continue
            self._inbox = asyncio.Queue()  # bounded by the consumer's prefetch
            self._fence = None
            self._round = Round()
            consumer = await self._handling.broker.consume(
                self._queue, self._inbox.put_nowait, self._parallel + self._ahead
            )
            try:
                await asyncio.gather(*(self._work(self._inbox) for _ in range(self._parallel)))
                await self._handling.flush()
                if self._fence is not None:
                    await self._passed(*self._fence)
            finally:  # also where it is cut short: what it holds must go back
                await consumer.cancel()

    @property
    def _over(self) -> bool:
        """Whether nothing more is taken in this round."""
        return self._gate.shut or self._fence is not None or self._round is None or self._away.full

    def _wake(self) -> None:
        """Those who wait for work; who is sending looks up afterwards."""
        for _ in range(self._parallel):
            self._inbox.put_nowait(None)

    async def _work(self, inbox: asyncio.Queue[Delivered | None]) -> None:
        while not self._over and (delivered := await inbox.get()) is not None:
            if self._over:
                return
            try:
                await self._deliver(delivered)
            except Exception:  # a bug of ours must not end the worker; the work stays unacknowledged
                log.exception("delivery.bug", queue=self._queue)

    async def _deliver(self, delivered: Delivered) -> None:
        handling = self._handling
        envelope = handling.open(delivered)
        if envelope is None:
            return
        if isinstance(envelope, wire.Fence):
            self._fence = envelope, delivered
            self._wake()
            return
        outcome = await handling.attempt(envelope, delivered, envelope.attempt)
        if outcome.record.outcome == "retry" and not await self._later(envelope, delivered, outcome):
            return  # neither copied nor acknowledged: the broker hands it out again
        handling.settle(envelope, delivered, outcome)
        if envelope.blob is not None and self._round is not None and self._round.long:
            self._round = None
            self._wake()

    async def _later(self, envelope: wire.Envelope, delivered: Delivered, outcome: Outcome) -> bool:
        """Makes the copy that comes back after the delay durable, before the original may go."""
        broker = self._handling.broker
        first_ms = envelope.first_ms or outcome.record.at_ms
        body = wire.encode(wire.copy(envelope, attempt=envelope.attempt + 1, first_ms=first_ms))
        while broker.holds(delivered):
            try:
                await broker.publish((self._queue,), body, delay_s=outcome.delay_s)
                self._away.sent(outcome.delay_s)
                if self._away.full:
                    self._wake()
                return True
            except BrokerDown as error:
                log.warning("delivery.retry_not_kept", queue=self._queue, code=error.code)
            if self._gate.shut:
                break
            await self._gate.pause(_TRY_AGAIN_S)
        return False

    async def _passed(self, fence: wire.Fence, delivered: Delivered) -> None:
        """All that came before the fence has been tried; what failed comes back later: there was no order to keep."""
        try:
            if not self._board.over(self._queue, fence.era):
                await self._board.say(Drained(self._queue, fence.era))
            self._handling.broker.ack(delivered)
        except BrokerDown as error:
            log.warning("delivery.fence_not_kept", queue=self._queue, code=error.code)
