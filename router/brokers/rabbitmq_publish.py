"""Publishing with confirms on one channel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from router.brokers.base import BrokerDown, QueueFull
from router.brokers.rabbitmq_link import Channel, Properties

MAX_KNOWN = 4_096  # sets of queues whose properties are kept ready


class Publisher:
    """One channel in confirm mode. A confirm may resolve many publishes. `on_refused` hears of a refusal."""

    def __init__(self, channel: Channel, on_refused: Callable[[], None]) -> None:
        self._raw = channel.raw
        self._loop = asyncio.get_running_loop()
        self._on_refused = on_refused
        self._sent = 0
        self._lowest = 1  # the first tag that may be unconfirmed
        self._waiting: dict[int, tuple[asyncio.Future[None], float]] = {}
        self._properties: dict[tuple[str, ...], Properties] = {}

    @classmethod
    async def open(cls, channel: Channel, on_refused: Callable[[], None]) -> Publisher:
        publisher = cls(channel, on_refused)
        await channel.call(channel.raw.confirm_delivery, publisher._answered)
        return publisher

    def publish(
        self, exchange: str, queues: Sequence[str], body: bytes, future: asyncio.Future[None]
    ) -> None:
        """One routing key for the first queue, a CC header for the rest. Raises BrokerDown."""
        key = tuple(queues[1:])
        properties = self._properties.get(key)
        if properties is None:
            if len(self._properties) >= MAX_KNOWN:
                self._properties.clear()
            properties = self._properties[key] = Properties(key)
        if not self._raw.is_open:
            raise BrokerDown("JL-B007", "the connection to RabbitMQ is just being lost")
        self._raw.basic_publish(exchange, queues[0], body, properties, mandatory=True)
        self._sent += 1
        self._waiting[self._sent] = (future, self._loop.time())

    def oldest_s(self) -> float:
        """How long the oldest publish has been waiting for its confirm."""
        for _, at in self._waiting.values():
            return self._loop.time() - at
        return 0.0

    def fail(self, error: BrokerDown) -> None:
        """No confirm will come any more."""
        for future, _ in self._waiting.values():
            if not future.done():
                future.set_exception(error)
        self._waiting.clear()

    def _answered(self, frame: Any) -> None:
        method = frame.method
        error = None
        if method.NAME == "Basic.Nack":
            error = QueueFull(
                "JL-B003", "RabbitMQ refused the message: a queue is full, or cannot keep it now"
            )
            self._on_refused()
        tag = method.delivery_tag
        if not method.multiple:
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
