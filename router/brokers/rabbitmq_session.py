"""One life of the two connections to RabbitMQ, and what is asked on them.

Two, because RabbitMQ stops reading from a connection that publishes while it has a memory or disk alarm:
acknowledgements on the same one would be stuck behind it, and the queues could never drain.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from router.brokers.base import BrokerDown, QueueSpec, Standing
from router.brokers.rabbitmq_link import Channel, Link, LinkLost
from router.brokers.rabbitmq_publish import Publisher
from router.brokers.rabbitmq_topology import DELAYS_MS, delay_arguments, delay_name, queue_arguments

log = structlog.get_logger()

NOT_FOUND = 404
OTHER_ARGUMENTS = 406


class Session:
    """It ends once, with a reason in `lost`, whatever part of it fails. `prefix` is the main exchange.

    `wake` is set when somebody should look at it: it is lost, or RabbitMQ `refused` a message. `verified` are
    the queues that were declared in this life, `steps` the delay steps.
    """

    publisher: Publisher

    def __init__(self, prefix: str) -> None:
        self.lost: LinkLost | None = None
        self.wake = asyncio.Event()
        self.refused = False
        self.verified: set[str] = set()
        self.steps: set[int] = set()
        self._delays: set[int] = set(DELAYS_MS)  # delay queues that may be there, also of an earlier life
        self._prefix = prefix
        self._links: list[Link] = []
        self._admin: Channel | None = None
        self._lock = asyncio.Lock()  # of the admin channel
        self._nobody_waits: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._nobody_waits.set_result(None)

    async def open(
        self, url: str, context: ssl.SSLContext | None, on_blocked: Callable[[bool], None]
    ) -> None:
        """Connects and makes the exchange. Raises LinkLost."""
        for _ in range(2):
            self._links.append(await Link.open(url, self.end, context))
        publishing = self._links[0]
        publishing.watch_blocked(on_blocked)
        self.publisher, self._posting = await self._publishers()
        await self._exchange(self._prefix, "topic")

    @property
    def consuming(self) -> Link:
        return self._links[1]

    def post(self, address: str, body: bytes) -> None:
        """Into another process's mailbox, if it is there."""
        with contextlib.suppress(BrokerDown):
            self._posting.publish("", (address,), body, self._nobody_waits)

    async def renew(self) -> None:
        """New channels to publish by, once all is answered that went by the old ones: no message overtakes another.

        A channel whose first publish to a queue comes when the node of that queue's leader has just died is refused
        until the dead node is back: RabbitMQ 3.10 (rabbit_fifo_client) asks that node, and no other. A new channel
        knows the new leader.
        """
        self.refused = False
        try:
            publisher, posting = await self._publishers()
        except LinkLost as lost:
            self.end(lost)
            return
        self._posting, posting = posting, self._posting
        await asyncio.gather(self.publisher.end(), posting.end())
        self.publisher = publisher

    async def _publishers(self) -> tuple[Publisher, Publisher]:
        publishing = self._links[0]
        channel = await publishing.channel(self.end)
        channel.raw.add_on_return_callback(self._nowhere)
        publisher = await Publisher.open(channel, self._on_refused)
        channel = await publishing.channel(self.end)
        return publisher, await Publisher.open(channel, self._on_refused, mandatory=False)

    def _on_refused(self) -> None:
        self.refused = True
        self.wake.set()

    def _nowhere(self, *_: Any) -> None:
        """A publish came back: its queue is gone. Which one cannot be known cheaply, so all open ones fail.

        At once, for RabbitMQ also confirms what it gives back.
        """
        nowhere = "a publish reached no queue"
        self.publisher.fail(BrokerDown("JL-B007", nowhere))
        self.end(LinkLost(nowhere))

    def end(self, reason: LinkLost) -> None:
        if self.lost is None:
            self.lost = reason
            self.wake.set()

    def close(self, error: BrokerDown) -> None:
        """Lets go: what is not confirmed fails with `error`."""
        if hasattr(self, "publisher"):
            self.publisher.fail(error)
        for link in self._links:
            link.close()

    async def closed(self) -> None:
        """Waits, but not long, until the connections have said goodbye."""
        for link in self._links:
            await link.closed()

    async def declare(self, specs: Sequence[QueueSpec]) -> None:
        for spec in specs:
            await self._queue(spec.name, queue_arguments(spec), self._prefix)
            self.verified.add(spec.name)

    async def declare_step(self, step_ms: int) -> None:
        name = delay_name(self._prefix, step_ms)
        await self._exchange(name, "fanout")
        await self._queue(name, delay_arguments(self._prefix, step_ms), name)
        self.steps.add(step_ms)

    async def count(self, name: str) -> int | None:
        """Messages ready in a queue, None where there is no such queue. Raises LinkLost."""
        found = await self.look(name)
        return None if found is None else found.ready

    async def look(self, name: str) -> Standing | None:
        """None where there is no such queue. Raises LinkLost."""
        async with self._lock:
            try:
                return await (await self._channel()).declare_queue(name, None)
            except LinkLost as lost:
                if lost.code == NOT_FOUND:
                    return None
                raise

    async def delayed(self) -> int:
        """Messages in the delay queues, which all destinations share. Raises LinkLost."""
        counts = {
            step: await self.count(delay_name(self._prefix, step)) for step in self._delays | self.steps
        }
        self._delays = {step for step, count in counts.items() if count is not None}
        return sum(count or 0 for count in counts.values())

    async def delete(self, name: str) -> None:
        self.verified.discard(name)
        async with self._lock:
            channel = await self._channel()
            await channel.call(channel.raw.queue_delete, name)

    async def _exchange(self, name: str, kind: str) -> None:
        async with self._lock:
            channel = await self._channel()
            await channel.call(channel.raw.exchange_declare, name, kind, durable=True)

    async def _queue(self, name: str, arguments: dict[str, Any], exchange: str) -> None:
        """Declares and binds. One that exists with other arguments is taken as it is, and that is said."""
        async with self._lock:
            try:
                await (await self._channel()).declare_queue(name, arguments)
            except LinkLost as lost:
                if lost.code != OTHER_ARGUMENTS:
                    raise
                log.warning("the queue exists with other limits; RabbitMQ keeps the old ones", queue=name)
                await (await self._channel()).declare_queue(name, None)
            channel = await self._channel()
            await channel.call(channel.raw.queue_bind, name, exchange, routing_key=name)

    async def _channel(self) -> Channel:
        """The admin channel; RabbitMQ closes it at each refusal, so it is opened anew."""
        if self._admin is None or not self._admin.raw.is_open:
            self._admin = await self.consuming.channel(lambda _: None)
        return self._admin
