"""What every broker promises who consumes: one suite, run on the embedded broker and on RabbitMQ."""

from __future__ import annotations

import asyncio

import pytest
from broker_parts import WAIT_S, Site, numbered, publish_all, settle, watch

from router.brokers.base import POISON_AFTER, Broker, BrokerDown, Delivered


@pytest.fixture
async def broker(site: Site) -> Broker:
    return await site.broker()


async def test_a_consumer_holds_no_more_than_its_prefetch(site: Site, broker: Broker) -> None:
    (q,) = await site.declare(broker, "q")
    inbox, _ = await watch(broker, q, prefetch=3, acks=False)
    await publish_all(broker, [q], numbered(10))
    await inbox.until(3)
    depth = (await broker.depth([q]))[q]
    assert (depth.ready, depth.held, depth.total) == (7, 3, 10)
    assert inbox.bodies == numbered(3)
    broker.ack(inbox.got[0])
    await inbox.until(4)
    assert inbox.bodies == numbered(4)


async def test_consuming_an_unknown_queue_fails(broker: Broker) -> None:
    with pytest.raises(BrokerDown, match="JL-B002"):
        await watch(broker, "test.nobody.declared.this")


async def test_cancel_gives_back_to_the_head_in_the_old_order_and_flagged(site: Site, broker: Broker) -> None:
    (q,) = await site.declare(broker, "q", single=True)
    await publish_all(broker, [q], numbered(10))
    first, consumer = await watch(broker, q, prefetch=5, acks=False)
    await first.until(5)
    broker.ack(first.got[0])
    broker.ack(first.got[2])
    await settle(broker, q, 8)
    await consumer.cancel()
    second, _ = await watch(broker, q)
    await second.until(8)
    assert second.bodies == [b"1", b"3", b"4", b"5", b"6", b"7", b"8", b"9"]
    assert [delivered.redelivered for delivered in second.got] == [True] * 5 + [False] * 3


async def test_an_acknowledgement_after_cancel_is_ignored(site: Site, broker: Broker) -> None:
    (q,) = await site.declare(broker, "q")
    await publish_all(broker, [q], numbered(2))
    first, consumer = await watch(broker, q, acks=False)
    await first.until(2)
    await consumer.cancel()
    broker.ack(first.got[0])
    second, _ = await watch(broker, q, acks=False)
    await second.until(2)
    assert second.bodies == numbered(2)
    assert (await broker.depth([q]))[q].total == 2


async def test_an_acknowledgement_given_twice_counts_once(site: Site, broker: Broker) -> None:
    (q,) = await site.declare(broker, "q")
    inbox, _ = await watch(broker, q, acks=False)
    await publish_all(broker, [q], numbered(2))
    first, _ = await inbox.until(2)
    broker.ack(first)
    broker.ack(first)
    await settle(broker, q, 1)
    assert broker.open


async def test_one_consumer_of_a_lane_is_active_and_the_next_takes_over(site: Site, broker: Broker) -> None:
    (q,) = await site.declare(broker, "q", single=True)
    first, consumer = await watch(broker, q)
    second, _ = await watch(broker, q)
    await publish_all(broker, [q], numbered(20))
    await first.until(20)
    assert second.bodies == []
    await settle(broker, q, 0)
    await consumer.cancel()
    await publish_all(broker, [q], numbered(5))
    await second.until(5)
    assert second.bodies == numbered(5)


async def test_a_lane_keeps_its_order_when_the_one_that_lets_go_has_a_stand_by(
    site: Site, broker: Broker
) -> None:
    (q,) = await site.declare(broker, "q", single=True)
    await publish_all(broker, [q], numbered(100))
    first, consumer = await watch(broker, q, prefetch=16, acks=False)
    second, _ = await watch(broker, q, prefetch=16)
    for delivered in (await first.until(16))[:4]:
        broker.ack(delivered)
    await settle(broker, q, 96)
    await consumer.cancel()
    await second.until(96)
    assert second.bodies == numbered(96, 4)


async def test_letting_go_does_not_make_a_poison_message(site: Site, broker: Broker) -> None:
    (q,) = await site.declare(broker, "q", single=True)
    await publish_all(broker, [q], [b"x"])
    for _ in range(POISON_AFTER + 2):
        inbox, consumer = await watch(broker, q, acks=False)
        await inbox.until(1)
        assert inbox.got[0].deliveries == 1
        await consumer.cancel()


async def test_several_consumers_share_a_queue_without_doubling(site: Site, broker: Broker) -> None:
    (q,) = await site.declare(broker, "q")
    first, _ = await watch(broker, q, prefetch=2, acks=False)
    second, _ = await watch(broker, q, prefetch=8, acks=False)
    await publish_all(broker, [q], numbered(10))
    await first.until(2)
    await second.until(8)
    assert sorted(first.bodies + second.bodies) == sorted(numbered(10))


async def test_a_failing_consumer_does_not_stop_the_others(site: Site, broker: Broker) -> None:
    a, b = await site.declare(broker, "a", "b")
    told = asyncio.Event()

    def fails(delivered: Delivered) -> None:
        told.set()
        raise RuntimeError("a bug in a consumer")

    await broker.consume(a, fails, 10)
    inbox, _ = await watch(broker, b)
    await publish_all(broker, [a, b], numbered(2))
    await inbox.until(2)
    await asyncio.wait_for(told.wait(), WAIT_S)
    assert (await broker.depth([a]))[a].total == 2


async def test_a_delivery_is_held_until_it_is_acknowledged_or_given_back(site: Site) -> None:
    broker = await site.broker()
    (queue,) = await site.declare(broker, "a")
    await publish_all(broker, [queue], numbered(2))
    inbox, consumer = await watch(broker, queue, acks=False)
    first, second = await inbox.until(2)
    assert broker.holds(first)
    broker.ack(first)
    assert not broker.holds(first)
    assert broker.holds(second)
    await consumer.cancel()
    assert not broker.holds(second)
