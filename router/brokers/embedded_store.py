"""The embedded broker's file: SQL and nothing else. Runs in the worker thread, one transaction per batch.

A publish is one row in `body` and one small row per queue in `item`. Body ids rise in the order of
publishing, and an item's key is its queue's number and the body's id in one integer, so a queue is a range of
the table's own key: appending, paging in order and acknowledging touch one B-tree and no index.

Each kind of work is ONE statement for the whole batch, its rows given as JSON (and the bodies as one blob
that SQLite cuts up), and what a batch usually has is together one statement more: an INSERT into a view whose
trigger does it all, committed by itself. Each call of SQLite gives up Python's lock and asks for it again, which
under a busy event loop costs up to 5 ms.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from msgspec import Struct

from config.private import make_file, make_folder
from router.brokers.base import QueueSpec

SHIFT = 40  # 10^12 messages, 8 million queues
ID_MASK = (1 << SHIFT) - 1
PAGE_BYTES = 4_000_000  # what one page of deliveries or of due messages brings into memory
CONTENTS_BYTES = 32_000_000  # what a look into a whole queue brings into memory
VACUUM_PAGES = 256  # given back to the file system at a time
VACUUM_EVERY = 64  # batches between two looks at the free list
WAL_PAGES = 4_000

# A queue's number is never used again: a delayed message of a deleted queue must not find another's.
SCHEMA = """
CREATE TABLE IF NOT EXISTS queue(
    no INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,
    single INTEGER, max_length INTEGER, max_bytes INTEGER);
CREATE TABLE IF NOT EXISTS body(id INTEGER PRIMARY KEY, queues TEXT NOT NULL, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS item(key INTEGER PRIMARY KEY, size INTEGER NOT NULL, handed INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS delayed(
    id INTEGER PRIMARY KEY, due_ms INTEGER NOT NULL, queues TEXT NOT NULL, data BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS delayed_due ON delayed(due_ms, id);
"""

# Published and acknowledged. `data` is all bodies end to end, `bodies` rows of [id, start, length, queue numbers],
# `items` rows of [key, size, handed]; the rest are keys of items and ids of bodies.
USUAL = f"""
CREATE TEMP VIEW usual(data, bodies, items, acked, finished, perhaps) AS SELECT 0, 0, 0, 0, 0, 0;
CREATE TEMP TRIGGER usually INSTEAD OF INSERT ON usual BEGIN
    INSERT INTO body
    SELECT value->>0, value->>3, ifnull(substr(new.data, value->>1, value->>2), x'') FROM json_each(new.bodies);
    INSERT INTO item SELECT value->>0, value->>1, value->>2 FROM json_each(new.items);
    DELETE FROM item WHERE key IN (SELECT value FROM json_each(new.acked));
    DELETE FROM body WHERE id IN (SELECT value FROM json_each(new.finished));
    DELETE FROM body WHERE id IN (SELECT value FROM json_each(new.perhaps)) AND NOT EXISTS (
        SELECT 1 FROM json_each(body.queues) AS q JOIN item ON item.key = (q.value << {SHIFT}) + body.id);
END"""
DO_USUAL = "INSERT INTO usual VALUES (?, ?, ?, ?, ?, ?)"
# ?1 is all bodies end to end, ?2 rows of [id, start, length, queue numbers, time].
INSERT_DELAYED = """
INSERT INTO delayed
SELECT value->>0, value->>4, value->>3, ifnull(substr(?1, value->>1, value->>2), x'') FROM json_each(?2)"""
DELETE_UNUSED = f"""
DELETE FROM body WHERE id IN (SELECT value FROM json_each(?)) AND NOT EXISTS (
    SELECT 1 FROM json_each(body.queues) AS q JOIN item ON item.key = (q.value << {SHIFT}) + body.id)"""
DELETE_DELAYED = "DELETE FROM delayed WHERE id IN (SELECT value FROM json_each(?))"
PAGE = f"""
SELECT i.key, i.handed, b.data FROM item i JOIN body b ON b.id = i.key & {ID_MASK}
WHERE i.key > ? AND i.key < ? ORDER BY i.key LIMIT ?"""
MARK = "UPDATE item SET handed = handed + 1 WHERE key IN (SELECT value FROM json_each(?))"
DECLARE = """
INSERT INTO queue(name, single, max_length, max_bytes) VALUES (?, ?, ?, ?) ON CONFLICT(name) DO UPDATE
SET single = excluded.single, max_length = excluded.max_length, max_bytes = excluded.max_bytes RETURNING no"""
DUE = "SELECT id, queues, data FROM delayed WHERE due_ms <= ? ORDER BY due_ms, id LIMIT ?"

CONTENTS = f"""
SELECT b.data FROM item i JOIN body b ON b.id = i.key & {ID_MASK} WHERE i.key > ? AND i.key < ?
UNION ALL SELECT data FROM delayed WHERE queues = ?"""
DELAYED_IN = "SELECT data FROM delayed WHERE queues = ? ORDER BY id LIMIT ?"


class Message(Struct):
    """One publish on its way to the file. `handed` is what its items are born with (see embedded.py)."""

    id: int
    body: bytes
    queues: list[int]
    handed: list[int]
    due_ms: int = 0


@dataclass(slots=True)
class Page:
    """A wish for the next deliveries of a queue, and then the answer: (id, times handed out, body)."""

    queue: int
    after: int
    limit: int
    rows: list[tuple[int, int, bytes]] = field(default_factory=list)
    last: bool = False  # nothing more was in the file


@dataclass(slots=True)
class DuePage:
    """A wish for what is due, and the answer: (id, queue numbers, body)."""

    now_ms: int
    limit: int
    rows: list[tuple[int, list[int], bytes]] = field(default_factory=list)


@dataclass(slots=True)
class Call:
    """Anything else: `run` is called within the transaction, in the worker."""

    run: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]
    answer: Any = None


@dataclass(slots=True)
class Batch:
    """What one transaction does. Keys and ids are integers of the tables above."""

    messages: list[Message] = field(default_factory=list)
    delayed: list[Message] = field(default_factory=list)
    acked: list[int] = field(default_factory=list)  # item keys
    finished: list[int] = field(default_factory=list)  # bodies whose last item is in `acked`, for certain
    perhaps: list[int] = field(default_factory=list)  # bodies that may still have items
    moved: list[int] = field(default_factory=list)  # delayed ids that `messages` brings into their queues
    pages: list[Page] = field(default_factory=list)
    due: DuePage | None = None
    calls: list[Call] = field(default_factory=list)
    next_due_ms: int | None = None
    probe: bool = False  # write something, to learn whether it can be written
    error: sqlite3.Error | None = None
    bytes: int = 0

    def empty(self) -> bool:
        return self.is_usual() and not (self.messages or self.acked)

    def is_usual(self) -> bool:
        """Nothing but publishes and acknowledgements."""
        return not (self.delayed or self.moved or self.pages or self.due or self.calls or self.probe)


@dataclass(frozen=True, slots=True)
class Found:
    """A queue as the file had it at the start."""

    no: int
    spec: QueueSpec
    length: int
    bytes: int
    delayed: int


class Store:
    """The connection. `open` fails with sqlite3.OperationalError (busy) where another has it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._batches = 0
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        make_folder(self._file.parent)
        make_file(self._file)
        connection = sqlite3.connect(self._file, isolation_level=None, timeout=0.2, check_same_thread=False)
        try:
            for pragma in (
                "locking_mode=EXCLUSIVE",
                "auto_vacuum=INCREMENTAL",
                "journal_mode=WAL",
                "synchronous=FULL",
                "secure_delete=FAST",
                f"wal_autocheckpoint={WAL_PAGES}",
                f"journal_size_limit={WAL_PAGES * 4096}",
                "cache_size=-16000",
            ):
                connection.execute(f"PRAGMA {pragma}").fetchall()
            connection.execute("BEGIN EXCLUSIVE")
            for statement in SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute("COMMIT")
            connection.executescript(USUAL)
        except sqlite3.Error:
            connection.close()
            raise
        self._connection = connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def load(self) -> tuple[list[Found], int]:
        """The queues with what they hold, and the highest id ever used by what is there."""
        assert self._connection is not None
        run = self._connection.execute
        held = {
            no: (n, size)
            for no, n, size in run(f"SELECT key >> {SHIFT}, count(*), sum(size) FROM item GROUP BY 1")
        }
        later: dict[int, list[int]] = {}
        for queues, size in run("SELECT queues, length(data) FROM delayed"):
            for no in orjson.loads(queues):
                count = later.setdefault(no, [0, 0])
                count[0] += 1
                count[1] += size
        found: list[Found] = []
        for no, name, single, max_length, max_bytes in run("SELECT * FROM queue"):
            (n, size), (d, delayed_size) = held.get(no, (0, 0)), later.get(no, (0, 0))
            spec = QueueSpec(name, bool(single), max_length, max_bytes)
            found.append(Found(no, spec, n + d, size + delayed_size, d))
        (top,) = run(
            "SELECT max(ifnull((SELECT max(id) FROM body), 0), ifnull((SELECT max(id) FROM delayed), 0))"
        ).fetchone()
        return found, top

    def write(self, batch: Batch) -> None:
        """All of the batch or nothing; its pages and answers are filled in. Raises sqlite3.Error."""
        if self._connection is None:
            self.open()
        assert self._connection is not None
        try:
            if batch.is_usual():
                self._write_usual(batch)
            else:
                self._connection.execute("BEGIN IMMEDIATE")
                self._write_usual(batch)
                self._write_unusual(batch)
                self._connection.execute("COMMIT")
        except sqlite3.Error:
            self.close()  # rolls back; the next batch opens it anew, whatever state the fault left
            raise
        self._batches += 1
        if self._batches % VACUUM_EVERY == 0:
            with contextlib.suppress(sqlite3.Error):  # the batch is written; there will be another occasion
                self._give_back()

    def _write_usual(self, batch: Batch) -> None:
        assert self._connection is not None
        bodies, items, start = [], [], 1
        for m in batch.messages:
            size = len(m.body)
            bodies.append((m.id, start, size, orjson.dumps(m.queues).decode()))
            start += size
            for no, handed in zip(m.queues, m.handed, strict=True):
                items.append(((no << SHIFT) + m.id, size, handed))
        rows = (bodies, items, batch.acked, batch.finished, batch.perhaps)
        if any(rows):
            data = b"".join([m.body for m in batch.messages])
            self._connection.execute(DO_USUAL, (data, *[orjson.dumps(each).decode() for each in rows]))

    def _write_unusual(self, batch: Batch) -> None:
        assert self._connection is not None
        run = self._connection.execute
        if batch.probe:
            run(f"PRAGMA user_version = {int(time.monotonic())}")
        if batch.delayed:
            self._insert_delayed(batch.delayed)
        if batch.moved:
            run(DELETE_DELAYED, (orjson.dumps(batch.moved).decode(),))
        for call in batch.calls:
            call.answer = call.run(self._connection)
        for page in batch.pages:
            self._read(page)
        if batch.due is not None:
            self._read_due(batch.due)
        if batch.due is not None or batch.moved:
            batch.next_due_ms = run("SELECT min(due_ms) FROM delayed").fetchone()[0]

    def _insert_delayed(self, messages: list[Message]) -> None:
        assert self._connection is not None
        rows, start = [], 1
        for m in messages:
            rows.append((m.id, start, len(m.body), orjson.dumps(m.queues).decode(), m.due_ms))
            start += len(m.body)
        self._connection.execute(
            INSERT_DELAYED, (b"".join([m.body for m in messages]), orjson.dumps(rows).decode())
        )

    def _read(self, page: Page) -> None:
        """Marks what it reads as handed out in the same transaction: a crash cannot forget the count."""
        assert self._connection is not None
        low, high = (page.queue << SHIFT) + page.after, (page.queue + 1) << SHIFT
        size = 0
        keys = []
        cursor = self._connection.execute(PAGE, (low, high, page.limit))
        for key, handed, data in cursor:
            keys.append(key)
            page.rows.append((key & ID_MASK, handed + 1, data))
            size += len(data)
            if size >= PAGE_BYTES:
                break
        else:
            page.last = len(page.rows) < page.limit
        cursor.close()
        if keys:
            self._connection.execute(MARK, (orjson.dumps(keys).decode(),))

    def _read_due(self, due: DuePage) -> None:
        assert self._connection is not None
        size = 0
        cursor = self._connection.execute(DUE, (due.now_ms, due.limit))
        for id_, queues, data in cursor:
            due.rows.append((id_, orjson.loads(queues), data))
            size += len(data)
            if size >= PAGE_BYTES:
                break
        cursor.close()

    def _give_back(self) -> None:
        """Returns free pages to the file system once they are more than half of the file."""
        assert self._connection is not None
        (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
        (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        if free > VACUUM_PAGES and free * 2 > pages:
            # Not `execute`: this pragma stops after each page, and Python asks only once.
            self._connection.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")


def declare(connection: sqlite3.Connection, specs: Sequence[QueueSpec]) -> list[int]:
    """The queues' numbers, in the same order; limits are renewed."""
    rows = [(spec.name, spec.single, spec.max_length, spec.max_bytes) for spec in specs]
    return [connection.execute(DECLARE, row).fetchall()[0][0] for row in rows]


def delayed_in(connection: sqlite3.Connection, asked: tuple[int, int]) -> list[bytes]:
    """Up to so many bodies that wait for their time in this queue alone: (number, how many)."""
    no, limit = asked
    found: list[bytes] = []
    size = 0
    for (data,) in connection.execute(DELAYED_IN, (orjson.dumps([no]).decode(), limit)):
        found.append(data)
        size += len(data)
        if size >= PAGE_BYTES:
            break
    return found


def contents(connection: sqlite3.Connection, asked: tuple[int, int]) -> list[bytes] | None:
    """Every body of this queue (number, how many at the most); None where they are more, or too large together."""
    no, limit = asked
    found: list[bytes] = []
    size = 0
    for (data,) in connection.execute(
        CONTENTS, (no << SHIFT, (no + 1) << SHIFT, orjson.dumps([no]).decode())
    ):
        found.append(data)
        size += len(data)
        if len(found) > limit or size > CONTENTS_BYTES:
            return None
    return found


def delete(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    """Removes queues, their items, and the bodies that no other queue holds."""
    for no in numbers:
        ends = (no << SHIFT, (no + 1) << SHIFT)
        keys = connection.execute(
            "DELETE FROM item WHERE key >= ? AND key < ? RETURNING key", ends
        ).fetchall()
        connection.execute(DELETE_UNUSED, (orjson.dumps([key & ID_MASK for (key,) in keys]).decode(),))
        connection.execute("DELETE FROM queue WHERE no = ?", (no,))
