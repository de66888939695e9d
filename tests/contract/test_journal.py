"""What the journal promises: one suite, run on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import threading
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from sqlalchemy import Engine, event

from router.brokers.base import Delivered, QueueSpec
from router.brokers.embedded import EmbeddedBroker
from router.envelope import JOURNAL, Attempt, Attempts, Envelope, encode
from router.journal import Journal
from router.search import BadQuery, Query
from router.store import NotFound, Store, StoreDown, StoreError, open_store

NOW = 1_790_000_000_000
WAIT_S = 20
_numbers = count()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database: a file, or a schema of the test's own."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/journal.db"
        return
    server = request.getfixturevalue("postgresql_url")
    schema = f"journal_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
        yield f"{server}?options=-csearch_path%3D{schema}"
        connection.execute(f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = open_store(url)
    yield opened
    opened.close()


def message(at_ms: int = NOW, **facts: Any) -> Envelope:
    given: dict[str, Any] = {
        "id": f"{at_ms:012x}{next(_numbers):020x}",
        "channel": "his-adt",
        "received_ms": at_ms,
        "source": "mllp 127.0.0.1:40000",
        "format": "hl7v2",
        "charset": "",
        "kind": "ADT^A01",
        "body": b"MSH|^~\\&|HIS\rPID|1||P0001\r",
        "headers": {},
        "index": {},
        "destinations": ("lis",),
    }
    return Envelope(**(given | facts))


def tried(e: Envelope, outcome: str = "sent", **facts: Any) -> Attempt:
    given: dict[str, Any] = {
        "id": e.id,
        "channel": e.channel,
        "destination": "lis",
        "attempt": 1,
        "at_ms": e.received_ms + 5,
        "took_ms": 3,
        "outcome": outcome,
        "code": "AA" if outcome == "sent" else "JL-E001",
        "answer": b"MSH|^~\\&|LIS\rMSA|AA|1\r",
    }
    return Attempt(**(given | facts))


def found(store: Store, limit: int = 50, **facts: Any) -> list[str]:
    return [m.id for m in store.search(Query(**facts), limit).found]


# --- Writing


def test_a_batch_that_comes_twice_is_written_once(store: Store) -> None:
    batch = [message(index={"patient": f"P{n}"}) for n in range(50)]
    tries = [tried(e) for e in batch]
    assert store.write(batch, tries) == 0
    before = [store.show(e.id) for e in batch]
    assert store.write(batch, tries) == 0
    assert [store.show(e.id) for e in batch] == before
    assert len(found(store, 1000)) == 50


def test_a_batch_that_overlaps_an_older_one_adds_only_what_is_new(store: Store) -> None:
    batch = [message() for _ in range(30)]
    store.write(batch[:20], [tried(e) for e in batch[:20]])
    store.write(batch[10:], [tried(e) for e in batch[10:]])
    assert found(store) == [e.id for e in reversed(batch)]
    assert all(len(store.show(e.id).tries) == 1 for e in batch)


def test_the_same_message_twice_in_one_batch_is_one_message(store: Store) -> None:
    e = message()
    assert store.write([e, e], [tried(e), tried(e)]) == 0
    assert len(store.show(e.id).tries) == 1


def test_several_writers_of_the_same_rows_agree(url: str) -> None:
    batch = [message(index={"patient": f"P{n}"}) for n in range(200)]
    tries = [tried(e) for e in batch]
    stores = [open_store(url) for _ in range(3)]
    together = threading.Barrier(3)

    def write(store: Store) -> int:
        together.wait()
        while True:
            try:
                return store.write(batch, tries)
            except StoreDown:  # two transactions in each other's way: one is told to come again
                continue

    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(write, stores)) == [0, 0, 0]
    assert len(found(stores[0], 1000)) == 200
    for store in stores:
        store.close()


def test_attempts_may_come_before_their_message(store: Store) -> None:
    e = message()
    store.write([], [tried(e)])
    assert found(store) == []
    assert [(c.accepted, c.delivered) for c in store.counts() if c.destination] == []
    store.write([e], [])
    assert store.show(e.id).message.deliveries[0].state == "sent"


def test_a_row_that_no_database_takes_is_parked_and_the_others_are_written(store: Store) -> None:
    good, bad = message(index={"patient": "P1"}), message(received_ms=2**63)
    assert store.write([good, bad], [tried(good)]) == 1
    assert found(store, text="P1") == [good.id]
    assert store.show(good.id).message.deliveries[0].state == "sent"
    assert store.write([good, bad], [tried(good)]) == 1, "parked again is parked once, and no error"
    with pytest.raises(NotFound):
        store.show(bad.id)


def test_a_body_that_is_no_envelope_is_parked(store: Store) -> None:
    good = message()
    assert store.write_bodies([b"\xc1 no envelope", encode(good), encode(Attempts((tried(good),)))]) == 1
    assert store.show(good.id).message.deliveries[0].state == "sent"


def test_nul_bytes_and_rare_characters_survive_in_every_text(store: Store) -> None:
    odd = "a\0b 𠮷 \U0001f3e5 '; -- \\"
    e = message(kind=odd, reason=odd, source=odd, index={"name": odd}, headers={"x": odd}, body=b"\0\xff\r")
    store.write([e], [tried(e, "retry", reason=odd, code=odd, answer=b"\0\xff")])
    story = store.show(e.id)
    shown = odd.replace("\0", "␀")
    assert story.message.kind == story.message.reason == story.source == shown
    assert story.message.index == {"name": shown}
    assert (story.tries[0].reason, story.tries[0].code, story.tries[0].answer) == (shown, shown, b"\0\xff")
    assert story.headers == {"x": odd}
    assert story.body == b"\0\xff\r"
    assert found(store, index={"name": odd}) == found(store, text="a\0*") == [e.id]


def test_what_is_too_long_is_cut_with_a_mark(store: Store) -> None:
    long = "𠮷" * 100_000
    e = message(index={"name": long}, reason=long, headers={"a": "1", "b": long})
    store.write([e], [tried(e, "dead", reason=long, code=long, answer=b"x" * 1_000_000)])
    story = store.show(e.id)
    last = story.tries[0]
    assert all(
        text.endswith("…") for text in (story.message.index["name"], story.message.reason, last.reason)
    )
    assert len(last.answer) == 65_536
    assert last.answer.endswith(b"...(cut)")
    assert sum(map(len, story.headers.values())) < 20_000
    assert found(store, index={"name": "𠮷" * 50 + "*"}) == [e.id]


def test_a_body_comes_back_byte_for_byte_whatever_it_is(store: Store) -> None:
    bodies = [b"", b"x", bytes(range(256)) * 8, b"PID|1||P0001\r" * 5000]
    batch = [message(body=body) for body in bodies]
    store.write(batch, [])
    assert [store.show(e.id).body for e in batch] == bodies
    assert [store.show(e.id).message.size for e in batch] == [len(body) for body in bodies]


# --- Finding


def test_a_message_is_found_by_its_id_and_by_the_first_digits_of_it(store: Store) -> None:
    first, second = message(NOW), message(NOW + 1000)
    store.write([first, second], [])
    assert found(store, id=first.id) == found(store, text=first.id) == [first.id]
    assert found(store, text=first.id[:11]) == found(store, id=first.id[:11].upper()) == [first.id]
    assert store.show(first.id[:12]).message.id == first.id
    with pytest.raises(NotFound, match="several"):
        store.show(first.id[:4])
    with pytest.raises(NotFound, match="no message"):
        store.show("f" * 32)
    with pytest.raises(BadQuery):
        store.show("%")


def test_a_message_is_found_by_its_searchable_values(store: Store) -> None:
    a = message(index={"patient": "P100", "name": "测试甲"})
    b = message(index={"patient": "P101", "visit": "P100"})
    c = message(index={"patient": "P%_", "name": "测试乙"})
    store.write([a, b, c], [])
    assert found(store, index={"patient": "P100"}) == [a.id]
    assert found(store, text="P100") == [b.id, a.id], "one box looks at every value"
    assert found(store, index={"patient": "P10*"}) == [b.id, a.id]
    assert found(store, text="测试*") == [c.id, a.id]
    assert found(store, index={"patient": "P10*", "name": "测试甲"}) == [a.id]
    assert found(store, text="P%*") == [c.id]
    assert found(store, text="p100") == []
    with pytest.raises(BadQuery):
        Query(index={"patient": "*"})
    with pytest.raises(BadQuery):
        Query(text="*")


def test_a_message_is_found_by_channel_time_kind_and_destination(store: Store) -> None:
    a = message(NOW, destinations=("lis", "lis2"))
    b = message(NOW + 1000, channel="lis-oru", kind="ORU^R01", destinations=("lis2",))
    c = message(NOW + 2000, kind="ADT^A03", destinations=(), filtered=("lis",), state="filtered")
    store.write([a, b, c], [])
    assert found(store) == [c.id, b.id, a.id]
    assert found(store, channel="his-adt") == [c.id, a.id]
    assert found(store, since_ms=NOW + 1000, until_ms=NOW + 2000) == [b.id]
    assert found(store, kind="ADT^A01") == [a.id]
    assert found(store, kind="ADT*") == [c.id, a.id]
    assert found(store, destination="lis") == [a.id]
    assert found(store, destination="lis2") == [b.id, a.id]
    assert found(store, state="filtered", destination="lis") == [c.id]
    assert found(store, destination="l%") == []


def test_a_message_is_found_by_the_state_of_its_deliveries(store: Store) -> None:
    sent, retrying, dead, waiting, refused = (message(NOW + n, destinations=("lis", "emr")) for n in range(5))
    refused = message(NOW + 9, destinations=(), state="refused", code="JL-M001", reason="no MSH")
    both = [tried(sent), tried(sent, destination="emr")]
    again = [tried(retrying, "retry"), tried(retrying, destination="emr")]
    gone = [tried(dead, "retry"), tried(dead, "dead", attempt=2, code="AR"), tried(dead, destination="emr")]
    store.write([sent, retrying, dead, waiting, refused], both + again + gone)
    assert found(store, state="sent") == [dead.id, retrying.id, sent.id]
    assert found(store, state="sent", destination="lis") == [sent.id]
    assert (
        found(store, state="retrying") == found(store, state="retrying", destination="lis") == [retrying.id]
    )
    assert found(store, state="dead") == found(store, state="dead", destination="lis") == [dead.id]
    assert found(store, state="dead", destination="emr") == []
    assert found(store, state="waiting") == [waiting.id, retrying.id]
    assert found(store, state="waiting", destination="emr") == [waiting.id]
    assert found(store, state="refused") == found(store, code="JL-M001") == [refused.id]
    assert found(store, code="AR") == [dead.id]
    assert found(store, state="accepted") == [waiting.id, dead.id, retrying.id, sent.id]
    states = {d.destination: d.state for d in store.show(dead.id).message.deliveries}
    assert states == {"lis": "dead", "emr": "sent"}
    with pytest.raises(BadQuery, match="gone"):
        Query(state="gone")  # type: ignore[arg-type]


def test_pages_follow_each_other_without_a_gap_or_a_double(store: Store) -> None:
    batch = [message(index={"patient": "P1" if n % 2 else "P2"}) for n in range(95)]
    store.write(batch, [])
    for query in (Query(), Query(text="P1"), Query(index={"patient": "P*"}), Query(channel="his-adt")):
        seen: list[str] = []
        cursor = ""
        while True:
            page = store.search(query, 10, cursor)
            seen += [m.id for m in page.found]
            cursor = page.next
            if not cursor:
                break
        every = [e.id for e in reversed(batch) if query.text in ("", e.index["patient"])]
        assert seen == every


def test_a_message_tells_its_whole_way(store: Store) -> None:
    old = message(NOW, headers={"path": "/v1"}, charset="GB18030")
    child = message(NOW + 1, parent=old.id)
    grandchild = message(NOW + 2, parent=child.id)
    store.write([old, child, grandchild], [tried(old, "retry", at_ms=1), tried(old, attempt=2, at_ms=2)])
    story = store.show(old.id)
    assert [(t.attempt, t.outcome) for t in story.tries] == [(1, "retry"), (2, "sent")]
    assert (story.message.deliveries[0].state, story.message.deliveries[0].attempts) == ("sent", 2)
    assert (story.headers, story.charset, story.body) == ({"path": "/v1"}, "GB18030", old.body)
    assert story.children == (child.id,)
    assert store.show(grandchild.id).parents == (child.id, old.id)


def test_dead_letters_are_counted_by_channel_destination_and_cause(store: Store) -> None:
    batch = [message(NOW + n) for n in range(6)]
    causes = ["AR", "AR", "AR", "JL-E001", "JL-E001"]
    tries = [tried(e, "dead", code=code) for e, code in zip(batch, causes, strict=False)]
    other = message(channel="lis-oru", destinations=("emr",))
    store.write(
        [*batch, other],
        [*tries, tried(batch[5], "retry"), tried(other, "dead", destination="emr", code="422")],
    )
    groups = [(g.channel, g.destination, g.code, g.count) for g in store.dead()]
    assert groups == [
        ("his-adt", "lis", "AR", 3),
        ("his-adt", "lis", "JL-E001", 2),
        ("lis-oru", "emr", "422", 1),
    ]
    assert (store.dead()[0].oldest_ms, store.dead()[0].newest_ms) == (NOW + 5, NOW + 7)
    assert [g.code for g in store.dead(channel="lis-oru")] == ["422"]
    assert [g.code for g in store.dead(destination="lis")] == ["AR", "JL-E001"]


def test_a_dead_letter_that_got_through_after_all_counts_as_delivered_only(store: Store) -> None:
    """A crash between record and acknowledgement brings the work back: the same try may end differently."""
    e = message()
    store.write([e], [tried(e, "dead")])
    store.write([], [tried(e, "sent")])
    assert store.show(e.id).message.deliveries[0].state == "sent"
    assert store.dead() == ()
    assert found(store, state="dead") == []
    (line,) = [c for c in store.counts() if c.destination]
    assert (line.accepted, line.delivered, line.dead, line.waiting) == (1, 1, 0, 0)


def test_what_was_accepted_is_delivered_dead_or_waiting(store: Store) -> None:
    batch = [message(NOW + n, destinations=("lis", "emr"), filtered=("his",)) for n in range(10)]
    aside = [
        message(NOW, destinations=(), filtered=("lis", "emr", "his"), state="filtered") for _ in range(3)
    ]
    refused = [message(NOW, destinations=(), state="refused") for _ in range(2)]
    earlier = message(NOW - 1)
    tries = (
        [tried(e) for e in batch[:6]] + [tried(e, "dead") for e in batch[6:8]] + [tried(batch[8], "retry")]
    )
    tries += [tried(e, attempt=2) for e in batch[:3]]  # sent again after a crash: delivered once
    store.write([*batch, *aside, *refused, earlier], [*tries, tried(earlier)])
    lines = {c.destination: c for c in store.counts(NOW)}
    assert (lines[""].accepted, lines[""].filtered, lines[""].refused) == (10, 3, 2)
    lis, emr, his = lines["lis"], lines["emr"], lines["his"]
    assert (lis.accepted, lis.delivered, lis.dead, lis.waiting, lis.filtered) == (10, 6, 2, 2, 3)
    assert (emr.accepted, emr.delivered, emr.dead, emr.waiting, emr.filtered) == (10, 0, 0, 10, 3)
    assert (his.accepted, his.waiting, his.filtered) == (0, 0, 13)


# --- Size


def _rows_read(url: str, statement: str, parameters: Any) -> int:
    """How many rows the question touched. SQLite only tells where it would read a whole table."""
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as file:
            plan = [row[3] for row in file.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
        file.close()
        rare = (
            r"(?! USING (COVERING )?INDEX (attempt_not_sent|message_not_accepted))"  # hold what failed only
        )
        whole = re.compile(rf"SCAN (message|message_index|delivery_attempt|i0|mine|later)\b{rare}")
        return 20_000 if any(map(whole.match, plan)) else 0
    with psycopg.connect(url) as connection:
        answer = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters).fetchone()  # type: ignore[arg-type]
    assert answer is not None
    return _touched(answer[0][0]["Plan"])


def _touched(node: dict[str, Any]) -> int:
    rows = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
    return int(rows) + sum(_touched(part) for part in node.get("Plans", ()))


def test_no_search_reads_the_whole_journal(url: str, store: Store) -> None:
    """20,000 messages of which few fail: every question an operator waits for is answered from an index."""
    ids = []
    for start in range(0, 20_000, 2_000):
        batch = [
            message(NOW + n, channel=f"c{n % 20}", index={"patient": f"P{n:06}", "name": f"测试{n % 5000}"})
            for n in range(start, start + 2_000)
        ]
        ids += [e.id for e in batch]
        store.write(batch, [tried(e, "sent" if e.received_ms % 500 else "dead") for e in batch])
    if url.startswith("postgresql"):
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ANALYZE message, message_index, delivery_attempt")
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if statement.startswith("SELECT"):
            asked.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        assert found(store, text="P012345") == [ids[12345]]
        assert found(store, index={"name": "测试77"}) == [ids[n] for n in (15077, 10077, 5077, 77)]
        assert found(store, index={"patient": "P01234*"}) == ids[12349:12339:-1]
        assert found(store, id=ids[777]) == [ids[777]]
        assert found(store, 3, channel="c7") == [ids[n] for n in (19987, 19967, 19947)]
        assert found(store, 1, channel="c7", until_ms=NOW + 10_000) == [ids[9987]]
        assert found(store, 2, state="dead", destination="lis") == [ids[19500], ids[19000]]
        assert found(store, state="refused") == []
        assert found(store, code="JL-E009") == []
        assert [g.count for g in store.dead()] == [40]
        assert store.show(ids[5]).children == ()
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    ours = [
        (text, values) for text, values in asked if "schema_version" not in text and "pg_catalog" not in text
    ]
    assert len(ours) > 15
    for statement, parameters in ours:
        assert _rows_read(url, statement, parameters) < 1_000, statement


# --- Opening


def test_reading_a_journal_that_is_not_there_says_so_and_makes_none(url: str, store: Store) -> None:
    with pytest.raises(StoreError, match="JL-J003"):
        store.search(Query())
    with pytest.raises(StoreError, match="JL-J003"):
        store.counts()
    if url.startswith("sqlite"):
        assert not Path(url.removeprefix("sqlite:///")).exists()


def test_a_newer_engines_journal_is_left_alone(url: str, store: Store) -> None:
    store.write([message()], [])
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as file:
            file.execute("UPDATE schema_version SET version = 999")
        file.close()
    else:
        with psycopg.connect(url) as connection:
            connection.execute("UPDATE schema_version SET version = 999")
    other = open_store(url)
    with pytest.raises(StoreError, match="JL-J001"):
        other.write([message()], [])
    with pytest.raises(StoreError, match="JL-J001"):
        other.search(Query())
    other.close()


# --- The consumer


class Proxy:
    """A wire to PostgreSQL that can be cut."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self.port = 0
        self._server: asyncio.Server | None = None
        self._wires: set[asyncio.StreamWriter] = set()

    async def up(self) -> None:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        for wire in list(self._wires):
            wire.transport.abort()
        await self._server.wait_closed()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._to)
        self._wires |= {writer, far_writer}
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
        except ConnectionError:
            pass
        finally:
            self._wires.discard(writer)
            writer.close()


@pytest.fixture
async def broker(tmp_path: Path) -> Any:
    made = EmbeddedBroker(tmp_path / "broker.db")
    await made.start()
    await made.declare([QueueSpec(JOURNAL)])
    yield made
    await made.stop()


def rows_of(store: Store) -> Callable[[Sequence[bytes]], Awaitable[int]]:
    """What the engine has a process for; here a thread does."""
    return lambda bodies: asyncio.to_thread(store.write_bodies, bodies)


async def publish(broker: EmbeddedBroker, batch: list[Envelope], tries: list[Attempt]) -> None:
    bodies = [encode(e) for e in batch] + [encode(Attempts(tuple(tries)))]
    await asyncio.gather(*(broker.publish((JOURNAL,), body) for body in bodies))


async def depth(broker: EmbeddedBroker) -> int:
    return (await broker.depth([JOURNAL]))[JOURNAL].total


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not await true():  # noqa: ASYNC110  # what is asked is on the other side of a thread or a file
            await asyncio.sleep(0.01)


async def until_empty(broker: EmbeddedBroker) -> None:
    async def empty() -> bool:
        return await depth(broker) == 0

    await until(empty)


async def until_noticed(journal: Journal) -> None:
    async def noticed() -> bool:
        return not journal.ok

    await until(noticed)


async def test_what_was_published_is_found_and_leaves_the_queue(store: Store, broker: EmbeddedBroker) -> None:
    batch = [message(index={"patient": f"P{n}"}) for n in range(700)]
    await publish(broker, batch[:300], [tried(e) for e in batch])
    journal = Journal(rows_of(store), broker, batch=100)
    await journal.start()
    await publish(broker, batch[300:], [])
    await until_empty(broker)
    await journal.stop()
    assert len(found(store, 1000, state="sent")) == 700
    assert (journal.behind, journal.ok, journal.parked) == (0, True, 0)


async def test_a_stop_writes_what_was_handed_out(store: Store, broker: EmbeddedBroker) -> None:
    batch = [message() for _ in range(50)]
    journal = Journal(rows_of(store), broker)
    await journal.start()
    await publish(broker, batch, [tried(e) for e in batch])
    await journal.stop()
    assert len(found(store, state="sent")) == 50


async def test_a_crash_between_the_commit_and_the_acknowledgement_doubles_nothing(
    store: Store, tmp_path: Path
) -> None:
    batch = [message(index={"patient": "P1"}) for _ in range(40)]
    file = tmp_path / "crash.db"
    before = EmbeddedBroker(file)
    await before.start()
    await before.declare([QueueSpec(JOURNAL)])
    await publish(before, batch, [tried(e) for e in batch])
    got: asyncio.Queue[Delivered] = asyncio.Queue()
    await before.consume(JOURNAL, got.put_nowait, prefetch=100)
    async with asyncio.timeout(WAIT_S):
        bodies = [(await got.get()).body for _ in range(41)]
    await asyncio.to_thread(store.write_bodies, bodies)
    await before.stop()  # committed, and nothing acknowledged

    after = EmbeddedBroker(file)
    await after.start()
    await after.declare([QueueSpec(JOURNAL)])
    assert await depth(after) == 41
    journal = Journal(rows_of(store), after)
    await journal.start()
    await until_empty(after)
    await journal.stop()
    await after.stop()
    assert found(store, text="P1") == [e.id for e in reversed(batch)]
    assert [(c.accepted, c.delivered) for c in store.counts() if c.destination] == [(40, 40)]


async def test_while_the_database_is_away_the_queue_waits_and_nothing_is_lost(
    url: str, broker: EmbeddedBroker
) -> None:
    batch = [message(index={"patient": "P1"}) for _ in range(120)]
    proxy = holder = None
    if url.startswith("sqlite"):
        way = f"{url}?timeout=0.05"
        holder = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    else:
        parts = urlsplit(url)
        proxy = Proxy(parts.hostname or "", parts.port or 5432)
        await proxy.up()
        netloc = f"{parts.username}:{parts.password}@127.0.0.1:{proxy.port}"
        way = urlunsplit(parts._replace(netloc=netloc))
    store = open_store(way)
    journal = Journal(rows_of(store), broker, batch=50)
    await journal.start()
    await publish(broker, batch[:40], [])
    await until_empty(broker)

    if holder is not None:
        holder.execute("BEGIN IMMEDIATE")
    else:
        assert proxy is not None
        await proxy.cut()
    await publish(broker, batch[40:], [tried(e) for e in batch])
    await until_noticed(journal)
    assert journal.behind == await depth(broker) == 81

    if holder is not None:
        holder.execute("ROLLBACK")
        holder.close()
    else:
        assert proxy is not None
        await proxy.up()
    await until_empty(broker)
    assert journal.ok
    await journal.stop()
    assert len(await asyncio.to_thread(found, store, 1000, text="P1", state="sent")) == 120
    store.close()
    if proxy is not None:
        await proxy.cut()


async def test_an_engine_that_stops_while_the_database_is_away_leaves_all_in_the_queue(
    tmp_path: Path, broker: EmbeddedBroker
) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be")
    store = open_store(f"sqlite:///{tmp_path}/taken/journal.db")
    journal = Journal(rows_of(store), broker)
    await journal.start()
    await publish(broker, [message() for _ in range(10)], [])
    await until_noticed(journal)
    await journal.stop()
    assert await depth(broker) == 11
    store.close()


@pytest.mark.postgresql
def test_a_connection_that_the_server_ends_is_replaced(postgresql_url: str) -> None:
    schema = f"journal_{uuid.uuid4().hex[:12]}"
    url = f"{postgresql_url}?options=-csearch_path%3D{schema}&application_name={schema}"
    with psycopg.connect(postgresql_url, autocommit=True) as server:
        server.execute(f"CREATE SCHEMA {schema}")
        store = open_store(url)
        store.write([message()], [])
        ended = server.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = %s",
            (schema,),
        ).fetchone()
        assert ended == (1,)
        with pytest.raises(StoreDown, match="JL-J010"):
            store.write([message()], [])
        store.write([message()], [])
        assert len(found(store)) == 2
        store.close()
        server.execute(f"DROP SCHEMA {schema} CASCADE")


def test_an_address_that_is_no_journals_is_refused() -> None:
    for url in ("", "nonsense", "mysql://h/d", "sqlite://", "sqlite:///:memory:"):
        with pytest.raises(StoreError, match="JL-J002"):
            open_store(url)
