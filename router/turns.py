"""One process at a time: a queue with a single active consumer, and in it one message, the turn.

Who holds that message unacknowledged has the turn, and its body is what was kept last. The broker hands it to the next
process when a connection is lost, however that came about: no clocks and no lease to renew. A holder that lost its
connection can make nothing durable either, so what it takes meanwhile is taken again by the next.
"""

from __future__ import annotations

import asyncio
import uuid

import msgspec

from router.brokers.base import Broker, BrokerDown, Consumer, Delivered, QueueSpec
from router.chore import Chore

_AT_ONCE = 100  # messages, of which one counts
_HEARD_WITHIN_S = 15.0
_AGAIN_S = 1.0
_RENEW_S = 600.0  # RabbitMQ takes back what nobody acknowledges for 30 minutes


class _Kept(msgspec.Struct, frozen=True, tag="turn", array_like=True):
    number: int  # of several messages the one that was kept last has the highest
    value: str = ""
    mark: str = ""  # says nothing: who hears its own has heard all that was there before


_decode = msgspec.msgpack.Decoder(_Kept).decode


def turn_queue(name: str) -> str:
    """The queue of a channel's turn."""
    return f"jl.turn.{name}"


class TurnQueue:
    """`endpoints.base.Turn` over all processes of a site."""

    def __init__(self, broker: Broker, name: str) -> None:
        self._broker = broker
        self._queue = turn_queue(name)
        self._best = _Kept(0)
        self._message: Delivered | None = None  # the one with `_best`
        self._mark, self._sure = "", False  # whether no better one is still to come
        self._came = asyncio.Event()
        self._keeping = asyncio.Lock()  # two that are kept at once would have one number
        self._consumer: Consumer | None = None
        self._renewing = Chore(f"turn {name}", self._renew, _RENEW_S, _RENEW_S)

    @property
    def held(self) -> bool:
        return self._sure and self._first

    @property
    def value(self) -> str:
        return self._best.value

    async def start(self) -> None:
        """Every start adds a message that counts for nothing: so there always is one. Raises BrokerDown."""
        await self._broker.declare([QueueSpec(self._queue, single=True)])
        await self._say(_Kept(0))
        self._consumer = await self._broker.consume(self._queue, self._hear, _AT_ONCE)
        self._renewing.start()

    async def wait(self) -> None:
        while not self.held:
            self._came.clear()
            if self._first:
                await self._make_sure()
            else:
                await self._came.wait()

    async def keep(self, value: str) -> None:
        """Raises BrokerDown, also where the turn has gone to another process meanwhile."""
        async with self._keeping:
            await self._keep(value)

    async def _keep(self, value: str) -> None:
        if not self.held:
            raise BrokerDown("JL-B001", "another process has the turn")
        number = self._best.number + 1
        await self._say(_Kept(number, value))
        try:
            async with asyncio.timeout(_HEARD_WITHIN_S):
                while self._best.number < number:
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:  # the connection is lost: the next in turn finds it
            raise BrokerDown("JL-B001", "what was kept does not come back") from None

    async def stop(self) -> None:
        await self._renewing.stop()
        if self._consumer is not None:
            consumer, self._consumer = self._consumer, None
            await consumer.cancel()

    @property
    def _first(self) -> bool:
        """Whether we are the one whom the broker hands this queue's messages."""
        return self._message is not None and self._broker.holds(self._message)

    def _say(self, kept: _Kept) -> asyncio.Future[None]:
        return self._broker.publish((self._queue,), msgspec.msgpack.encode(kept))

    async def _make_sure(self) -> None:
        """What the one before us kept last may come after what it had not thrown away yet."""
        self._mark = uuid.uuid4().hex
        try:
            async with asyncio.timeout(_HEARD_WITHIN_S):
                await self._say(_Kept(0, mark=self._mark))
                while self._first and not self._sure:
                    self._came.clear()
                    await self._came.wait()
        except (TimeoutError, BrokerDown):
            await asyncio.sleep(_AGAIN_S)

    def _hear(self, delivered: Delivered) -> None:
        kept, before = _decode(delivered.body), self._message
        if before is None or not self._first:
            self._message, self._best, self._sure = delivered, kept, False
        elif kept.number > self._best.number:
            self._message, self._best = delivered, kept
            self._broker.ack(before)
        else:
            self._broker.ack(delivered)
        self._sure = self._sure or (bool(kept.mark) and kept.mark == self._mark)
        self._came.set()

    async def _renew(self) -> None:
        async with self._keeping:
            if self.held:
                await self._keep(self.value)
