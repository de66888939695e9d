"""Resends: a message that was accepted already gets the reply of the first and is not sent on again.

What counts is whether the first was *accepted*: its key is remembered after the broker's confirm and before the
sender's answer. So a crash at any moment makes a resend at worst a second message, never a message that nobody has.
The memory is a file of this machine's own (`var/seen.db`): it outlives restarts, and no database stands between a
sender and its answer. What other machines remember comes to it by the broker (router.resends).
"""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec
import structlog

from channels.model import Channel
from config.private import make_file
from schemas.message import Message, Reply

log = structlog.get_logger()

_LONGEST_REPLY = 1_000_000  # bytes of a destination's answer that is kept for resends
_SWEEP_S = 60.0
_UNWRITTEN = 10_000  # keys that the disk did not take are known all the same, so many of them
_SWEPT = 10_000  # rows forgotten in one step
_SCHEMA = """
CREATE TABLE IF NOT EXISTS seen (key BLOB PRIMARY KEY, until_ms INTEGER NOT NULL, reply BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS seen_until ON seen (until_ms);
CREATE TABLE IF NOT EXISTS heard (one INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL);
"""
_FIND = "SELECT reply FROM seen WHERE key = ? AND until_ms > ?"
_FORGET = "DELETE FROM seen WHERE key IN (SELECT key FROM seen WHERE until_ms <= ? LIMIT ?)"

encode_reply = msgspec.msgpack.Encoder(enc_hook=dict).encode
_decode = msgspec.msgpack.Decoder(Reply).decode


class First(NamedTuple):
    """The message that a resend repeats: its id, and the reply it got or is going to get."""

    id: str
    reply: asyncio.Future[Reply]


Row = tuple[bytes, int, bytes]  # key, until when (Unix ms), the encoded reply


class Memory(Protocol):
    """What is known of keys: those whose messages are on their way (`open`), and those that have their reply."""

    open: dict[bytes, First]

    def find(self, key: bytes) -> Reply | None: ...
    def remember(self, key: bytes, reply: Reply, within_ms: int) -> asyncio.Future[None]: ...


class Seen:
    """The memory: key -> reply, until its time is over. Written by one thread, many at a commit.

    `open` are the keys of messages that are on their way: from the publish until the reply is remembered. It is here
    that they are kept, for a channel may be exchanged meanwhile.
    """

    def __init__(self, file: Path, now_ms: Callable[[], int]) -> None:
        self._file = file
        self._now_ms = now_ms
        self._thread = ThreadPoolExecutor(1, "seen")
        self.open: dict[bytes, First] = {}
        self.tell: Callable[[Collection[Row]], None] = lambda rows: None  # what is new here
        self.heard_ms = 0  # when the last of what others remember was told, as far as the file knows
        self._rows: dict[bytes, Row] = {}
        # What the disk did not take yet: known all the same, and tried again with what comes next.
        self._unwritten: dict[bytes, Row] = {}
        self._gathering: asyncio.Future[None] | None = None
        self._in_hand: asyncio.Future[None] | None = None  # being written
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises sqlite3.Error where the file cannot be used. Once is enough."""
        if self._sweeper is not None:
            return
        self._reads = self._open()
        self._writes = await self._do(self._open)
        self.heard_ms = next((at_ms for (at_ms,) in self._reads.execute("SELECT at_ms FROM heard")), 0)
        self._sweeper = asyncio.create_task(self._sweep(), name="seen")

    async def stop(self) -> None:
        """Writes what waits."""
        if self._sweeper is None:
            return
        self._sweeper.cancel()
        await asyncio.gather(self._sweeper, return_exceptions=True)
        if self._unwritten:
            self._soon()
        while (writing := self._in_hand or self._gathering) is not None:
            await writing
        self._reads.close()
        await self._do(self._writes.close)
        self._thread.shutdown()

    def find(self, key: bytes) -> Reply | None:
        """A look into the file that the system has in memory: about 10 microseconds."""
        if key in self._unwritten:
            _, until_ms, reply = self._unwritten[key]
            return _decode(reply) if until_ms > self._now_ms() else None
        try:
            row = self._reads.execute(_FIND, (key, self._now_ms())).fetchone()
        except (
            sqlite3.Error
        ) as error:  # then every message is new: worse for the receiver, safe for the patient
            log.error("duplicates.not_known", error=str(error))
            return None
        return _decode(row[0]) if row else None

    def remember(self, key: bytes, reply: Reply, within_ms: int) -> asyncio.Future[None]:
        """Done once it is on disk, or cannot be: then that is said in the log, and a restart would forget it."""
        if len(reply.body) > _LONGEST_REPLY:
            text = "answered before; the answer was too large to be kept 已处理，结果过大未保存"
            reply = Reply("pending", id=reply.id, text=text)
        self._rows[key] = (key, self._now_ms() + within_ms, encode_reply(reply))
        return self._soon()

    def learn(self, rows: Iterable[Row], at_ms: int = 0) -> asyncio.Future[None]:
        """What others know, told at this time. Known here from now on; done once it is on disk, or cannot be."""
        now_ms = self._now_ms()
        self._unwritten.update((row[0], row) for row in rows if row[1] > now_ms)
        self.heard_ms = max(self.heard_ms, at_ms)
        if self._unwritten:
            return self._soon()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def _soon(self) -> asyncio.Future[None]:
        if self._gathering is None:
            self._gathering = asyncio.get_running_loop().create_future()
            if self._in_hand is None:
                asyncio.get_running_loop().call_soon(self._write)
        return self._gathering

    def _write(self) -> None:
        """Hands over what was gathered; what comes meanwhile shares the next commit."""
        done, rows = self._gathering, {**self._unwritten, **self._rows}
        assert done is not None
        if self._rows:
            self.tell(self._rows.values())
        self._in_hand, self._gathering, self._rows = done, None, {}

        def written(future: asyncio.Future[Any]) -> None:
            self._in_hand = None
            if (error := future.exception()) is not None:
                log.error("duplicates.not_remembered", count=len(rows), error=str(error))
                rows.update(self._unwritten)  # what came meanwhile is newer
                self._unwritten = dict(islice(rows.items(), max(0, len(rows) - _UNWRITTEN), None))
            else:
                came = self._unwritten.items()
                self._unwritten = {key: row for key, row in came if rows.get(key) is not row}
            if self._gathering is not None:
                self._write()
            done.set_result(None)

        heard_ms = self.heard_ms
        self._do(lambda: self._insert(rows.values(), heard_ms)).add_done_callback(written)

    def _insert(self, rows: Iterable[Row], heard_ms: int) -> None:
        with self._writes:
            self._writes.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?)", rows)
            self._writes.execute("INSERT OR REPLACE INTO heard VALUES (0, ?)", (heard_ms,))

    async def _sweep(self) -> None:
        while True:
            try:
                forgotten = await self._do(self._forget)
            except sqlite3.Error as error:
                log.error("duplicates.not_swept", error=str(error))
                forgotten = 0
            if self._unwritten:
                self._soon()
            await asyncio.sleep(0 if forgotten == _SWEPT else _SWEEP_S)

    def _forget(self) -> int:
        with self._writes:
            return int(self._writes.execute(_FORGET, (self._now_ms(), _SWEPT)).rowcount)

    def _open(self) -> sqlite3.Connection:
        make_file(self._file)  # a destination's answers lie in it
        connection = sqlite3.connect(self._file, check_same_thread=False, timeout=5)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(_SCHEMA)
        return connection

    def _do(self, work: Callable[[], Any]) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().run_in_executor(self._thread, work)


class Duplicates:
    """One channel's resends."""

    def __init__(self, channel: Channel, seen: Memory) -> None:
        assert channel.duplicates_by is not None
        self._by = channel.duplicates_by
        self._within_ms = int(channel.duplicates_within_s * 1000)
        self._name = channel.name.encode()
        self._seen = seen

    def key(self, tree: Any, message: Message) -> bytes:
        """Empty where the message has no such value: then it is nobody's resend."""
        value = self._by(tree, message)
        if not value:
            return b""
        return hashlib.blake2b(self._name + b"\0" + value.encode(), digest_size=20).digest()

    def first(self, key: bytes) -> First | None:
        """The message that this one repeats."""
        if key in self._seen.open:
            return self._seen.open[key]
        reply = self._seen.find(key)
        if reply is None:
            return None
        known: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        known.set_result(reply)
        return First(reply.id, known)

    def begin(self, key: bytes, id: str) -> None:
        """A message is on its way to the broker: who repeats it from now on waits for the same reply."""
        self._seen.open[key] = First(id, asyncio.get_running_loop().create_future())

    def kept(self, key: bytes, reply: Reply) -> asyncio.Future[None]:
        """It is durable. Its sender is answered only when this is done."""
        return self._seen.remember(key, reply, self._within_ms)

    def end(self, key: bytes, reply: Reply) -> None:
        """Its sender has this reply. One that was not accepted is forgotten: the resend is the message."""
        self._seen.open.pop(key).reply.set_result(reply)
