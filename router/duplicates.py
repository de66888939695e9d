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
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec
import structlog
from msgspec.structs import replace

from channels.model import Channel
from config.errors import BadMessage
from config.private import make_file
from schemas.message import Message, Reply

log = structlog.get_logger()

_LONGEST_REPLY = 1_000_000  # bytes of a destination's answer that is kept for resends
_WITHIN_S = 86_400.0  # where the channel does not say
_SWEEP_S = 60.0
_UNWRITTEN = 10_000  # keys that the disk did not take are known all the same, so many of them
_SWEPT = 10_000  # rows forgotten in one step
_SCHEMA = """
CREATE TABLE IF NOT EXISTS seen (key BLOB PRIMARY KEY, until_ms INTEGER NOT NULL, reply BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS seen_until ON seen (until_ms);
CREATE TABLE IF NOT EXISTS heard (one INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL);
"""
_OTHER = "this key was sent with another request; a new request needs a new key 幂等键已用于另一请求"
_UNDER_WAY = "the request of this key is under way; ask again in a moment 同一请求正在处理，请稍后重试"
_FIND = "SELECT reply FROM seen WHERE key = ? AND until_ms > ?"
_FORGET = "DELETE FROM seen WHERE key IN (SELECT key FROM seen WHERE until_ms <= ? LIMIT ?)"

encode_reply = msgspec.msgpack.Encoder(enc_hook=dict).encode
decode_reply = msgspec.msgpack.Decoder(Reply).decode


class First(NamedTuple):
    """The message that a resend repeats: its id, and the reply it got or is going to get. `of`: see `Once`."""

    id: str
    reply: asyncio.Future[Reply]
    of: bytes = b""


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
        self._writing: dict[bytes, Row] = {}
        # What the disk did not take yet: known all the same, and tried again with what comes next.
        self._unwritten: dict[bytes, Row] = {}
        self._gathering: asyncio.Future[None] | None = None
        self._in_hand: asyncio.Future[None] | None = None  # being written
        self._sweeper: asyncio.Task[None] | None = None
        self._stopped = False
        self._watched: dict[bytes, list[asyncio.Future[bytes]]] = {}

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
        self._stopped = True
        self._reads.close()
        await self._do(self._writes.close)
        self._thread.shutdown()

    def find(self, key: bytes) -> Reply | None:
        """A look into the file that the system has in memory: about 10 microseconds."""
        for rows in (self._rows, self._unwritten, self._writing):
            if key in rows:
                _, until_ms, reply = rows[key]
                return decode_reply(reply) if until_ms > self._now_ms() else None
        try:
            row = self._reads.execute(_FIND, (key, self._now_ms())).fetchone()
        except (
            sqlite3.Error
        ) as error:  # then every message is new: worse for the receiver, safe for the patient
            log.error("duplicates.not_known", error=str(error))
            return None
        return decode_reply(row[0]) if row else None

    def remember(self, key: bytes, reply: Reply, within_ms: int) -> asyncio.Future[None]:
        """Done once it is on disk, or cannot be: then that is said in the log, and a restart would forget it."""
        if len(reply.body) > _LONGEST_REPLY:
            text = "answered before; the answer was too large to be kept 已处理，结果过大未保存"
            reply = Reply("pending", id=reply.id, text=text)
        self._rows[key] = row = (key, self._now_ms() + within_ms, encode_reply(reply))
        self._notice(row)
        return self._soon()

    def learn(self, rows: Iterable[Row], at_ms: int = 0) -> asyncio.Future[None]:
        """What others know, told at this time. Known here from now on; done once it is on disk, or cannot be."""
        now_ms = self._now_ms()
        for row in rows:
            if row[1] > now_ms:
                self._unwritten[row[0]] = row
                self._notice(row)
        self.heard_ms = max(self.heard_ms, at_ms)
        if self._unwritten and not self._stopped:
            return self._soon()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def watch(self, key: bytes) -> asyncio.Future[bytes]:
        """The next reply of this key, encoded, whoever remembers it."""
        heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._watched.setdefault(key, []).append(heard)
        heard.add_done_callback(lambda done: self._unwatch(key, done))
        return heard

    def _unwatch(self, key: bytes, done: asyncio.Future[bytes]) -> None:
        left = [heard for heard in self._watched.pop(key, ()) if heard is not done]
        if left:
            self._watched[key] = left

    def _notice(self, row: Row) -> None:
        for heard in self._watched.get(row[0], ()):
            if not heard.done():
                heard.set_result(row[2])

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
        self._in_hand, self._gathering, self._rows, self._writing = done, None, {}, rows

        def written(future: asyncio.Future[Any]) -> None:
            self._in_hand = None
            if (error := future.exception()) is not None:
                log.error("duplicates.not_remembered", count=len(rows), error=str(error))
                rows.update(self._unwritten)  # what came meanwhile is newer
                self._unwritten = dict(islice(rows.items(), max(0, len(rows) - _UNWRITTEN), None))
            else:
                came = self._unwritten.items()
                self._unwritten = {key: row for key, row in came if rows.get(key) is not row}
            self._writing = {}
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


class Key(NamedTuple):
    """By what a message would be known again. `of`: see `Once`; empty where it is the message's own value."""

    name: bytes
    of: bytes = b""


class Duplicates:
    """One channel's resends: by what its sender calls a request (`Once`), and by a value of the message."""

    def __init__(self, channel: Channel, seen: Memory) -> None:
        self._by = channel.duplicates_by
        self._within_ms = int((channel.duplicates_within_s or _WITHIN_S) * 1000)
        self._name = channel.name.encode()
        self._seen = seen

    def keys(self, message: Message, tree: Any) -> tuple[Key, ...]:
        """None where it has no such value: then it is nobody's resend."""
        once, value = message.once, self._by(tree, message) if self._by and tree is not None else None
        own = (Key(self._digest(b"\1" + once.key), once.of),) if once is not None else ()
        return (*own, Key(self._digest(b"\0" + value.encode()))) if value else own

    def first(self, keys: Sequence[Key]) -> First | None:
        """The message that this one repeats. Raises BadMessage where it cannot be told by the sender's own key."""
        for key in keys:
            first = self._seen.open.get(key.name)
            if first is not None and key.of:
                raise _other() if first.of != key.of else BadMessage("JL-M081", _UNDER_WAY)
            if first is not None:
                return first
            reply = self._seen.find(key.name)
            if reply is not None and key.of and reply.of != key.of:
                raise _other()
            if reply is not None:
                known: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
                known.set_result(reply)
                return First(reply.id, known)
        return None

    def begin(self, keys: Sequence[Key], id: str) -> None:
        """A message is on its way to the broker: who repeats it from now on waits for the same reply."""
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        for key in keys:
            self._seen.open[key.name] = First(id, reply, key.of)

    def kept(self, keys: Sequence[Key], reply: Reply) -> asyncio.Future[None]:
        """It is durable. Its sender is answered only when this is done."""
        of = [replace(reply, of=key.of) if key.of else reply for key in keys]
        done = [
            self._seen.remember(key.name, one, self._within_ms) for key, one in zip(keys, of, strict=True)
        ]
        return done[-1]  # they go to disk together

    def end(self, keys: Sequence[Key], reply: Reply) -> None:
        """Its sender has this reply. One that was not accepted is forgotten: the resend is the message."""
        first = [self._seen.open.pop(key.name) for key in keys]
        first[0].reply.set_result(reply)

    def _digest(self, value: bytes) -> bytes:
        return hashlib.blake2b(self._name + value, digest_size=20).digest()


def _other() -> BadMessage:
    return BadMessage("JL-M080", _OTHER)
