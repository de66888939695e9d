"""What every broker promises: one suite, run on the embedded broker and on RabbitMQ."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from router.brokers.base import POISON_AFTER, Broker, BrokerDown, Consumer, Delivered, QueueFull, QueueSpec
from router.brokers.embedded import EmbeddedBroker
from router.brokers.rabbitmq import RabbitBroker

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

    async def stop(self, broker: Broker) -> None:
        self._running.remove(broker)
        await asyncio.wait_for(broker.stop(), WAIT_S)

    async def clean(self) -> None:
        broker = self._running[-1] if self._running else await self.broker()
        await broker.delete(sorted(self._names))
        for running in list(self._running):
            await self.stop(running)


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
        async with asyncio.timeout(WAIT_S):
            while len(self.got) < n:
                self._more.clear()
                await self._more.wait()
        return self.got

    @property
    def bodies(self) -> list[bytes]:
        return [delivered.body for delivered in self.got]


async def watch(broker: Broker, queue: str, prefetch: int = 100, acks: bool = True) -> tuple[Inbox, Consumer]:
    inbox = Inbox(broker, acks)
    return inbox, await broker.consume(queue, inbox, prefetch)


def numbered(n: int, start: int = 0) -> list[bytes]:
    return [b"%d" % i for i in range(start, start + n)]


async def publish_all(broker: Broker, queues: list[str], bodies: list[bytes]) -> None:
    async with asyncio.timeout(WAIT_S):
        await asyncio.gather(*[broker.publish(queues, body) for body in bodies])


async def publish_without_end(broker: Broker, queue: str, body: bytes) -> None:
    while True:
        await broker.publish([queue], body)


async def settle(broker: Broker, queue: str, total: int) -> None:
    """Waits until the queue holds `total` messages: acknowledgements travel in batches."""
    async with asyncio.timeout(WAIT_S):
        while (await broker.depth([queue]))[queue].total != total:  # noqa: ASYNC110  # nobody tells us
            await asyncio.sleep(0.01)


@pytest.fixture(params=["embedded", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Site]:
    make: Callable[[], Broker]
    if request.param == "embedded":
        make = lambda: EmbeddedBroker(tmp_path / "broker.db")  # noqa: E731
    else:
        url = request.getfixturevalue("amqp_url")
        make = lambda: RabbitBroker([url], prefix="test")  # noqa: E731
    site = Site(make)
    yield site
    await site.clean()


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


async def test_a_publish_to_an_unknown_queue_fails_and_reaches_none(site: Site, broker: Broker) -> None:
    (q,) = await site.declare(broker, "q")
    with pytest.raises(BrokerDown, match="JL-B002"):
        await broker.publish([q, "test.nobody.declared.this"], b"x")
    await publish_all(broker, [q], [b"y"])
    inbox, _ = await watch(broker, q)
    await inbox.until(1)
    assert inbox.bodies == [b"y"]


async def test_consuming_an_unknown_queue_fails(broker: Broker) -> None:
    with pytest.raises(BrokerDown, match="JL-B002"):
        await watch(broker, "test.nobody.declared.this")


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
