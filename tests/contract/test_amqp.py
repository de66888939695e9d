"""AMQP, both sides, with queues of somebody else's on RabbitMQ."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pika
import pytest

from config import registry
from config.errors import Refused, Unreachable
from endpoints.amqp import AmqpDestination, AmqpSource
from endpoints.base import Ground
from endpoints.brokers.amqp import AmqpLink
from schemas.message import Message, Reply

sys.path.append(str(Path(__file__).parents[1] / "unit"))
from endpoint_parts import FakeEngine, opening, until

Source = Callable[..., Awaitable[AmqpSource]]
Destination = Callable[..., AmqpDestination]


class Theirs:
    """A queue of somebody else's, seen from the other side."""

    def __init__(self, url: str) -> None:
        self.parts = urlsplit(url)
        self.connection = pika.BlockingConnection(pika.URLParameters(url))
        self.channel = self.connection.channel()
        self.queue, self.dead = (f"theirs.{secrets.token_hex(4)}{end}" for end in ("", ".dead"))
        self.channel.queue_declare(self.dead, durable=True)
        to_dead = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": self.dead}
        self.channel.queue_declare(self.queue, durable=True, arguments=to_dead)

    @property
    def place(self) -> dict[str, Any]:
        return {"host": self.parts.hostname, "port": self.parts.port or 5672}

    def put(self, body: bytes, **properties: Any) -> None:
        self.channel.basic_publish("", self.queue, body, pika.BasicProperties(**properties))

    def got(self, queue: str = "") -> tuple[bytes | None, Any]:
        _, properties, body = self.channel.basic_get(queue or self.queue, auto_ack=True)
        return body, properties

    def waiting(self, queue: str = "") -> int:
        return int(self.channel.queue_declare(queue or self.queue, passive=True).method.message_count)

    def end(self) -> None:
        for queue in (self.queue, self.dead):
            self.channel.queue_delete(queue)
        self.connection.close()


@pytest.fixture
def theirs(amqp_url: str) -> Iterator[Theirs]:
    made = Theirs(amqp_url)
    yield made
    made.end()


@pytest.fixture
async def source(theirs: Theirs) -> AsyncIterator[Source]:
    async with opening("amqp", Ground("esb")) as opened:
        place = {**theirs.place, "queue": theirs.queue}
        yield lambda engine, **options: opened(engine, **(place | options))


@pytest.fixture
async def destination(theirs: Theirs) -> AsyncIterator[Destination]:
    opened: list[AmqpDestination] = []

    def open(**options: Any) -> AmqpDestination:
        made = registry.destinations.get("amqp")
        text = {**theirs.place, "key": theirs.queue, **options}
        opened.append(made(made.Options(**text), Ground("lab.esb", "json")))
        return opened[-1]

    yield open
    for one in opened:
        await one.stop()


async def test_what_lies_in_their_queue_is_taken_and_gone_when_it_is_kept(
    theirs: Theirs, source: Source
) -> None:
    theirs.put("张".encode(), content_type="text/plain", message_id="7", headers={"Type": "ADT", "n": 5})
    engine = FakeEngine(held=True)
    made = await source(engine)
    (message,) = await engine.has(1)
    headers = {"routing-key": theirs.queue, "content-type": "text/plain", "message-id": "7"}
    assert (message.body, message.headers) == ("张".encode(), {**headers, "amqp.type": "ADT", "amqp.n": "5"})
    engine.open[0].set_result(Reply("accepted"))
    await made.stop()
    assert theirs.waiting() == 0


async def test_what_was_not_kept_comes_again_and_what_is_refused_may_go_to_their_dead_letters(
    theirs: Theirs, source: Source
) -> None:
    replies = {b"1": ["failed", "accepted"], b"2": ["refused"]}
    engine = FakeEngine(lambda message: Reply(replies[message.body].pop(0)))  # type: ignore[arg-type]
    theirs.put(b"1")
    theirs.put(b"2")
    replies[b"2"].append("refused")  # it may come a second time with the first
    made = await source(engine, refused="reject")
    await until(lambda: not replies[b"1"])
    await until(lambda: theirs.waiting(theirs.dead) == 1)
    await made.stop()
    assert [m.redelivered for m in engine.got if m.body == b"1"] == [False, True]
    assert theirs.got(theirs.dead)[0] == b"2"
    assert theirs.waiting() == 0


async def test_a_queue_that_is_not_there_or_a_wrong_password_is_tried_again(
    theirs: Theirs, source: Source, destination: Destination
) -> None:
    engine = FakeEngine()
    missing = theirs.queue + ".later"
    await source(engine, queue=missing)
    await asyncio.sleep(0.3)
    theirs.channel.queue_declare(missing, durable=True)
    theirs.channel.basic_publish("", missing, b"at last")
    await until(lambda: bool(engine.got))
    theirs.channel.queue_delete(missing)
    with pytest.raises(Unreachable) as wrong:
        await destination(user="nobody", password="secret-of-ours").send(Message(b"{}"))
    assert wrong.value.code == "JL-E820"
    assert "secret-of-ours" not in wrong.value.text
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1: .*Refused"):
        await destination(port=1).send(Message(b"{}"))


async def test_a_queue_that_is_made_anew_is_subscribed_to_anew(theirs: Theirs, source: Source) -> None:
    engine = FakeEngine()
    theirs.put(b"before")
    made = await source(engine)
    await engine.has(1)
    theirs.channel.queue_delete(theirs.queue)
    theirs.channel.queue_declare(theirs.queue, durable=True)
    theirs.put(b"behind")
    await until(lambda: [message.body for message in engine.got] == [b"before", b"behind"])
    await made.stop()


async def test_what_is_sent_is_in_a_queue_before_it_counts_as_sent(
    theirs: Theirs, destination: Destination
) -> None:
    one = destination()
    receipts = await asyncio.gather(*(one.send(Message(b"{}", id=f"m{n}")) for n in range(50)))
    assert {receipt.code for receipt in receipts} == {"sent"}
    assert theirs.waiting() == 50
    body, properties = theirs.got()
    assert (body, properties.content_type, properties.delivery_mode) == (b"{}", "application/json", 2)
    assert str(properties.message_id).startswith("m")


async def test_a_connection_that_cannot_confirm_is_not_published_on(
    theirs: Theirs, destination: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(self: AmqpLink) -> None:
        raise TimeoutError

    one = destination(timeout="5s")
    with monkeypatch.context() as patched:
        patched.setattr(AmqpLink, "confirm", silent)
        with pytest.raises(Unreachable, match="JL-E820"):
            await one.send(Message(b"{}"))
    assert (await one.send(Message(b"{}"))).code == "sent"
    assert theirs.waiting() == 1


async def test_what_no_queue_takes_is_refused_and_tried_again(destination: Destination) -> None:
    one = destination(key="nobody.has.this")
    with pytest.raises(Refused, match="NO_ROUTE") as nowhere:
        await one.send(Message(b"{}", id="a"))
    assert nowhere.value.retry
    with pytest.raises(Unreachable, match="exchange"):
        await destination(exchange="no-such-exchange").send(Message(b"{}"))


async def test_a_full_queue_says_no_for_now(theirs: Theirs, destination: Destination) -> None:
    full = theirs.queue + ".full"
    limits = {"x-max-length": 1, "x-overflow": "reject-publish"}
    theirs.channel.queue_declare(full, durable=True, arguments=limits)
    one = destination(key=full)
    await one.send(Message(b"1"))

    async def more() -> None:
        for _ in range(5):  # the limit is a little late
            await one.send(Message(b"2"))

    with pytest.raises(Unreachable) as later:
        await more()
    assert (later.value.code, later.value.maybe_done) == ("JL-E824", False)
    theirs.channel.queue_delete(full)


async def test_what_is_too_large_is_filed_as_refused_and_a_connection_that_goes_is_made_anew(
    theirs: Theirs, source: Source, destination: Destination
) -> None:
    engine, one = FakeEngine(), destination()
    made = await source(engine, max_size="3B")
    theirs.put(b"1234")
    await until(lambda: [message.fault_code for message in engine.refused] == ["JL-E823"])
    await one.send(Message(b"1"))
    assert one._link is not None
    await one._link.close()
    await one.send(Message(b"2"))
    await until(lambda: [message.body for message in engine.got] == [b"1", b"2"])
    await made.stop()
