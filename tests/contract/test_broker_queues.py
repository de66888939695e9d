"""What can be known of a queue before it is deleted: whether it is there, empty for certain, and used by anybody."""

from __future__ import annotations

import asyncio

import pytest
from broker_parts import WAIT_S, Site, numbered, publish_all, watch

from router.brokers.base import Broker, Standing
from router.brokers.embedded import EmbeddedBroker


@pytest.fixture
async def broker(site: Site) -> Broker:
    return await site.broker()


async def until(broker: Broker, queue: str, standing: Standing | None) -> None:
    """RabbitMQ needs a moment to notice that a consumer is gone."""
    async with asyncio.timeout(WAIT_S):
        while await broker.look(queue) != standing:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_look_shows_what_waits_and_who_consumes_and_makes_no_queue(
    site: Site, broker: Broker
) -> None:
    assert await broker.look("test.nobody.made.this") is None
    assert await broker.look("test.nobody.made.this") is None
    (q,) = await site.declare(broker, "q")
    await publish_all(broker, [q], numbered(3))
    await until(broker, q, Standing(3, 0))
    inbox, consumer = await watch(broker, q)
    await inbox.until(3)
    await until(broker, q, Standing(0, 1))
    await consumer.cancel()
    await until(broker, q, Standing(0, 0))
    await broker.delete([q])
    assert await broker.look(q) is None


async def test_a_queue_is_empty_only_when_nothing_of_it_is_in_hand_or_waits_for_its_time(
    site: Site, broker: Broker
) -> None:
    (q,) = await site.declare(broker, "q")

    async def emptied() -> None:
        async with asyncio.timeout(WAIT_S):
            while not await broker.empty([q]):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    await emptied()
    await publish_all(broker, [q], [b"x"])
    assert not await broker.empty([q])
    inbox, _ = await watch(broker, q, acks=False)
    (delivered,) = await inbox.until(1)
    assert not await broker.empty([q])
    await broker.publish([q], b"later", delay_s=1)
    broker.ack(delivered)
    assert not await broker.empty([q])
    broker.ack((await inbox.until(2))[1])
    await emptied()


async def test_what_was_published_is_settled_before_the_wait_for_it_ends(site: Site, broker: Broker) -> None:
    await broker.settled()
    (q,) = await site.declare(broker, "q")
    published = [broker.publish([q], body) for body in numbered(50)]
    await broker.settled()
    assert all(future.done() and future.exception() is None for future in published)


async def test_the_embedded_broker_shows_what_is_in_a_queue_whatever_became_of_it(
    site: Site, broker: Broker
) -> None:
    q, other = await site.declare(broker, "q", "other")
    await publish_all(broker, [q], numbered(2))
    await publish_all(broker, [other], [b"not this"])
    inbox, _ = await watch(broker, q, acks=False)
    await inbox.until(2)
    await publish_all(broker, [q, other], [b"both"])
    if not isinstance(broker, EmbeddedBroker):
        assert await broker.contents(q, 100) is None, "RabbitMQ shows to nobody what is in a queue"
        return
    await broker.publish([q], b"later", delay_s=600)
    assert await broker.contents(q, 4) == [b"0", b"1", b"both", b"later"]
    assert await broker.contents(q, 3) is None
