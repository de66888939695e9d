"""What every broker promises who publishes: one suite, run on the embedded broker and on RabbitMQ."""

from __future__ import annotations

import asyncio

import pytest
from broker_parts import WAIT_S, Site, numbered, publish_all, settle, watch

from router.brokers.base import Broker, BrokerDown, QueueFull


async def publish_without_end(broker: Broker, queue: str, body: bytes) -> None:
    while True:
        await broker.publish([queue], body)


@pytest.fixture
async def broker(site: Site) -> Broker:
    return await site.broker()


async def test_a_publish_reaches_every_queue_it_names_and_no_other(site: Site, broker: Broker) -> None:
    a, b, c = await site.declare(broker, "a", "b", "c")
    boxes = [(await watch(broker, name))[0] for name in (a, b, c)]
    await publish_all(broker, [a, b], [b"one"])
    await publish_all(broker, [c], [b"two"])
    assert (await boxes[0].until(1))[0].queue == a
    await boxes[1].until(1)
    await boxes[2].until(1)
    assert [box.bodies for box in boxes] == [[b"one"], [b"one"], [b"two"]]
    first = boxes[0].got[0]
    assert (first.redelivered, first.deliveries) == (False, 1)


async def test_messages_published_without_a_consumer_wait_in_order(site: Site, broker: Broker) -> None:
    (q,) = await site.declare(broker, "q")
    await publish_all(broker, [q], numbered(300))
    inbox, _ = await watch(broker, q, prefetch=7)
    await inbox.until(300)
    assert inbox.bodies == numbered(300)


async def test_order_holds_while_publishing_and_consuming_at_once(site: Site, broker: Broker) -> None:
    (q,) = await site.declare(broker, "q", single=True)
    inbox, _ = await watch(broker, q, prefetch=3)
    for start in range(0, 600, 50):
        await publish_all(broker, [q], numbered(50, start))
    await inbox.until(600)
    assert inbox.bodies == numbered(600)


async def test_what_was_confirmed_is_there_after_a_restart_in_order(site: Site, broker: Broker) -> None:
    a, b = await site.declare(broker, "a", "b")
    await publish_all(broker, [a, b], numbered(20))
    await site.stop(broker)
    again = await site.broker()
    await site.declare(again, "a", "b")
    for name in (a, b):
        inbox, _ = await watch(again, name)
        await inbox.until(20)
        assert inbox.bodies == numbered(20)


async def test_what_was_acknowledged_does_not_come_back_after_a_restart(site: Site, broker: Broker) -> None:
    (q,) = await site.declare(broker, "q")
    inbox, _ = await watch(broker, q, acks=False)
    await publish_all(broker, [q], numbered(4))
    for delivered in (await inbox.until(4))[:3]:
        broker.ack(delivered)
    await site.stop(broker)
    again = await site.broker()
    await site.declare(again, "q")
    later, _ = await watch(again, q)
    await later.until(1)
    await settle(again, q, 0)
    assert later.bodies == [b"3"]
    assert later.got[0].redelivered


async def test_a_publish_to_an_unknown_queue_fails_and_reaches_none(site: Site, broker: Broker) -> None:
    (q,) = await site.declare(broker, "q")
    with pytest.raises(BrokerDown, match="JL-B002"):
        await broker.publish([q, "test.nobody.declared.this"], b"x")
    await publish_all(broker, [q], [b"y"])
    inbox, _ = await watch(broker, q)
    await inbox.until(1)
    assert inbox.bodies == [b"y"]


async def test_a_publish_to_no_queue_is_refused(broker: Broker) -> None:
    with pytest.raises(ValueError, match="at least one queue"):
        broker.publish([], b"x")


async def test_a_queue_named_twice_gets_the_message_once(site: Site, broker: Broker) -> None:
    a, b = await site.declare(broker, "a", "b")
    await publish_all(broker, [a, b, a], [b"x"])
    assert [(await broker.depth([name]))[name].total for name in (a, b)] == [1, 1]


async def test_a_full_queue_refuses_and_takes_again_when_there_is_room(site: Site, broker: Broker) -> None:
    (q,) = await site.declare(broker, "q", max_length=5)
    async with asyncio.timeout(WAIT_S):
        with pytest.raises(QueueFull, match="JL-B003"):
            await publish_without_end(broker, q, b"x")
    assert broker.open
    waiting = (await broker.depth([q]))[q].total
    inbox, _ = await watch(broker, q)
    await inbox.until(waiting)
    await settle(broker, q, 0)
    await publish_all(broker, [q], [b"again"])
    assert (await inbox.until(waiting + 1))[-1].body == b"again"


async def test_a_queue_that_is_full_by_bytes_refuses(site: Site, broker: Broker) -> None:
    (q,) = await site.declare(broker, "q", max_bytes=10_000)
    async with asyncio.timeout(WAIT_S):
        with pytest.raises(QueueFull):
            await publish_without_end(broker, q, b"x" * 1_000)


async def test_a_delayed_message_appears_not_before_its_time(site: Site, broker: Broker) -> None:
    a, b = await site.declare(broker, "a", "b")
    loop = asyncio.get_running_loop()
    began = loop.time()
    boxes = [(await watch(broker, name))[0] for name in (a, b)]
    await broker.publish([a, b], b"later", delay_s=0.25)
    await broker.publish([a], b"now")
    await boxes[0].until(1)
    assert boxes[0].bodies == [b"now"]
    await boxes[0].until(2)
    assert loop.time() - began >= 0.25
    await boxes[1].until(1)
    assert (boxes[0].bodies, boxes[1].bodies) == ([b"now", b"later"], [b"later"])
    assert boxes[0].got[1].queue == a


async def test_delayed_messages_keep_their_order(site: Site, broker: Broker) -> None:
    (q,) = await site.declare(broker, "q")
    inbox, _ = await watch(broker, q)
    for body in numbered(20):
        await broker.publish([q], body, delay_s=0.1)
    await inbox.until(20)
    assert inbox.bodies == numbered(20)


async def test_a_delay_survives_a_restart(site: Site, broker: Broker) -> None:
    (q,) = await site.declare(broker, "q")
    await broker.publish([q], b"later", delay_s=0.5)
    await site.stop(broker)
    again = await site.broker()
    await site.declare(again, "q")
    inbox, _ = await watch(again, q)
    await inbox.until(1)
    assert inbox.bodies == [b"later"]
    await settle(again, q, 0)


async def test_what_waits_for_its_time_is_counted_also_after_a_restart(site: Site, broker: Broker) -> None:
    (q,) = await site.declare(broker, "q")
    await asyncio.gather(*[broker.publish([q], body, delay_s=1.0) for body in numbered(3)])
    await site.stop(broker)
    again = await site.broker()
    await site.declare(again, "q")
    async with asyncio.timeout(WAIT_S):
        while await again.delayed() < 3:  # noqa: ASYNC110  # RabbitMQ's figures are a little late
            await asyncio.sleep(0.01)
    # RabbitMQ keeps those of all queues together, and cannot be asked for one's.
    assert await again.delayed_in(q, 2) in (numbered(2), [])
    inbox, _ = await watch(again, q)
    await inbox.until(3)


async def test_two_thousand_messages_at_once_arrive_once_each(site: Site, broker: Broker) -> None:
    a, b = await site.declare(broker, "a", "b")
    boxes = [(await watch(broker, name, prefetch=50))[0] for name in (a, b)]
    await publish_all(broker, [a, b], numbered(2_000))
    for name, box in zip((a, b), boxes, strict=True):
        await box.until(2_000)
        await settle(broker, name, 0)
        assert sorted(map(int, box.bodies)) == list(range(2_000))


async def test_a_body_of_a_megabyte_and_an_empty_one_travel_unchanged(site: Site, broker: Broker) -> None:
    a, b = await site.declare(broker, "a", "b")
    bodies = [bytes(range(256)) * 4096, b"", b"\0"]
    boxes = [(await watch(broker, name))[0] for name in (a, b)]
    for body in bodies:
        await broker.publish([a, b], body)
    for box in boxes:
        await box.until(3)
        assert box.bodies == bodies


async def test_a_deleted_queue_is_unknown_and_the_others_keep_theirs(site: Site, broker: Broker) -> None:
    a, b = await site.declare(broker, "a", "b")
    await publish_all(broker, [a, b], numbered(3))
    await broker.delete([a])
    with pytest.raises(BrokerDown, match="JL-B002"):
        await broker.publish([a], b"x")
    inbox, _ = await watch(broker, b)
    await inbox.until(3)
    assert inbox.bodies == numbered(3)
    await site.declare(broker, "a")
    assert (await broker.depth([a]))[a].total == 0


async def test_declaring_again_keeps_what_is_in_the_queue(site: Site, broker: Broker) -> None:
    (q,) = await site.declare(broker, "q")
    await publish_all(broker, [q], numbered(3))
    await site.declare(broker, "q")
    assert (await broker.depth([q]))[q].ready == 3


async def test_open_and_closed_are_told(site: Site) -> None:
    broker = site._make()
    told: list[bool] = []
    broker.on_change(told.append)
    assert not broker.open
    await broker.start()
    assert broker.open
    await broker.stop()
    assert not broker.open
    assert told == [True, False]
