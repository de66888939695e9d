"""What only the embedded broker can go through: kill -9, a full disk, two processes on one file."""

from __future__ import annotations

import asyncio
import resource
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from inbox import Inbox

from config.errors import JingluoError
from router.brokers import open_broker
from router.brokers.base import BrokerDown, QueueSpec
from router.brokers.embedded import EmbeddedBroker

WAIT_S = 20
Q = QueueSpec("q")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "broker.db"


async def started(file: Path) -> EmbeddedBroker:
    broker = EmbeddedBroker(file)
    await broker.start()
    await broker.declare([Q])
    return broker


@pytest.fixture
async def broker(file: Path) -> AsyncIterator[EmbeddedBroker]:
    broker = await started(file)
    yield broker
    await broker.stop()


async def test_what_is_published_while_the_first_page_is_read_counts_as_handed_out_too(file: Path) -> None:
    broker = await started(file)
    box = Inbox(broker)
    await broker.consume("q", box, 5)
    await asyncio.sleep(0)  # the page is on its way, and not back
    await broker.publish(["q"], b"1")
    assert [d.deliveries for d in await box.until(1)] == [1]
    await broker.stop()
    again = await started(file)
    box = Inbox(again)
    await again.consume("q", box, 5)
    assert [d.deliveries for d in await box.until(1)] == [2]
    await again.stop()


CHILD = """
import asyncio, sys
from pathlib import Path
from router.brokers.base import QueueSpec
from router.brokers.embedded import EmbeddedBroker

async def main():
    broker = EmbeddedBroker(Path(sys.argv[1]))
    await broker.start()
    await broker.declare([QueueSpec("q"), QueueSpec("r")])
    def take(delivered):
        if int(delivered.body) % 2:
            broker.ack(delivered)
    await broker.consume("q", take, 5)
    for i in range(100_000):
        await broker.publish(["q", "r"], b"%d" % i)
        print(i, flush=True)

asyncio.run(main())
"""


async def test_nothing_that_was_confirmed_is_lost_by_kill_9(file: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, str(file), stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    confirmed = -1
    async with asyncio.timeout(WAIT_S):
        while confirmed < 200:
            confirmed = int(await child.stdout.readline())
        child.kill()
        confirmed = int([b"%d" % confirmed, *(await child.stdout.read()).split()][-1])
        await child.wait()
    assert child.returncode == -signal.SIGKILL
    broker = await started(file)
    await broker.declare([QueueSpec("r")])
    untouched = (await broker.depth(["r"]))["r"].total
    assert untouched in (confirmed + 1, confirmed + 2)  # the last may be written and not yet confirmed
    box = Inbox(broker, acks=True)
    await broker.consume("r", box, 50)
    await box.until(untouched)
    assert [int(d.body) for d in box.got] == list(range(untouched))
    again = Inbox(broker, acks=False)
    await broker.consume("q", again, 5)
    handed = (await again.until(5))[:5]
    assert [int(d.body) for d in handed] == [0, 2, 4, 6, 8]
    assert all(d.redelivered for d in handed)
    assert all(d.deliveries == 2 for d in handed)
    await broker.stop()


async def test_each_crash_counts_as_a_delivery(file: Path) -> None:
    counts = []
    for _ in range(4):
        broker = await started(file)
        box = Inbox(broker, acks=False)
        await broker.consume("q", box, 1)
        if not counts:
            await broker.publish(["q"], b"poison")
        counts.append((await box.until(1))[0].deliveries)
        await broker.stop()
    assert counts == [1, 2, 3, 4]


async def test_a_second_process_on_the_file_is_told_so(broker: EmbeddedBroker, file: Path) -> None:
    code = (
        "import asyncio, sys; from pathlib import Path; from router.brokers.embedded import EmbeddedBroker\n"
    )
    code += "asyncio.run(EmbeddedBroker(Path(sys.argv[1])).start())"
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(file), stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(WAIT_S):
        _, said = await child.communicate()
    assert child.returncode == 1
    assert b"JL-B005" in said
    await broker.publish(["q"], b"and the first goes on")


async def test_a_file_that_is_no_database_is_told_so(file: Path) -> None:
    file.write_bytes(b"something else, and long enough to be looked at" * 100)  # noqa: ASYNC240
    with pytest.raises(BrokerDown, match="JL-B004"):
        await EmbeddedBroker(file).start()


@pytest.fixture
def disk() -> Iterator[object]:
    """`disk(n)` lets no file grow beyond n bytes; what a full disk looks like to SQLite."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def limit(size: int | None) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft if size is None else size, hard))

    yield limit
    limit(None)
    signal.signal(signal.SIGXFSZ, old)


async def test_a_full_disk_closes_the_door_and_it_opens_by_itself(
    broker: EmbeddedBroker, file: Path, disk: object
) -> None:
    assert callable(disk)
    changes: asyncio.Queue[bool] = asyncio.Queue()
    broker.on_change(changes.put_nowait)
    box = Inbox(broker, acks=False)
    await broker.consume("q", box, 10)
    await broker.publish(["q"], b"before")
    await box.until(1)
    disk(max(path.stat().st_size for path in file.parent.iterdir()))
    refused = await asyncio.gather(
        *[broker.publish(["q"], bytes(100_000)) for _ in range(20)], return_exceptions=True
    )
    assert all(isinstance(error, BrokerDown) and error.code == "JL-B004" for error in refused)
    assert await asyncio.wait_for(changes.get(), WAIT_S) is False
    assert not broker.open
    with pytest.raises(BrokerDown, match="JL-B001"):
        await broker.publish(["q"], b"x")
    broker.ack(box.got[0])
    disk(None)
    assert await asyncio.wait_for(changes.get(), WAIT_S) is True
    await broker.publish(["q"], b"after")
    assert [d.body for d in await box.until(2)] == [b"before", b"after"]
    assert (await broker.depth(["q"]))["q"].total == 1
    await broker.stop()
    with sqlite3.connect(file) as look:
        assert look.execute("SELECT data FROM body").fetchall() == [(b"after",)]
    look.close()


async def test_a_failed_publish_leaves_room_in_the_queue(
    broker: EmbeddedBroker, disk: object, file: Path
) -> None:
    assert callable(disk)
    changes: asyncio.Queue[bool] = asyncio.Queue()
    broker.on_change(changes.put_nowait)
    disk(max(path.stat().st_size for path in file.parent.iterdir()))
    failed = [broker.publish(["q"], bytes(1_000_000), delay_s=delay) for delay in (0, 3600)]
    await asyncio.gather(*failed, return_exceptions=True)
    disk(None)
    while not await asyncio.wait_for(changes.get(), WAIT_S):
        pass
    assert (await broker.depth(["q"]))["q"].total == 0


async def test_a_body_goes_with_its_last_queue(file: Path) -> None:
    broker = await started(file)
    await broker.declare([QueueSpec("r"), QueueSpec("s")])
    boxes = {name: Inbox(broker, acks=False) for name in ("q", "r")}
    await broker.consume("q", boxes["q"], 4)
    for i in range(20):
        await broker.publish(["q", "r", "s"], b"%d" % i)
    boxes["q"]._acks = True
    for delivered in list((await boxes["q"].until(4))[:4]):
        broker.ack(delivered)
    await boxes["q"].until(20)
    consumer = await broker.consume("r", boxes["r"], 3)
    for delivered in list(await boxes["r"].until(3)):
        broker.ack(delivered)
    await consumer.cancel()
    await broker.delete(["s"])
    await broker.stop()
    with sqlite3.connect(file) as look:
        left = [int(data) for (data,) in look.execute("SELECT data FROM body ORDER BY id")]
        assert look.execute("SELECT count(*) FROM item").fetchone() == (17,)
    look.close()
    assert left == list(range(3, 20))


async def test_the_file_gives_its_space_back(file: Path) -> None:
    broker = await started(file)
    await asyncio.gather(*[broker.publish(["q"], bytes(50_000)) for _ in range(400)])
    box = Inbox(broker, acks=True)
    await broker.consume("q", box, 20)
    await box.until(400)
    for _ in range(3_000):  # the space comes back little by little, with the traffic
        await broker.publish(["q"], b"small")
    await broker.stop()
    assert file.stat().st_size < 5_000_000  # noqa: ASYNC240


async def test_many_delayed_messages_arrive_once_each(broker: EmbeddedBroker) -> None:
    box = Inbox(broker, acks=True)
    await broker.consume("q", box, 50)
    await asyncio.gather(
        *[broker.publish(["q"], b"%d" % i, delay_s=i % 7 / 100 + 0.001) for i in range(1_500)]
    )
    assert (await broker.depth(["q"]))["q"].total <= 1_500
    await box.until(1_500)
    assert sorted(int(d.body) for d in box.got) == list(range(1_500))
    depth = (await broker.depth(["q"]))["q"]
    assert (depth.ready, depth.held, depth.delayed) == (0, 0, 0)


@pytest.mark.parametrize("ahead_s", [-3600, 3600])
async def test_a_wall_clock_that_is_set_neither_holds_nor_hurries_what_waits(
    broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch, ahead_s: int
) -> None:
    box = Inbox(broker, acks=True)
    await broker.consume("q", box, 50)
    await broker.publish(["q"], b"later", delay_s=600)
    await broker.publish(["q"], b"soon", delay_s=0.2)
    wall = time.time
    monkeypatch.setattr(time, "time", lambda: wall() + ahead_s)
    await broker.publish(["q"], b"last", delay_s=0.4)
    await box.until(2)
    assert [d.body for d in box.got] == [b"soon", b"last"]
    assert (await broker.depth(["q"]))["q"].delayed == 1


async def test_delayed_messages_are_counted_apart_also_after_a_restart(file: Path) -> None:
    broker = await started(file)
    await broker.publish(["q"], b"x", delay_s=3600)
    await broker.publish(["q"], b"y")
    first = (await broker.depth(["q"]))["q"]
    await broker.stop()
    again = await started(file)
    second = (await again.depth(["q"]))["q"]
    await again.stop()
    assert (first.ready, first.held, first.delayed) == (1, 0, 1)
    assert second == first


async def test_a_delayed_message_of_a_deleted_queue_reaches_no_other(broker: EmbeddedBroker) -> None:
    await broker.declare([QueueSpec("gone")])
    await broker.publish(["gone"], b"nobody else's", delay_s=0.05)
    await broker.publish(["q", "gone"], b"mine", delay_s=0.06)
    await broker.delete(["gone"])
    await broker.declare([QueueSpec("new")])
    boxes = {name: Inbox(broker, acks=True) for name in ("q", "new")}
    for name, box in boxes.items():
        await broker.consume(name, box, 10)
    await boxes["q"].until(1)
    assert boxes["q"].got[0].body == b"mine"
    assert boxes["new"].got == []
    assert (await broker.depth(["new"]))["new"].total == 0


async def test_a_consumer_may_acknowledge_at_once_whatever_its_prefetch(broker: EmbeddedBroker) -> None:
    await asyncio.gather(*[broker.publish(["q"], b"%d" % i) for i in range(5_000)])
    box = Inbox(broker, acks=True)
    await broker.consume("q", box, 2_000)
    await box.until(5_000)
    assert [int(d.body) for d in box.got] == list(range(5_000))
    assert (await broker.depth(["q"]))["q"].total == 0


async def test_a_broker_that_could_not_start_can_be_stopped(broker: EmbeddedBroker, file: Path) -> None:
    second = EmbeddedBroker(file)
    with pytest.raises(BrokerDown, match="JL-B005"):
        await second.start()
    await second.stop()


async def test_a_backlog_larger_than_memory_allows_is_read_page_by_page(broker: EmbeddedBroker) -> None:
    for start in range(0, 5_000, 500):
        await asyncio.gather(*[broker.publish(["q"], b"%d" % i) for i in range(start, start + 500)])
    box = Inbox(broker, acks=True)
    await broker.consume("q", box, 8)
    held = len(broker._queues["q"].window)
    await box.until(2_000)
    await asyncio.gather(*[broker.publish(["q"], b"%d" % i) for i in range(5_000, 5_500)])
    await box.until(5_500)
    assert held <= 16
    assert [int(d.body) for d in box.got] == list(range(5_500))


def test_the_setting_chooses_the_broker(tmp_path: Path) -> None:
    assert type(open_broker("embedded", tmp_path)).__name__ == "EmbeddedBroker"
    assert type(open_broker("amqp://one, amqps://two", tmp_path)).__name__ == "RabbitBroker"
    with pytest.raises(JingluoError, match="needs a password"):
        open_broker("amqp://guest@127.0.0.1/", tmp_path)
    with pytest.raises(JingluoError, match="embedded"):
        open_broker("kafka://x", tmp_path)
