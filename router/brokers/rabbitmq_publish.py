"""Publishing with confirms on one channel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from router.brokers.base import BrokerDown, QueueFull
from router.brokers.rabbitmq_frames import Publish, take_confirms
from router.brokers.rabbitmq_link import Channel

MAX_KNOWN = 4_096  # sets of queues whose frames are kept ready


class Publisher:
    """One channel in confirm mode. A confirm may resolve many publishes. `on_refused` hears of a refusal.

    What reaches no queue comes back where it is `mandatory`, and is confirmed otherwise.
    """

    def __init__(self, channel: Channel, on_refused: Callable[[], None], mandatory: bool = True) -> None:
        self._channel = channel
        self._mandatory = mandatory
        self._ending = False
        self._loop = asyncio.get_running_loop()
        self._on_refused = on_refused
        self._sent = 0
        self._lowest = 1  # the first tag that may be unconfirmed
        self._waiting: dict[int, tuple[asyncio.Future[None], float]] = {}
        self._known: dict[tuple[str, ...], Publish] = {}

    @classmethod
    async def open(
        cls, channel: Channel, on_refused: Callable[[], None], mandatory: bool = True
    ) -> Publisher:
        publisher = cls(channel, on_refused, mandatory)
        channel.take(take_confirms(publisher._answered))
        await channel.call(channel.raw.confirm_delivery, lambda _: None)  # pika sees no confirm
        return publisher

    def publish(
        self, exchange: str, queues: Sequence[str], body: bytes, future: asyncio.Future[None]
    ) -> None:
        """One routing key for the first queue, a CC header for the rest. Raises BrokerDown."""
        if not self._channel.raw.is_open:
            raise BrokerDown("JL-B007", "the connection to RabbitMQ is just being lost")
        if self._ending:
            raise BrokerDown("JL-B001", "RabbitMQ cannot take messages in this moment")
        key = (exchange, *queues)
        publish = self._known.get(key)
        if publish is None:
            publish = self._learn(key)
        self._channel.send(publish.frames(body))
        self._sent += 1
        self._waiting[self._sent] = (future, self._loop.time())

    def oldest_s(self) -> float:
        """How long the oldest publish has been waiting for its confirm."""
        for _, at in self._waiting.values():
            return self._loop.time() - at
        return 0.0

    async def settled(self) -> None:
        """Until all that has been sent by now is answered for."""
        if self._waiting:
            await asyncio.wait([future for future, _ in self._waiting.values()])

    async def end(self) -> None:
        """Takes nothing more, and closes once all it has is answered for."""
        self._ending = True
        await self.settled()
        await self._channel.close()

    def fail(self, error: BrokerDown) -> None:
        """No confirm will come any more."""
        for future, _ in self._waiting.values():
            if not future.done():
                future.set_exception(error)
        self._waiting.clear()

    def _learn(self, key: tuple[str, ...]) -> Publish:
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        raw = self._channel.raw
        frame_max = raw.connection.params.frame_max
        self._known[key] = Publish(raw.channel_number, key[0], key[1:], frame_max, self._mandatory)
        return self._known[key]

    def _answered(self, tag: int, multiple: bool, kept: bool) -> None:
        error = None
        if not kept:
            error = QueueFull(
                "JL-B003", "RabbitMQ refused the message: a queue is full, or cannot keep it now"
            )
            self._on_refused()
        if not multiple:
            self._resolve(tag, error)
            return
        for each in range(self._lowest, tag + 1):
            self._resolve(each, error)
        self._lowest = max(self._lowest, tag + 1)

    def _resolve(self, tag: int, error: QueueFull | None) -> None:
        future, _ = self._waiting.pop(tag, (None, 0))
        if future is None or future.done():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
