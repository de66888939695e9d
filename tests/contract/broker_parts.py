"""Brokers on one store for one test, and what is published to them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable

from inbox import Inbox

from router.brokers.base import Broker, Consumer, QueueSpec

WAIT_S = 20


class Site:
    """Brokers on one store; the queues' names are the test's own, and are deleted after it."""

    def __init__(self, make: Callable[[], Broker]) -> None:
        self._make = make
        self._running: list[Broker] = []
        self._names: set[str] = set()
        self._mark = uuid.uuid4().hex[:8]

    async def broker(self) -> Broker:
        broker = self._make()
        await asyncio.wait_for(broker.start(), WAIT_S)
        self._running.append(broker)
        return broker

    async def declare(self, broker: Broker, *names: str, **limits: int) -> list[str]:
        full = [f"test.{self._mark}.{name}" for name in names]
        self._names.update(full)
        await broker.declare([QueueSpec(name, **limits) for name in full])
        return full

    def owns(self, name: str) -> None:
        """A queue that somebody else declares, and that is deleted with the others."""
        self._names.add(name)

    async def stop(self, broker: Broker) -> None:
        self._running.remove(broker)
        await asyncio.wait_for(broker.stop(), WAIT_S)

    async def clean(self) -> None:
        broker = self._running[-1] if self._running else await self.broker()
        await broker.delete(sorted(self._names))
        for running in list(self._running):
            await self.stop(running)


async def watch(broker: Broker, queue: str, prefetch: int = 100, acks: bool = True) -> tuple[Inbox, Consumer]:
    inbox = Inbox(broker, acks)
    return inbox, await broker.consume(queue, inbox, prefetch)


def numbered(n: int, start: int = 0) -> list[bytes]:
    return [b"%d" % i for i in range(start, start + n)]


async def publish_all(broker: Broker, queues: list[str], bodies: list[bytes]) -> None:
    async with asyncio.timeout(WAIT_S):
        await asyncio.gather(*[broker.publish(queues, body) for body in bodies])


async def settle(broker: Broker, queue: str, total: int) -> None:
    """Waits until the queue holds `total` messages: acknowledgements travel in batches."""
    async with asyncio.timeout(WAIT_S):
        while (await broker.depth([queue]))[queue].total != total:  # noqa: ASYNC110  # nobody tells us
            await asyncio.sleep(0.01)
