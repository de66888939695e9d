"""The journal's consumer: from its queue into rows."""

from __future__ import annotations

import asyncio
import sqlite3
import uuid
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from journal_parts import KEYS, day_file, found, message, tried

from router.brokers.base import Delivered, QueueSpec
from router.brokers.embedded import EmbeddedBroker
from router.envelope import JOURNAL, Attempt, Attempts, Envelope, encode
from router.journal import Journal
from router.store import Store, StoreDown, StoreError, open_store

WAIT_S = 20


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
    journal_url: str, broker: EmbeddedBroker
) -> None:
    batch = [message(index={"patient": "P1"}) for _ in range(120)]
    proxy = holder = None
    if journal_url.startswith("sqlite"):
        way = f"{journal_url}?timeout=0.05"

    else:
        parts = urlsplit(journal_url)
        proxy = Proxy(parts.hostname or "", parts.port or 5432)
        await proxy.up()
        netloc = f"{parts.username}:{parts.password}@127.0.0.1:{proxy.port}"
        way = urlunsplit(parts._replace(netloc=netloc))
    store = open_store(way, KEYS)
    journal = Journal(rows_of(store), broker, batch=50)
    await journal.start()
    await publish(broker, batch[:40], [])
    await until_empty(broker)

    if journal_url.startswith("sqlite"):
        holder = sqlite3.connect(day_file(journal_url), isolation_level=None)
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
    store = open_store(f"sqlite:///{tmp_path}/taken/journal.db", KEYS)
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
    journal_url = f"{postgresql_url}?options=-csearch_path%3D{schema}&application_name={schema}"
    with psycopg.connect(postgresql_url, autocommit=True) as server:
        server.execute(f"CREATE SCHEMA {schema}")
        store = open_store(journal_url, KEYS)
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
    for journal_url in ("", "nonsense", "mysql://h/d", "sqlite://", "sqlite:///:memory:"):
        with pytest.raises(StoreError, match="JL-J002"):
            open_store(journal_url, KEYS)
