"""A consumer for the tests of all brokers."""

from __future__ import annotations

import asyncio

from router.brokers.base import Broker, Delivered

_WAIT_S = 20


class Inbox:
    """Collects deliveries; `until(n)` waits for the first n."""

    def __init__(self, broker: Broker, acks: bool = False) -> None:
        self._broker = broker
        self._acks = acks
        self.got: list[Delivered] = []
        self._more = asyncio.Event()

    def __call__(self, delivered: Delivered) -> None:
        self.got.append(delivered)
        if self._acks:
            self._broker.ack(delivered)
        self._more.set()

    async def until(self, n: int) -> list[Delivered]:
        async with asyncio.timeout(_WAIT_S):
            while len(self.got) < n:
                self._more.clear()
                await self._more.wait()
        return self.got

    @property
    def bodies(self) -> list[bytes]:
        return [delivered.body for delivered in self.got]
