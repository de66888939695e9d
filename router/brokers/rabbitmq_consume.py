"""A consumer: its own channel, so that closing that gives back what it held, in order and flagged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import structlog

from router.brokers.base import Delivered
from router.brokers.rabbitmq_frames import TakeDeliveries, delivery_count
from router.brokers.rabbitmq_link import Channel, Link, LinkLost

log = structlog.get_logger()

ACK_WAIT_S = 0.002  # an acknowledgement waits this long for company


class Returned(dict[int, int]):
    """How often this process gave a message back by itself: by hash of the body, for one queue.

    RabbitMQ counts a cancelled lane and a lost connection as a delivery, as it does a crash. Only the last
    makes a poison message, so what we know better is taken off its count.
    """

    LIMIT = 10_000

    def add(self, bodies: Iterable[bytes]) -> None:
        if len(self) > self.LIMIT:
            self.clear()
        for body in bodies:
            key = hash(body)
            self[key] = self.get(key, 0) + 1

    def forget(self, body: bytes) -> None:
        if self:
            self.pop(hash(body), None)


class Held:
    """What one channel has delivered: `tags` are with the consumer, `_done` wait to be told to the broker.

    A contiguous run is told at once with one `multiple`; the others singly, and remembered in `_told` until
    the run reaches them.
    """

    def __init__(self, channel: Channel, prefetch: int, returned: Returned) -> None:
        self.channel = channel
        self.tags: dict[int, bytes] = {}
        self._returned = returned
        self._done: set[int] = set()
        self._told: set[int] = set()
        self._through = 0
        self._enough = max(1, prefetch // 4)
        self._timer: asyncio.TimerHandle | None = None

    def ack(self, tag: int) -> None:
        body = self.tags.pop(tag, None)
        if body is None:
            return  # given twice, or its channel is gone and it comes back
        self._returned.forget(body)
        self._done.add(tag)
        if len(self._done) >= self._enough:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(ACK_WAIT_S, self.flush)

    def give_back(self) -> None:
        """The channel is closed or lost: what was held comes back through another."""
        self._returned.add(self.tags.values())
        self.tags.clear()

    def flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._done or not self.channel.raw.is_open:
            return
        run, last = self._through, 0
        while run + 1 in self._done or run + 1 in self._told:
            run += 1
            if run in self._done:
                last = run
            self._done.discard(run)
            self._told.discard(run)
        self._through = run
        if last:  # never a tag that was told before: RabbitMQ closes the channel on one it does not know
            self.channel.ack(last, multiple=True)
        for tag in sorted(self._done):
            self.channel.ack(tag)
        self._told |= self._done
        self._done.clear()


class RabbitConsumer:
    """Lives through reconnects: `attach` gives it a channel on a new link, `detached` takes the lost one."""

    def __init__(
        self,
        queue: str,
        on_delivery: Callable[[Delivered], None],
        prefetch: int,
        returned: Returned,
        forget: Callable[[RabbitConsumer], None],
    ) -> None:
        self.queue = queue
        self.held: Held | None = None
        self._on_delivery = on_delivery
        self._prefetch = prefetch
        self._returned = returned
        self._forget = forget
        self._cancelled = False

    async def attach(self, link: Link, on_lost: Callable[[LinkLost], None]) -> None:
        """Starts consuming. Raises LinkLost; `on_lost` if the broker later ends channel or consumer."""
        channel = await link.channel(on_lost)
        channel.raw.add_on_cancel_callback(lambda _: on_lost(LinkLost(f"queue {self.queue} was deleted")))
        await channel.call(channel.raw.basic_qos, prefetch_count=self._prefetch)
        held = self.held = Held(channel, self._prefetch, self._returned)

        def delivered(tag: int, redelivered: bool, properties: bytes, body: bytes) -> None:
            if self.held is held:
                self._delivered(held, tag, redelivered, properties, body)
            else:
                self._returned.add([body])  # it crossed our goodbye

        channel.take(TakeDeliveries(delivered))
        await channel.call(channel.raw.basic_consume, self.queue, _taken)
        if self._cancelled:
            await self._release()

    def detached(self) -> None:
        """The link is lost."""
        if self.held is not None:
            self.held.give_back()
            self.held = None

    async def cancel(self) -> None:
        if not self._cancelled:
            self._cancelled = True
            self._forget(self)
            await self._release()

    async def _release(self) -> None:
        held = self.held
        if held is not None:
            held.flush()
            self.detached()
            await held.channel.close()

    def _delivered(self, held: Held, tag: int, redelivered: bool, properties: bytes, body: bytes) -> None:
        held.tags[tag] = body
        deliveries = 1
        if redelivered:
            deliveries += delivery_count(properties) - self._returned.get(hash(body), 0)
        try:
            self._on_delivery(Delivered(self.queue, body, (held, tag), redelivered, deliveries))
        except Exception:
            log.exception("a consumer failed; its delivery stays unacknowledged", queue=self.queue)


def _taken(*_: Any) -> None:
    """pika's own callback for deliveries: it sees none."""
