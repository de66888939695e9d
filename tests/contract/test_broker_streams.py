"""A stream on both brokers: read and not emptied, in one order for all, over restarts."""

from __future__ import annotations

import asyncio

import pytest
from broker_parts import WAIT_S, Site, numbered

from router.brokers.base import Broker, BrokerDown


class Reader:
    """What was heard of a stream."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self._more = asyncio.Event()

    def __call__(self, entry: bytes) -> None:
        self.heard.append(entry)
        self._more.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(WAIT_S):
            while len(self.heard) < count:
                self._more.clear()
                await self._more.wait()


async def add(broker: Broker, stream: str, entries: list[bytes]) -> None:
    async with asyncio.timeout(WAIT_S):
        for entry in entries:
            await broker.publish([stream], entry)


@pytest.fixture
async def broker(site: Site) -> Broker:
    return await site.broker()


async def test_who_follows_hears_everything_from_the_first_entry_on(site: Site, broker: Broker) -> None:
    (s,) = await site.declare(broker, "s", stream=True)
    await add(broker, s, numbered(3))
    reader = Reader()
    await broker.follow(s, reader)
    await reader.until(3)
    await add(broker, s, numbered(2, 3))
    await reader.until(5)
    assert reader.heard == numbered(5)


async def test_the_next_process_hears_what_was_said_before_it(site: Site, broker: Broker) -> None:
    (s,) = await site.declare(broker, "s", stream=True)
    reader = Reader()
    await broker.follow(s, reader)
    await add(broker, s, numbered(4))
    await reader.until(4)
    await site.stop(broker)
    again = await site.broker()
    await site.declare(again, "s", stream=True)
    heard = Reader()
    await again.follow(s, heard)
    await add(again, s, [b"4"])
    await heard.until(5)
    assert heard.heard == numbered(5)


async def test_a_stream_that_nobody_declared_cannot_be_followed(broker: Broker) -> None:
    with pytest.raises(BrokerDown, match="JL-B002"):
        await broker.follow("test.nobody.declared.this", lambda entry: None)


async def test_an_entry_that_cannot_be_read_does_not_end_the_reading(site: Site, broker: Broker) -> None:
    (s,) = await site.declare(broker, "s", stream=True)
    reader = Reader()

    def choosy(entry: bytes) -> None:
        if entry == b"0":
            raise ValueError(entry)
        reader(entry)

    await broker.follow(s, choosy)
    await add(broker, s, numbered(3))
    await reader.until(2)
    assert reader.heard == [b"1", b"2"]
