"""MQTT, both sides, with mosquitto as the broker."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from authority import Authority
from endpoint_parts import FakeEngine, opening, until
from missing import missing
from paho.mqtt import publish
from pydantic import ValidationError

from config import registry
from config.errors import Unreachable
from endpoints.base import Ground
from endpoints.brokers.mqtt import Link
from endpoints.mqtt import MqttDestination, MqttSource
from schemas.message import Message, Reply

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")


class Broker:
    """A mosquitto of the test's own; what it keeps outlives a restart."""

    def __init__(self, folder: Path, text: str = "allow_anonymous true") -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.file = folder / "mosquitto.conf"
        kept = f"persistence true\npersistence_location {folder}/\nuser root"
        self.file.write_text(f"{kept}\nlistener {self.port} 127.0.0.1\n{text}\n")
        self.start()

    def start(self) -> None:
        assert MOSQUITTO
        self.process = subprocess.Popen(
            [MOSQUITTO, "-c", str(self.file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError("mosquitto did not start")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    if MOSQUITTO is None:
        missing("no mosquitto: run `deploy/services.sh start`")
    made = Broker(tmp_path)
    yield made
    made.stop()


Source = Callable[..., Awaitable[MqttSource]]
Destination = Callable[..., MqttDestination]


@pytest.fixture
async def source(broker: Broker) -> AsyncIterator[Source]:
    async with opening("mqtt", Ground("vitals")) as opened:
        place = {"host": "127.0.0.1", "port": broker.port, "topics": "ward/+/vitals"}
        yield lambda engine, **options: opened(engine, **(place | options))


@pytest.fixture
async def destination(broker: Broker) -> AsyncIterator[Destination]:
    opened: list[MqttDestination] = []

    def open(topic: str = "ward/3/vitals", **options: Any) -> MqttDestination:
        made = registry.destinations.get("mqtt")
        text = {"host": "127.0.0.1", "port": broker.port, "topic": topic, **options}
        opened.append(made(made.Options(**text), Ground("orders.iot")))
        return opened[-1]

    yield open
    for one in opened:
        await one.stop()


async def sent_until_heard(one: MqttDestination, engine: FakeEngine, body: bytes = b"{}") -> None:
    """The source subscribes in its own time."""
    async with asyncio.timeout(10):
        while not engine.got:
            await one.send(Message(body))
            await asyncio.sleep(0.05)


async def test_what_is_published_arrives_with_its_topic(source: Source, destination: Destination) -> None:
    engine, one = FakeEngine(), destination()
    await source(engine)
    await sent_until_heard(one, engine, "脉搏 72".encode())
    await destination("ward/3/other").send(Message(b"not asked for"))
    assert engine.got[0].body == "脉搏 72".encode()
    assert engine.got[0].headers["topic"] == "ward/3/vitals"
    assert {message.body for message in engine.got} == {"脉搏 72".encode()}


async def test_what_was_not_kept_comes_again_and_what_was_refused_does_not(
    source: Source, destination: Destination
) -> None:
    replies = {b"1": ["failed", "accepted"], b"2": ["refused"], b"3": ["accepted"]}

    def reply(message: Message) -> Reply:
        left = replies.get(message.body)
        return Reply("accepted") if not left else Reply(left.pop(0))  # type: ignore[arg-type]

    engine, one = FakeEngine(reply), destination()
    await source(engine)
    await sent_until_heard(one, engine)
    for body in (b"1", b"2", b"3"):
        await one.send(Message(body))
    await until(lambda: [m.body for m in engine.got].count(b"1") == 2)
    await until(lambda: b"3" in [m.body for m in engine.got])
    again = [message for message in engine.got if message.body == b"1"]
    assert [message.redelivered for message in again] == [False, True]
    await asyncio.sleep(0.3)
    assert [m.body for m in engine.got].count(b"1") == 2


async def test_what_came_while_we_were_away_is_kept_by_the_broker(
    broker: Broker, source: Source, destination: Destination
) -> None:
    engine, one = FakeEngine(), destination()
    first = await source(engine)
    await sent_until_heard(one, engine)
    await first.stop()
    engine.got.clear()
    await one.send(Message(b"at night"))
    broker.stop()
    broker.start()
    await source(engine)
    await until(lambda: b"at night" in [m.body for m in engine.got])


async def test_a_broker_that_goes_away_is_tried_again(
    broker: Broker, source: Source, destination: Destination
) -> None:
    engine, one = FakeEngine(), destination()
    await source(engine)
    await sent_until_heard(one, engine)
    broker.stop()
    await asyncio.sleep(0.1)
    with pytest.raises(Unreachable) as away:
        await one.send(Message(b"{}"))
    assert away.value.code in ("JL-E810", "JL-E811")
    broker.start()
    engine.got.clear()
    await sent_until_heard(one, engine)


async def test_an_unanswered_message_is_not_acknowledged_when_the_door_is_paused(
    source: Source, destination: Destination
) -> None:
    engine, one = FakeEngine(), destination()
    made = await source(engine)
    await sent_until_heard(one, engine)
    made.pause()
    await asyncio.sleep(1.2)
    engine.got.clear()
    await one.send(Message(b"later"))
    await asyncio.sleep(0.3)
    assert not engine.got
    made.resume()
    await until(lambda: [m.body for m in engine.got] == [b"later"])


async def test_of_what_has_no_promise_only_so_much_waits(
    broker: Broker, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("endpoints.brokers.mqtt.MOST_WAITING", 3)
    made = registry.sources.get("mqtt")
    link = Link(made.Options(host="127.0.0.1", port=broker.port, topics="ward/#"), ".", "t")
    await link.open(["ward/#"])
    sent: list[Any] = [("ward/1", b"%d" % number, 0, False) for number in range(9)]
    place = {"hostname": "127.0.0.1", "port": broker.port}
    await asyncio.to_thread(lambda: publish.multiple([*sent, ("ward/1", b"end", 1, False)], **place))
    heard = []
    await until(lambda: link._came.qsize() == 4)
    while (came := await link.next(0.1)) is not None:
        heard.append(came.body)
    assert heard == [b"0", b"1", b"2", b"end"]
    await link.close()


async def test_so_many_are_under_way_and_no_more(
    source: Source, destination: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, one = FakeEngine(), destination()
    await source(engine)
    await sent_until_heard(one, engine)
    await asyncio.sleep(0.1)
    monkeypatch.setattr("endpoints.brokers.source._UNDER_WAY", 3)
    engine.held = True
    engine.got.clear()
    await asyncio.gather(*(one.send(Message(b"%d" % number)) for number in range(9)))
    await engine.has(3)
    await asyncio.sleep(0.2)
    assert len(engine.got) == 3
    engine.held = False
    for future in engine.open:
        future.set_result(Reply("accepted"))
    await engine.has(9)


async def test_what_a_topic_kept_is_taken_only_where_the_site_says_so(
    source: Source, destination: Destination
) -> None:
    await destination("ward/9/vitals", retain=True).send(Message(b"old"))
    without, with_old = FakeEngine(), FakeEngine()
    await source(with_old, client="b", retained=True)
    await source(without, client="a")
    await until(lambda: [m.body for m in with_old.got] == [b"old"])
    await sent_until_heard(destination(), without)
    assert b"old" not in [message.body for message in without.got]


async def test_what_is_too_large_is_filed_as_refused(source: Source, destination: Destination) -> None:
    engine, one = FakeEngine(), destination()
    await source(engine, max_size="10B")
    await sent_until_heard(one, engine)
    await one.send(Message(b"a" * 11))
    await until(lambda: [message.fault_code for message in engine.refused] == ["JL-E813"])


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # paho drops a socket without TLS
async def test_tls_is_verified_and_a_password_wanted(tmp_path: Path) -> None:
    if MOSQUITTO is None:
        missing("no mosquitto: run `deploy/services.sh start`")
    authority = Authority(tmp_path)
    pair = authority.issue("localhost", "localhost")
    words = tmp_path / "words"
    made_words = await asyncio.create_subprocess_exec("mosquitto_passwd", "-c", "-b", str(words), "u", "p")
    assert await made_words.wait() == 0
    broker = Broker(
        tmp_path,
        f"allow_anonymous false\npassword_file {words}\ncertfile {pair.certificate}\nkeyfile {pair.key}",
    )
    made = registry.destinations.get("mqtt")

    async def sent(**options: Any) -> str:
        text = {"host": "localhost", "port": broker.port, "topic": "a", **options}
        one = made(made.Options(**text), Ground("a.b"))
        try:
            return str((await one.send(Message(b"{}"))).code)
        except Unreachable as error:
            return error.text
        finally:
            await one.stop()

    try:
        trusted = {"ca": str(authority.file)}
        assert await sent(tls=trusted, user="u", password="p") == "sent"
        assert "says: Not authorized" in await sent(tls=trusted, user="u", password="wrong")
        assert "TLS" in await sent(tls={}, user="u", password="p")
    finally:
        broker.stop()


@pytest.mark.parametrize("topics", ["", "a+/b", "a/#/b", "a#", []])
def test_a_filter_that_is_none_is_refused(topics: Any) -> None:
    with pytest.raises(ValidationError):
        registry.sources.get("mqtt").Options(host="iot", topics=topics)
