"""`duplicates: {by, within}`: a resend gets the reply of the first, whatever happened in between."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path

from engine_parts import Sink, adt, code_of, field, running, send, write_site

from router.duplicates import Seen
from router.engine import Engine
from router.search import Query
from router.store import StoreError
from schemas.message import Reply

CHANNEL = """\
channel: adt
from: {{mllp: {{port: 0}}}}
format: hl7v2
duplicates: {{by: $MSH-10, within: 24h}}
{more}to:
  lis:
    send: {{mllp: {{host: 127.0.0.1, port: {port}, timeout: 5s}}}}
    retry: {{first: 100ms, max: 100ms}}
"""


def site(folder: Path, sink: Sink, more: str = "") -> Path:
    return write_site(folder, {"adt": CHANNEL.format(port=sink.port, more=more)})


def door(engine: Engine) -> int:
    found = engine.doors.port("adt")
    assert found
    return found


async def states(engine: Engine, count: int) -> list[str]:
    """Of all messages, newest first, once there are so many."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(StoreError):  # no journal yet
                found = engine.store.search(Query(), 100).found
                if len(found) == count:
                    return [f.state for f in found]
            await asyncio.sleep(0.05)


async def test_a_resend_is_answered_and_filed_and_not_sent_on(
    tmp_path: Path, sink: Sink, broker: str
) -> None:
    async with running(site(tmp_path, sink), broker=broker) as engine:
        answers = await send(door(engine), adt("A1"), adt("A1"), adt("A2"))
        assert [(code_of(a), field(a, "MSA", 2)) for a in answers] == [
            ("AA", "A1"),
            ("AA", "A1"),
            ("AA", "A2"),
        ]
        assert await states(engine, 3) == ["accepted", "duplicate", "accepted"]
        await sink.wait_for(2)
        _, resent, first = engine.store.search(Query(), 100).found
        assert resent.parent == first.id
        (whole,) = [count for count in engine.store.counts() if not count.destination]
        assert (whole.accepted, whole.duplicate) == (2, 1)
        assert sink.ids() == ["A1", "A2"]
        assert 'jingluo_duplicates_total{channel="adt"} 1.0' in engine.metrics.render().decode()


async def test_a_resend_is_known_after_a_restart(tmp_path: Path, sink: Sink, broker: str) -> None:
    place = site(tmp_path, sink, "reply: lis\ntimeout: 10s\n")
    async with running(place, broker=broker) as engine:
        (first,) = await send(door(engine), adt("A1"))
    async with running(place, broker=broker) as engine:
        (again,) = await send(door(engine), adt("A1"))
    assert field(first, "MSH", 3) == "LIS"
    assert again == first, "the laboratory's stored answer"
    assert sink.ids() == ["A1"]


async def test_a_resend_while_the_first_is_on_its_way_waits_for_the_same_answer(
    tmp_path: Path, sink: Sink, broker: str
) -> None:
    sink.slow_s = 0.3
    async with running(site(tmp_path, sink, "reply: lis\ntimeout: 10s\n"), broker=broker) as engine:
        answers = await asyncio.gather(*(send(door(engine), adt("A1")) for _ in range(5)))
        assert {tuple(each) for each in answers} == {tuple(answers[0])}
        assert code_of(answers[0][0]) == "AA"
        assert sink.ids() == ["A1"]


async def test_what_was_not_accepted_is_nobodys_first(tmp_path: Path, sink: Sink) -> None:
    """A full queue: the sender is told so, and its resend is the message."""
    sink.answer = lambda message: None
    async with running(site(tmp_path, sink, "limit: {messages: 1}\n")) as engine:
        answers = await send(door(engine), adt("A1"), adt("A2"))
        assert [code_of(a) for a in answers] == ["AA", "AE"]
        sink.answer = lambda message: "AA"
        async with asyncio.timeout(20):
            while code_of((await send(door(engine), adt("A2")))[0]) != "AA":  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await sink.wait_for(2)
        assert set(sink.ids()) == {"A1", "A2"}


async def test_what_is_filtered_or_unreadable_is_judged_again(tmp_path: Path, sink: Sink) -> None:
    async with running(site(tmp_path, sink, "when: {$MSH-9.2: A01}\n")) as engine:
        answers = await send(
            door(engine), adt("A1", "A08"), adt("A1", "A08"), adt("A1"), b"MSH|^~", b"MSH|^~"
        )
        assert [code_of(a) for a in answers] == ["AA", "AA", "AA", "AR", "AR"]
        assert await states(engine, 5) == ["refused", "refused", "accepted", "filtered", "filtered"]


async def test_two_channels_do_not_share_their_keys(tmp_path: Path, sink: Sink) -> None:
    other = CHANNEL.format(port=sink.port, more="").replace("channel: adt", "channel: more")
    write_site(tmp_path, {"adt": CHANNEL.format(port=sink.port, more=""), "more": other})
    async with running(tmp_path) as engine:
        for name in ("adt", "more"):
            port = engine.doors.port(name)
            assert port
            await send(port, adt("A1"))
        await sink.wait_for(2)


async def test_the_memory_forgets_when_its_time_is_over(tmp_path: Path) -> None:
    now = [1_790_000_000_000]
    seen = Seen(tmp_path / "seen.db", lambda: now[0])
    await seen.start()
    await asyncio.gather(*(seen.remember(b"%d" % n, Reply("accepted", id=str(n)), 1000) for n in range(100)))
    found = seen.find(b"7")
    assert found is not None
    assert found.id == "7"
    now[0] += 1000
    assert seen.find(b"7") is None
    await seen.stop()
    again = Seen(tmp_path / "seen.db", lambda: now[0])
    await again.start()
    with contextlib.closing(sqlite3.connect(tmp_path / "seen.db")) as file:
        async with asyncio.timeout(20):
            while file.execute("SELECT count(*) FROM seen").fetchone() != (0,):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    await again.stop()


async def test_what_the_disk_did_not_take_is_known_and_written_later(tmp_path: Path) -> None:
    seen = Seen(tmp_path / "seen.db", lambda: 1_000_000)
    await seen.start()
    with contextlib.closing(sqlite3.connect(tmp_path / "seen.db")) as file:
        file.execute(
            "CREATE TRIGGER full BEFORE INSERT ON seen BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        )
        await seen.remember(b"1", Reply("accepted", id="one"), 1000)
        found = seen.find(b"1")
        assert found is not None
        assert found.id == "one"
        file.execute("DROP TRIGGER full")
    await seen.remember(b"2", Reply("accepted", id="two"), 1000)
    await seen.stop()
    again = Seen(tmp_path / "seen.db", lambda: 1_000_000)
    await again.start()
    known = [again.find(key) for key in (b"1", b"2")]
    await again.stop()
    assert [reply.id if reply else "" for reply in known] == ["one", "two"]
