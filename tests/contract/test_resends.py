"""Resends that come to another machine: it knows what the first one accepted."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from amqp_proxy import way_through
from engine_parts import Sink, adt, code_of, field, port, running, send, write_site

from router.brokers.rabbitmq import RabbitBroker
from router.clock import now_ms
from router.duplicates import Row, Seen
from router.engine import Engine
from router.resends import Resends, _entries
from schemas.message import Message, Reply

pytestmark = pytest.mark.rabbitmq

CHANNEL = """\
channel: adt
from: {{mllp: {{port: 0}}}}
format: hl7v2
duplicates: {{by: $MSH-10, within: 24h}}
reply: lis
timeout: 10s
to:
  lis: {{send: {{mllp: {{host: 127.0.0.1, port: {port}, timeout: 5s}}}}}}
"""
HOUR_MS = 3_600_000


def machine(folder: Path, sink: Sink) -> Path:
    """A site whose `var` no other has."""
    folder.mkdir()
    return write_site(folder, {"adt": CHANNEL.format(port=sink.port)})


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_resend_to_another_machine_gets_the_answer_of_the_first(
    tmp_path: Path, sink: Sink, amqp_vhost: str
) -> None:
    one, two = machine(tmp_path / "one", sink), machine(tmp_path / "two", sink)
    async with (
        running(one, broker=amqp_vhost) as first,
        running(two, broker=amqp_vhost, roles="intake") as other,
    ):
        (answer,) = await send(port(first), adt("A1"))
        await until(lambda: state(other, "A1") == "answered")
        (again,) = await send(port(other), adt("A1"))
        (new,) = await send(port(other), adt("A2"))
    assert field(answer, "MSH", 3) == "LIS"
    assert again == answer
    assert code_of(new) == "AA"
    assert sink.ids() == ["A1", "A2"]


async def test_a_machine_that_was_down_hears_what_was_accepted_meanwhile(
    tmp_path: Path, sink: Sink, amqp_vhost: str
) -> None:
    one, two = machine(tmp_path / "one", sink), machine(tmp_path / "two", sink)
    async with running(two, broker=amqp_vhost) as other:
        await send(port(other), adt("A0"))
    async with running(one, broker=amqp_vhost) as first:
        (answer,) = await send(port(first), adt("A1"))
    async with running(two, broker=amqp_vhost) as other:
        assert await send(port(other), adt("A1")) == [answer]
    assert sink.ids() == ["A0", "A1"]


def state(engine: Engine, number: str) -> str:
    """Of the reply that a resend would get."""
    intake = engine.works["adt"].intake
    (key,) = intake._duplicates.keys(Message(b""), intake.channel.format.decode(adt(number)))
    known = engine.makers.seen.find(key.name)
    return known.state if known is not None else ""


@contextlib.asynccontextmanager
async def remembering(file: Path, url: str) -> AsyncIterator[Seen]:
    """What an intake has of it, without the rest of an engine."""
    broker, seen = RabbitBroker([url]), Seen(file, now_ms)
    await broker.start()
    await seen.start()
    await Resends(broker, seen, now_ms).start()
    yield seen
    await seen.stop()
    await broker.stop()


async def test_what_could_not_be_told_is_told_when_the_broker_is_back(
    tmp_path: Path, amqp_vhost: str
) -> None:
    url, proxy = await way_through(amqp_vhost)
    async with (
        remembering(tmp_path / "1.db", url) as here,
        remembering(tmp_path / "2.db", amqp_vhost) as there,
    ):
        proxy.refusing = True
        proxy.cut()
        await here.remember(b"key", Reply("accepted", id="one"), HOUR_MS)
        await asyncio.sleep(0.1)
        assert there.find(b"key") is None
        proxy.refusing = False
        await until(lambda: there.find(b"key") is not None)
    await proxy.stop()


async def test_what_was_heard_is_on_disk_and_how_far(tmp_path: Path, amqp_vhost: str) -> None:
    began_ms = now_ms()
    async with (
        remembering(tmp_path / "1.db", amqp_vhost) as here,
        remembering(tmp_path / "2.db", amqp_vhost) as there,
    ):
        await here.remember(b"key", Reply("accepted", id="one"), HOUR_MS)
        await here.remember(b"old", Reply("accepted", id="two"), -1)
        await until(lambda: there.find(b"key") is not None)
    alone = Seen(tmp_path / "2.db", now_ms)
    await alone.start()
    found = alone.find(b"key")
    assert found is not None
    assert (found.id, alone.find(b"old")) == ("one", None)
    assert began_ms <= alone.heard_ms <= now_ms()
    await alone.stop()


async def test_a_stream_is_followed_from_a_time_on(tmp_path: Path, amqp_vhost: str) -> None:
    """Entries of the day before are not read again at each start."""
    async with remembering(tmp_path / "1.db", amqp_vhost) as here:
        await here.remember(b"key", Reply("accepted", id="one"), HOUR_MS)
        await until(lambda: here.heard_ms > 0)
        broker, heard = RabbitBroker([amqp_vhost]), Seen(tmp_path / "2.db", now_ms)
        heard.heard_ms = int(time.time() * 1000) + HOUR_MS
        await broker.start()
        await heard.start()
        heard.heard_ms = int(time.time() * 1000) + HOUR_MS
        await Resends(broker, heard, now_ms).start()
        assert heard.find(b"key") is None
        await here.remember(b"new", Reply("accepted", id="two"), HOUR_MS)
        await until(lambda: heard.find(b"new") is not None)
        await heard.stop()
        await broker.stop()


def test_what_is_told_goes_in_pieces() -> None:
    rows: list[Row] = [
        (b"%d" % n, 0, b"x" * size) for n, size in enumerate((10, 150_000, 60_000, 900_000, 1))
    ]
    assert [[int(key) for key, _, _ in some] for some in _entries(rows)] == [[0, 1], [2], [3], [4]]
    assert list(_entries([])) == []
