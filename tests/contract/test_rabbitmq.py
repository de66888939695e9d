"""What only RabbitMQ can do to us: cut connections, late confirms, queues deleted behind our back."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pika
import pytest
from amqp_proxy import Proxy, way_through
from inbox import Inbox

from router.brokers.base import BrokerDown, QueueSpec
from router.brokers.rabbitmq import RabbitBroker
from router.brokers.rabbitmq_consume import RabbitConsumer, Returned
from router.brokers.rabbitmq_link import Link
from router.brokers.rabbitmq_topology import DELAYS_MS, delay_step_ms

pytestmark = pytest.mark.rabbitmq
WAIT_S = 20


class Rig:
    def __init__(self, url: str, through: str, proxy: Proxy) -> None:
        self.url = url
        self.through = through
        self.proxy = proxy
        self.mark = uuid.uuid4().hex[:8]
        self.changes: asyncio.Queue[bool] = asyncio.Queue()
        self._brokers: list[RabbitBroker] = []

    def name(self, name: str) -> str:
        return f"test.{self.mark}.{name}"

    async def broker(self, *urls: str, **options: Any) -> RabbitBroker:
        broker = RabbitBroker(urls or [self.through], prefix="test", **options)
        broker.on_change(self.changes.put_nowait)
        self._brokers.append(broker)
        await asyncio.wait_for(broker.start(), WAIT_S)
        return broker

    async def told(self, state: bool) -> None:
        """Waits until a broker says that it is open, or closed."""
        async with asyncio.timeout(WAIT_S):
            while await self.changes.get() is not state:
                pass

    async def clean(self, *names: str) -> None:
        for broker in self._brokers:
            await broker.stop()
        broker = RabbitBroker([self.url], prefix="test")
        await broker.start()
        await broker.delete([self.name(name) for name in names])
        await broker.stop()


@pytest.fixture
async def rig(amqp_url: str) -> AsyncIterator[Rig]:
    through, proxy = await way_through(amqp_url)
    rig = Rig(amqp_url, through, proxy)
    yield rig
    await rig.clean("a", "b")
    await proxy.stop()


async def test_a_cut_connection_fails_open_publishes_and_comes_back_by_itself(rig: Rig) -> None:
    broker = await rig.broker()
    a = rig.name("a")
    await broker.declare([QueueSpec(a)])
    box = Inbox(broker, acks=True)
    await broker.consume(a, box, 10)
    await rig.told(True)
    rig.proxy.silent = True
    unconfirmed = broker.publish([a], b"cut before its confirm")
    await asyncio.sleep(0)
    rig.proxy.cut()
    with pytest.raises(BrokerDown, match="JL-B007"):
        await asyncio.wait_for(unconfirmed, WAIT_S)
    assert not broker.open
    with pytest.raises(BrokerDown, match="JL-B001"):
        await broker.publish([a], b"while it is away")
    rig.proxy.silent = False
    await rig.told(True)
    await broker.publish([a], b"after")
    async with asyncio.timeout(WAIT_S):
        while b"after" not in [delivered.body for delivered in box.got]:
            await box.until(len(box.got) + 1)
    assert b"while it is away" not in [delivered.body for delivered in box.got]


async def test_a_stream_is_read_on_where_it_was_when_the_connection_broke(rig: Rig) -> None:
    broker = await rig.broker()
    a = rig.name("a")
    await broker.declare([QueueSpec(a, stream=True)])
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    await broker.follow(a, heard.put_nowait)
    await broker.publish([a], b"before")
    assert await asyncio.wait_for(heard.get(), WAIT_S) == b"before"
    await rig.told(True)
    rig.proxy.cut()
    await rig.told(False)
    await rig.told(True)
    await broker.publish([a], b"after")
    assert await asyncio.wait_for(heard.get(), WAIT_S) == b"after"


async def test_a_mailbox_whose_queue_nobody_can_use_holds_nothing_up(rig: Rig) -> None:
    broker = await rig.broker()
    mail: asyncio.Queue[bytes] = asyncio.Queue()
    where = await broker.mailbox(mail.put_nowait)
    spoiled = where()
    rig.proxy.refusing = True
    rig.proxy.cut()
    with pika.BlockingConnection(pika.URLParameters(rig.url)) as connection:
        queues = connection.channel()
        queues.queue_delete(spoiled)
        queues.queue_declare(spoiled, durable=True)  # of another kind: it cannot be declared as ours
        rig.proxy.refusing = False
        async with asyncio.timeout(WAIT_S):
            while where() == spoiled or not broker.open:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        queues.queue_delete(spoiled)
    broker.post(where(), b"found")
    assert await asyncio.wait_for(mail.get(), WAIT_S) == b"found"


async def test_two_processes_that_follow_a_stream_hear_the_same_in_the_same_order(rig: Rig) -> None:
    one, other = await rig.broker(), await rig.broker()
    a = rig.name("a")
    heard: list[asyncio.Queue[bytes]] = [asyncio.Queue(), asyncio.Queue()]
    for broker, inbox in zip((one, other), heard, strict=True):
        await broker.declare([QueueSpec(a, stream=True)])
        await broker.follow(a, inbox.put_nowait)
    await asyncio.gather(*(broker.publish([a], b"%d" % n) for n in range(20) for broker in (one, other)))
    async with asyncio.timeout(WAIT_S):
        first, second = [[await inbox.get() for _ in range(40)] for inbox in heard]
    assert first == second


async def test_what_was_held_comes_back_in_order_and_old_tags_are_forgotten(rig: Rig) -> None:
    broker = await rig.broker()
    a = rig.name("a")
    await broker.declare([QueueSpec(a, single=True)])
    for i in range(6):
        await broker.publish([a], b"%d" % i)
    box = Inbox(broker, acks=False)
    await broker.consume(a, box, 3)
    await box.until(3)
    await rig.told(True)
    rig.proxy.cut()
    await rig.told(False)
    old, box.got = box.got, []
    await rig.told(True)
    await box.until(3)
    for delivered in old:
        broker.ack(delivered)
    assert [delivered.body for delivered in box.got] == [b"0", b"1", b"2"]
    assert all(delivered.redelivered for delivered in box.got)
    assert [delivered.deliveries for delivered in box.got] == [1, 1, 1], "a cut line is nobody's poison"
    for delivered in list(box.got):
        broker.ack(delivered)
    await box.until(6)
    assert box.bodies[3:] == [b"3", b"4", b"5"]


async def test_a_late_confirm_fails_the_publish_and_drops_the_connection(rig: Rig) -> None:
    broker = await rig.broker(confirm_timeout_s=0.3)
    a = rig.name("a")
    await broker.declare([QueueSpec(a)])
    rig.proxy.silent = True
    with pytest.raises(BrokerDown, match="JL-B006"):
        await asyncio.wait_for(broker.publish([a], b"x"), WAIT_S)
    rig.proxy.silent = False
    rig.proxy.cut()
    await rig.told(False)
    await rig.told(True)
    await broker.publish([a], b"y")


async def test_a_broker_that_answers_nothing_at_all_is_found_out_by_the_late_confirm(rig: Rig) -> None:
    """A sender does not wait until the looks at the queues have timed out as well."""
    broker = await rig.broker(confirm_timeout_s=1, check_s=0.2)
    a = rig.name("a")
    await broker.declare([QueueSpec(a)])
    rig.proxy.silent = True
    asking = asyncio.create_task(broker.depth([a]))
    await asyncio.sleep(0.5)  # by now it looks by itself too
    with pytest.raises(BrokerDown, match="JL-B006"):
        await asyncio.wait_for(broker.publish([a], b"unconfirmed"), 3 * WAIT_S)
    rig.proxy.silent = False
    rig.proxy.cut()
    await asyncio.gather(asking, return_exceptions=True)


async def test_a_deleted_queue_closes_the_door_until_it_is_declared_again(rig: Rig) -> None:
    a, b = rig.name("a"), rig.name("b")
    broker = await rig.broker(check_s=0.05)
    await broker.declare([QueueSpec(a), QueueSpec(b)])
    await rig.told(True)
    other = await rig.broker(rig.url)
    await rig.told(True)
    await other.delete([b])
    await rig.told(False)
    await rig.told(True)
    await broker.publish([a, b], b"x")
    assert (await broker.depth([b]))[b].ready == 1


async def test_a_consumed_queue_that_is_deleted_is_noticed_at_once(rig: Rig) -> None:
    a = rig.name("a")
    broker = await rig.broker(check_s=600)
    await broker.declare([QueueSpec(a)])
    box = Inbox(broker, acks=True)
    await broker.consume(a, box, 1)
    await rig.told(True)
    other = await rig.broker(rig.url)
    await rig.told(True)
    await other.delete([a])
    await rig.told(False)
    await rig.told(True)
    await broker.publish([a], b"x")
    await box.until(1)
    assert box.bodies == [b"x"]


async def test_a_publish_that_reaches_no_queue_fails(rig: Rig) -> None:
    a = rig.name("a")
    broker = await rig.broker(check_s=600)
    await broker.declare([QueueSpec(a)])
    other = await rig.broker(rig.url)
    await other.delete([a])
    with pytest.raises(BrokerDown, match="JL-B007"):
        await asyncio.wait_for(broker.publish([a], b"x"), WAIT_S)


async def test_what_goes_past_pika_is_counted_for_its_heartbeat(rig: Rig) -> None:
    """pika ends a connection on which it has counted nothing new for a while."""
    a = rig.name("a")
    broker = await rig.broker(rig.url)
    await broker.declare([QueueSpec(a)])
    link = await Link.open(rig.through, lambda _: None)
    consumer = RabbitConsumer(a, lambda _: arrived.put_nowait(None), 10, Returned(), lambda _: None)
    arrived: asyncio.Queue[None] = asyncio.Queue()
    await consumer.attach(link, lambda _: None)
    assert consumer.held is not None
    for n in range(5):
        await broker.publish([a], b"%d" % n)
        await asyncio.wait_for(arrived.get(), WAIT_S)
        assert consumer.held.channel.raw.connection.bytes_received == rig.proxy.given
    link.close()
    await link.closed()


async def test_the_next_address_is_tried_when_one_refuses(rig: Rig) -> None:
    rig.proxy.refusing = True
    broker = await rig.broker(rig.through, rig.url)
    assert broker.open
    assert rig.proxy.connections == 1


async def test_after_a_refusal_publishes_go_by_a_new_channel_and_none_overtakes_another(rig: Rig) -> None:
    """RabbitMQ may go on refusing on one channel what it takes on the next: see Session.renew."""
    a, b = rig.name("a"), rig.name("b")
    broker = await rig.broker(rig.url, check_s=0.1)
    await broker.declare([QueueSpec(a), QueueSpec(b, max_bytes=1)])
    assert broker._session is not None
    first = broker._session.publisher
    kept: list[int] = []
    n, large = 0, b"x" * 300_000
    async with asyncio.timeout(3 * WAIT_S):
        while broker._session.publisher is first or n < 500:
            done = await asyncio.gather(
                broker.publish([b], large),  # is full by bytes, and told so only by the refusals
                *(broker.publish([a], b"%d" % i) for i in range(n, n + 10)),
                return_exceptions=True,
            )
            assert all(isinstance(one, BrokerDown | None) for one in done)
            kept += [n + i for i, one in enumerate(done[1:]) if one is None]
            n += 10
    box = Inbox(broker, acks=True)
    await broker.consume(a, box, 1000)
    await box.until(len(kept))
    assert [int(body) for body in box.bodies] == kept, (
        "none is lost, and none was kept that was not said to be"
    )
    assert broker.open


async def test_a_queue_with_other_limits_is_used_as_it_is(rig: Rig) -> None:
    a = rig.name("a")
    broker = await rig.broker()
    await broker.declare([QueueSpec(a, max_length=100)])
    await broker.publish([a], b"x")
    await broker.declare([QueueSpec(a, max_length=200)])
    assert (await broker.depth([a]))[a].ready == 1


async def test_a_worker_that_dies_makes_the_count_of_deliveries_rise(rig: Rig) -> None:
    """Each broker object here stands for a process: what one knew of giving back dies with it."""
    a = rig.name("a")
    counts = []
    for _ in range(3):
        broker = await rig.broker()
        await broker.declare([QueueSpec(a)])
        if not counts:
            await broker.publish([a], b"poison")
        box = Inbox(broker, acks=False)
        await broker.consume(a, box, 1)
        await box.until(1)
        counts.append(box.got[0].deliveries)
        await broker.stop()
    assert counts == [1, 2, 3]


def test_a_delay_is_rounded_up_to_a_step_and_ends_at_a_day() -> None:
    assert [delay_step_ms(s) for s in (0.001, 0.1, 0.101, 1, 1.5, 300, 86_400)] == [
        100, 100, 250, 1_000, 2_000, 300_000, 86_400_000,
    ]  # fmt: skip
    assert list(DELAYS_MS) == sorted(DELAYS_MS)
    with pytest.raises(ValueError, match="longer than a day"):
        delay_step_ms(86_401)


async def test_acknowledgements_in_any_order_name_no_delivery_twice(rig: Rig) -> None:
    """RabbitMQ closes the channel of who acknowledges what it does not hold; then everything comes again."""
    broker = await rig.broker()
    queue = rig.name("a")
    await broker.declare([QueueSpec(queue)])
    box = Inbox(broker, acks=False)
    await broker.consume(queue, box, 200)
    await asyncio.gather(*(broker.publish([queue], b"%d" % n) for n in range(120)))
    await box.until(120)
    for tenth in (7, 3, 8, 1, 0, 5, 9, 2, 6, 4):  # single ones first, runs that end in them later
        for delivered in box.got[tenth:120:10]:
            broker.ack(delivered)
        await asyncio.sleep(0.01)  # each of them is told by itself
    async with asyncio.timeout(WAIT_S):
        while (await broker.depth([queue]))[queue].total:  # noqa: ASYNC110  # nobody tells us
            await asyncio.sleep(0.02)
    assert len(box.got) == 120
    assert not any(delivered.redelivered for delivered in box.got)
