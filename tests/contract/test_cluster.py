"""Three RabbitMQ nodes of the test's own: one dies and comes back, leaders move, and messages keep coming.

JINGLUO_CLUSTER_ROUNDS says how many nodes die, one after the other; one by default.
"""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from engine_parts import Sink, adt, channel, code_of, port, running, send, write_site
from own_nodes import Cluster

from router.board import Board, Mode
from router.brokers import rabbitmq
from router.brokers.base import BrokerDown, Delivered, QueueSpec
from router.brokers.rabbitmq import RabbitBroker

pytestmark = [pytest.mark.rabbitmq, pytest.mark.cluster, pytest.mark.timeout(600)]

WAIT_S = 120
ROUNDS = int(os.environ.get("JINGLUO_CLUSTER_ROUNDS", "1"))
BETWEEN = 150  # messages that must get through between two events
KEYS = 6


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        made.do("start")
        yield made
    finally:
        made.do("stop")


class Traffic:
    """Senders, one a key, that send the next message when the last one is confirmed; and all that arrived."""

    def __init__(self, broker: RabbitBroker, queues: list[str]) -> None:
        self.broker, self.queues = broker, queues
        self.confirmed: list[bytes] = []
        self.got: dict[str, list[Delivered]] = defaultdict(list)
        self.failed = 0
        self._stopping = False
        self._senders = [asyncio.create_task(self._send(key)) for key in range(KEYS)]

    async def _send(self, key: int) -> None:
        n = attempt = 0
        while not self._stopping:
            body = b"%d/%d/%d" % (key, n, attempt)
            try:
                await self.broker.publish(self.queues, body)
            except BrokerDown:  # it may be kept all the same: the next try is another message
                self.failed += 1
                attempt += 1
                await asyncio.sleep(0.1)
            else:
                self.confirmed.append(body)
                n, attempt = n + 1, 0

    async def more(self, count: int = BETWEEN) -> None:
        """Waits until so many more messages are confirmed and have arrived."""
        confirmed = len(self.confirmed)
        before = {queue: len(self.got[queue]) for queue in self.queues}

        def enough() -> bool:
            arrived = all(len(self.got[queue]) >= n + count for queue, n in before.items())
            return arrived and len(self.confirmed) >= confirmed + count

        async with asyncio.timeout(WAIT_S):
            while not enough():  # noqa: ASYNC110  # nobody tells us
                await asyncio.sleep(0.05)

    async def stop(self) -> None:
        self._stopping = True
        await asyncio.wait_for(asyncio.gather(*self._senders), WAIT_S)
        async with asyncio.timeout(WAIT_S):
            while any(self.lost(queue) for queue in self.queues):  # noqa: ASYNC110  # nobody tells us
                await asyncio.sleep(0.05)

    def lost(self, queue: str) -> set[bytes]:
        return set(self.confirmed) - {delivered.body for delivered in self.got[queue]}


async def _consumed(broker: RabbitBroker, queue: str, traffic: Traffic) -> None:
    def take(delivered: Delivered) -> None:
        traffic.got[queue].append(delivered)
        broker.ack(delivered)

    await broker.consume(queue, take, 50)


@pytest.fixture
async def brokers(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[RabbitBroker, RabbitBroker]]:
    """One that publishes, by the first node, and one that consumes, by the second.

    They reconnect at once, before a queue has a new leader: then RabbitMQ refuses on a channel what it takes on the
    next (Session.renew), in six of eight tries.
    """
    monkeypatch.setattr(rabbitmq, "BACKOFF_S", (0.002, 1.0))
    made = [RabbitBroker(cluster.urls(n)) for n in (1, 2)]
    for one in made:
        await asyncio.wait_for(one.start(), WAIT_S)
    yield made[0], made[1]
    for one in made:
        await asyncio.wait_for(one.stop(), WAIT_S)


async def test_nothing_is_lost_while_nodes_die_and_come_back_and_leaders_move(
    cluster: Cluster, brokers: tuple[RabbitBroker, RabbitBroker]
) -> None:
    publishing, consuming = brokers
    queues = ["jl.cluster.plain", "jl.cluster.lane"]
    specs = [QueueSpec(queues[0]), QueueSpec(queues[1], single=True)]
    for broker in brokers:
        await broker.declare(specs)
    traffic = Traffic(publishing, queues)
    for queue in queues:
        await _consumed(consuming, queue, traffic)
    await traffic.more()
    for round in range(ROUNDS):
        node = str(round % 3 + 1)
        await asyncio.to_thread(cluster.do, "kill", node)
        await traffic.more()
        await asyncio.to_thread(cluster.do, "node", node)
        await traffic.more()
        await asyncio.to_thread(cluster.do, "rebalance")
        await traffic.more()
    await traffic.stop()
    for queue in queues:
        assert not traffic.lost(queue)
        seen: set[bytes] = set()
        for delivered in traffic.got[queue]:
            assert delivered.body not in seen or delivered.redelivered, "a second copy says that it is one"
            seen.add(delivered.body)
    firsts = list(dict.fromkeys(delivered.body for delivered in traffic.got[queues[1]]))
    for key in range(KEYS):
        order = [int(body.split(b"/")[1]) for body in firsts if body.startswith(b"%d/" % key)]
        assert order == sorted(order), "a lane keeps its order through a change of leader"


async def test_a_mailbox_outlives_the_node_that_it_was_made_on(
    cluster: Cluster, brokers: tuple[RabbitBroker, RabbitBroker]
) -> None:
    asking, answering = brokers
    mail: asyncio.Queue[bytes] = asyncio.Queue()
    address = (await asking.mailbox(mail.put_nowait))()
    answering.post(address, b"before")
    assert await asyncio.wait_for(mail.get(), WAIT_S) == b"before"
    changes: asyncio.Queue[bool] = asyncio.Queue()
    asking.on_change(changes.put_nowait)
    await asyncio.to_thread(cluster.do, "kill", "1")
    try:
        async with asyncio.timeout(WAIT_S):
            while not await changes.get():
                pass
            while (
                mail.empty()
            ):  # one that is posted while a leader is chosen may be lost: its sender hears `pending`
                answering.post(address, b"after")
                await asyncio.sleep(0.2)
    finally:
        await asyncio.to_thread(cluster.do, "node", "1")
    assert mail.get_nowait() == b"after"


async def test_the_engine_goes_on_without_the_node_it_is_connected_to(
    cluster: Cluster, tmp_path: Path
) -> None:
    sink = await Sink().start()
    site = write_site(tmp_path, channel(sink))
    async with running(site, broker=",".join(cluster.urls(2))) as engine:
        accepted: list[str] = []

        async def sender() -> None:
            for n in range(200):
                control_id, code = f"C{n}", ""
                while code != "AA":
                    code = code_of((await send(port(engine), adt(control_id)))[0])
                    await asyncio.sleep(0.02 if code == "AA" else 0.3)
                accepted.append(control_id)

        sending = asyncio.create_task(sender())
        await sink.wait_for(20, WAIT_S)
        await asyncio.to_thread(cluster.do, "kill", "2")
        await asyncio.wait_for(sending, WAIT_S)
        await asyncio.to_thread(cluster.do, "node", "2")
        async with asyncio.timeout(WAIT_S):
            while set(accepted) - set(sink.ids()):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    await sink.stop()


async def test_what_operators_say_is_heard_over_the_death_of_any_node(cluster: Cluster) -> None:
    async with asyncio.timeout(WAIT_S):
        pairs = [await _begun(cluster.urls(n)) for n in (1, 2)]
    brokers, boards = [broker for broker, _ in pairs], [board for _, board in pairs]
    way = ("adt", "lis")
    try:
        for node, state in (("1", "paused"), ("2", "draining"), ("3", "running")):
            await asyncio.to_thread(cluster.do, "kill", node)
            async with asyncio.timeout(WAIT_S):
                await _said(boards[0], Mode(*way, state, 1))
                while [board.state(way) for board in boards] != [state] * 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            await asyncio.to_thread(cluster.do, "node", node)
    finally:
        for broker in brokers:
            await broker.stop()


async def _begun(urls: list[str]) -> tuple[RabbitBroker, Board]:
    """As an engine begins again: RabbitMQ cuts who asks a node whose replica of a new stream is not there yet."""
    while True:
        broker = RabbitBroker(urls, prefix="board")
        board = Board(broker)
        try:
            await broker.start()
            await board.start()
        except BrokerDown:
            await broker.stop()
            await asyncio.sleep(0.5)
        else:
            return broker, board


async def _said(board: Board, mode: Mode) -> None:
    """As an operator who is told `not now` says it again."""
    while True:
        try:
            return await board.say(mode)
        except BrokerDown:
            await asyncio.sleep(0.5)
