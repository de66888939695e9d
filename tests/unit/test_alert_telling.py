"""What is told of an alert, to whom, and how often."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from itertools import count
from types import SimpleNamespace as Such
from typing import Any

import msgspec
import pytest

from router.alerts.book import Alert, Book, Closed, Opened, Told
from router.alerts.kinds import KINDS, Fact, Name, texts
from router.alerts.teller import AT_ONCE, Teller, on_the_way
from router.brokers.base import Broker
from router.ids import id_of
from schemas.message import Message, Reply

NOON = 1_795_924_800_000  # 2026-11-29 12:00 in Beijing
MINUTE = 60_000
SILENT = Name("silent", "adt")
_numbers = count()


@pytest.fixture(autouse=True)
def _beijing(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def hear(book: Book, *entries: Any) -> None:
    for entry in entries:
        book._heard(msgspec.msgpack.encode(entry))


def test_an_alert_that_is_open_is_not_opened_again_and_only_it_is_closed() -> None:
    broker: Any = None
    book = Book(broker)
    hear(book, Opened("1", SILENT, Fact(1, 1), 1), Opened("2", SILENT, Fact(2, 1), 2))
    assert [(one.id, one.opened_ms) for one in book.open.values()] == [("1", 1)]
    hear(book, Closed("2", SILENT, 3))
    assert SILENT in book.open, "that was another one"
    hear(book, Closed("1", SILENT, 4), Closed("1", SILENT, 5))
    assert not book.open
    assert [(one.id, one.closed_ms) for one in book.closed] == [("1", 4)]
    assert list(book.untold) == [("1", False), ("1", True)]
    hear(book, Told("1", False), Told("1", True), Told("7", True))
    assert not book.untold


class Channels:
    """Two that take alerts, one of which sends to a third; and what they were handed."""

    def __init__(self, broker: Broker, *untold: Alert) -> None:
        self.got: list[tuple[str, Message]] = []
        self.state: Any = "accepted"
        send = lambda *targets: [Such(target=target) for target in targets]  # noqa: E731
        self.all: Any = [
            Such(name="duty", kind="alerts", branches=send("", "mail")),
            Such(name="night", kind="alerts", branches=send("")),
            Such(name="mail", kind="channel", branches=send("")),
            Such(name="adt", kind="mllp", branches=send("")),
        ]
        self.book = Book(broker)
        for one in untold:
            self.book.untold[one.id, bool(one.closed_ms)] = one
        self.teller = Teller(lambda name: lambda message: self._taken(name, message))

    def _taken(self, name: str, message: Message) -> asyncio.Future[Reply]:
        self.got.append((name, message))
        done: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        done.set_result(Reply(self.state, code="JL-B001"))
        return done

    async def tell(self) -> None:
        await self.teller.tell(self.book, self.all)


class Stream:
    """As much of a broker as a book needs: what is said is heard."""

    def __init__(self) -> None:
        self.hear: Callable[[bytes], None] = lambda body: None

    async def declare(self, queues: Any) -> None:
        """Nothing to make."""

    async def follow(self, stream: str, on_entry: Callable[[bytes], None], since_ms: int = 0) -> None:
        self.hear = on_entry

    def publish(self, queues: Any, body: bytes) -> asyncio.Future[None]:
        self.hear(body)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


async def channels(*untold: Alert) -> Channels:
    broker: Any = Stream()
    made = Channels(broker, *untold)
    await made.book.start()
    return made


def one(name: Name = SILENT, closed_ms: int = 0) -> Alert:
    return Alert(id_of(NOON, next(_numbers)), name, Fact(900, 900), NOON, closed_ms)


async def test_every_channel_of_alerts_is_told_once() -> None:
    made = await channels(one(), one(closed_ms=NOON + MINUTE))
    await made.tell()
    await made.tell()
    assert [name for name, _ in made.got] == ["duty", "night"] * 2
    assert len({message.id for _, message in made.got}) == 4
    said = json.loads(made.got[0][1].body)
    assert said == {
        "id": said["id"],
        "event": "opened",
        "what": "silent",
        "severity": "warning",
        "channel": "adt",
        "destination": "",
        "about": "",
        "figure": 900,
        "limit": 900,
        "opened": "2026-11-29T12:00:00+08:00",
        "closed": None,
        "text": {"en": "adt: no message for 15 minutes", "zh": "adt：15 分钟没有收到报文"},
    }
    over = json.loads(made.got[2][1].body)
    assert (over["event"], over["closed"]) == ("closed", "2026-11-29T12:01:00+08:00")
    assert over["text"] == {
        "en": "over: adt: no message for 15 minutes",
        "zh": "已恢复：adt：15 分钟没有收到报文",
    }


async def test_what_cannot_be_kept_is_told_later_as_the_same_message() -> None:
    made = await channels(one())
    made.state = "failed"
    await made.tell()
    made.state = "accepted"
    await made.tell()
    await made.tell()
    first, again = [[m for name, m in made.got if name == "duty"][n] for n in (0, 1)]
    assert (first.id, first.redelivered, again.redelivered) == (again.id, False, True)
    assert len(made.got) == 4, "and then no more"


async def test_what_a_channel_refuses_is_not_told_it_for_ever() -> None:
    made = await channels(one())
    made.state = "refused"
    await made.tell()
    await made.tell()
    assert len(made.got) == 2


@pytest.mark.parametrize("channel", ["duty", "night", "mail"])
async def test_a_way_of_alerts_is_told_of_no_trouble_on_such_a_way(channel: str) -> None:
    """Else its dead letters would raise alerts that are dead letters."""
    made = await channels(one(Name("dead", channel, "phone")))
    assert on_the_way(made.all) == {"duty", "night", "mail"}
    await made.tell()
    assert (made.got, made.book.untold) == ([], {})


async def test_of_very_many_at_once_the_last_message_stands_for_the_rest() -> None:
    made = await channels(*(one(Name("silent", f"c{n}")) for n in range(AT_ONCE + 80)))
    await made.tell()
    duty = [json.loads(message.body) for name, message in made.got if name == "duty"]
    assert len(duty) == AT_ONCE
    assert (duty[-1]["what"], duty[-1]["figure"]) == ("more", 81)
    assert not made.book.untold
    few = await channels(*(one(Name("silent", f"c{n}")) for n in range(AT_ONCE)))
    await few.tell()
    assert "more" not in {json.loads(message.body)["what"] for _, message in few.got}


async def test_what_nobody_takes_is_not_kept_for_a_channel_to_come() -> None:
    made = await channels(one())
    made.all = made.all[2:]
    await made.tell()
    assert (made.got, made.book.untold) == ([], {})


@pytest.mark.parametrize("what", KINDS)
def test_every_kind_says_what_it_is_in_both_languages(what: str) -> None:
    for said in texts(Name(what, "adt", "lis", "tls/a.pem"), Fact(130, 120)):
        assert said
        assert not {"{", "}"} & set(said)
