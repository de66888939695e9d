"""Rows in batches, idempotent without upserts: try the whole batch; where some is there already, the rest.

A row that no database would take is parked with its body, so that it never holds up the others. Everything of a
message lies in the day of its id, also what comes days later. Its body is written before its row: a row speaks for a
body that is there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import structlog
from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    insert,
    select,
    update,
)

from router.clock import now_ms
from router.envelope import Attempt, Attempts, Envelope, decode, encode
from router.ids import day_at, day_of, new_id
from router.store import tables
from router.store.chain import Batch, Chain, writer_name
from router.store.database import Database, Place, StoreError
from router.store.days import Days, WrittenDay
from router.store.rows import (
    Row,
    attempt_rows,
    message_rows,
    seal_body,
    seal_parked,
    tag_of,
)
from router.store.tables import label, named

log = structlog.get_logger()

_KEYS_AT_ONCE = 500
_ROUNDS = 3  # of "insert what is missing": more than one only where several writers hold the same rows
CHAIN_SEEN = "chain seen"  # a note: of another writer's chain in the same day
_LOGIN_UID = 2**32 - 1  # of who never logged in: a service
_CHAINS = 32  # days whose chain goes on; for another one a new chain is begun

_TYPES = {BigInteger: "int8", Integer: "int4", SmallInteger: "int2", Text: "text", LargeBinary: "bytea"}

_Rows = Sequence[tuple[Table, Sequence[Row]]]


@dataclass
class _Work:
    """What is to be written of one day; what is found to be there already falls away."""

    messages: dict[str, Envelope] = field(default_factory=dict)
    tries: dict[Row, Attempt] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.messages or self.tries)

    def one_by_one(self) -> Iterator[_Work]:
        for id, envelope in self.messages.items():
            yield _Work(messages={id: envelope})
        for key, attempt in self.tries.items():
            yield _Work(tries={key: attempt})

    def encoded(self) -> bytes:
        return encode(next(iter(self.messages.values()), None) or Attempts(tuple(self.tries.values())))


class Writer:
    """Writes what came through the journal's queue. For one thread at a time."""

    def __init__(self, database: Database, days: Days) -> None:
        self._database = database
        self._days = days
        self._chains: dict[str, Chain] = {}
        self._insert: Callable[[Connection, str, Table, Sequence[Row]], None] = (
            _copy if database.engine.dialect.name == "postgresql" else _insert
        )

    def bodies(self, bodies: Iterable[bytes]) -> int:
        """Writes bodies of the journal's queue. Returns how many were parked. Raises StoreError."""
        envelopes, attempts, parked = [], [], 0
        for body in bodies:
            try:
                came = decode(body)
            except (msgspec.MsgspecError, ValueError) as error:
                self._park(body, error)
                parked += 1
                continue
            if isinstance(came, Envelope):
                envelopes.append(came)
            else:
                attempts.extend(came.attempts)
        return parked + self.write(envelopes, attempts)

    def write(self, envelopes: Iterable[Envelope], attempts: Iterable[Attempt]) -> int:
        """Durable when it returns. Returns how many were parked. Raises StoreError."""
        self._database.make()
        by_day: dict[str, _Work] = defaultdict(_Work)
        parked = 0
        for e in envelopes:
            if (day := self._day(e.id, e)) is not None:
                by_day[day].messages[e.id] = e
            else:
                parked += 1
        for a in attempts:
            if (day := self._day(a.id, Attempts((a,)))) is not None:
                by_day[day].tries[_key(a)] = a
            else:
                parked += 1
        return parked + sum(self._write(day, work) for day, work in sorted(by_day.items()))

    def note(self, what: str, about: str) -> None:
        """Writes down what is done with the journal itself, and by whom. Raises StoreError."""
        row = _note(what, about)
        try:
            self._add(self._days.written(day_at(row[1]), ()), [(tables.note, [row])])
        except Exception as error:
            raise self._down(error) from error

    def forget(self, day: str) -> None:
        """A day was dropped: its chain is over."""
        self._chains.pop(day, None)

    def _day(self, id: str, came: Envelope | Attempts) -> str | None:
        """None where the id is no id: then what came is parked."""
        try:
            return day_of(id)
        except (ValueError, OverflowError) as error:
            self._park(encode(came), error)
            return None

    def _write(self, day: str, work: _Work) -> int:
        try:
            for round in range(_ROUNDS):
                if round:
                    self._forget_known(day, work)
                if not work or self._all(day, work, again=round > 0):
                    return 0
        except Exception as error:
            self._raise_unless_own(error)
            log.warning("journal.row_by_row", error=type(error).__name__)
        return sum(self._one(day, one) for one in work.one_by_one())

    def _one(self, day: str, work: _Work) -> int:
        """Returns 1 where it had to be parked."""
        body = work.encoded()
        try:
            if self._all(day, work, again=True):
                return 0
            self._forget_known(day, work)
            if not work:
                return 0
            raise ValueError("it breaks a rule of the table")
        except Exception as error:
            self._raise_unless_own(error)
            self._park(body, error)
            return 1

    def _all(self, day: str, work: _Work, again: bool) -> bool:
        """Two transactions: bodies, rows. False where a row was there already: then it is tried `again`.

        Answers may be found by what their message is found by: only the second time that is looked for, where the
        answer's row, which another process wrote, may have come first.
        """
        messages = work.messages.values()
        written = self._days.written(day, {e.channel for e in messages})
        key = written.key
        try:
            tags = self._bodies(written, work.messages)
            made = [message_rows(e, key, tags[e.id]) for e in messages]
            tried = [attempt_rows(a, key) for a in work.tries.values()]
            chained = [
                (tables.message, [row for row, _ in made]),
                (tables.attempt, [row for row, _ in tried]),
            ]
            own = {row for _, index in made for row in index}
            answers = {row for _, index in tried for row in index}
            self._add(written, chained, *((set(), own | answers) if again else (own, answers - own)))
        except Exception as error:
            if self._database.means_doubled(error):
                return False
            raise
        return True

    def _bodies(self, written: WrittenDay, messages: dict[str, Envelope]) -> dict[str, bytes]:
        """Writes those that are not there yet. The tag of each, by id."""
        tags: dict[str, bytes] = {}
        if not messages:
            return tags
        place = Place(written.name, "bodies")
        for round in range(_ROUNDS):
            if round:  # perhaps a crash came between body and row, or another writer
                b = tables.body.c
                with self._database.writing(place) as connection:
                    for ids in _slices(messages):
                        asked = connection.execute(select(b.id, b.sealed).where(b.id.in_(ids)))
                        tags |= {id: tag_of(sealed) for id, sealed in asked}
            sealed = {
                e.id: seal_body(written.bodies[e.channel], e) for e in messages.values() if e.id not in tags
            }
            if not sealed:
                return tags
            try:
                with self._database.writing(place) as connection:
                    if not self._database.files:  # the commit of the rows takes these to disk too
                        connection.exec_driver_sql("SET LOCAL synchronous_commit TO OFF")
                    self._insert(connection, written.name, tables.body, list(sealed.items()))
                return tags | {id: tag_of(body) for id, body in sealed.items()}
            except Exception as error:
                if round == _ROUNDS - 1 or not self._database.means_doubled(error):
                    raise
        return tags

    def _add(
        self, written: WrittenDay, chained: _Rows, index: Collection[Row] = (), known: Collection[Row] = ()
    ) -> None:
        """One transaction: rows with their places in this writer's chain, and rows of the index.

        Of the `known` some may be there: another try had the same value.
        """
        day = written.name
        if day in self._days.begun:
            chained = [*chained, (tables.note, [_note("day begun", self._days.begun[day])])]
        chain = self._chains.pop(day, None) or Chain(written.key.mac)
        batch = chain.batch()
        with self._database.writing(Place(day, "rows")) as connection:
            seen = [_note(CHAIN_SEEN, other) for other in _not_noted(connection, chain)]
            chained = [*chained, (tables.note, seen)]
            placed = [(table, [batch.add(label(table), row) for row in rows]) for table, rows in chained]
            new = [*index, *(known and _not_there(connection, known))]
            for table, rows in (*placed, (tables.message_index, new)):
                if rows:
                    self._insert(connection, day, table, rows)
            self._lengthen(connection, chain, batch)
        self._days.begun.pop(day, None)
        chain.extend(batch)  # only here: where the end of a transaction is not known, another chain is begun
        while len(self._chains) >= _CHAINS:
            self._chains.pop(next(iter(self._chains)))
        self._chains[day] = chain

    def _lengthen(self, connection: Connection, chain: Chain, batch: Batch) -> None:
        c = tables.chain.c
        writer, count, head, mac = batch.length
        if chain.count:
            length = update(tables.chain).where(c.writer == writer, c.count == chain.count)
            if connection.execute(length.values(count=count, head=head, mac=mac)).rowcount != 1:
                raise ValueError("the chain's length was changed by somebody else")
        else:
            connection.execute(insert(tables.chain).values(writer=writer, count=count, head=head, mac=mac))

    def _forget_known(self, day: str, work: _Work) -> None:
        m, a = tables.message.c, tables.attempt.c
        with self._database.writing(Place(day, "rows")) as connection:
            for ids in _slices(work.messages):
                for (known,) in connection.execute(select(m.id).where(m.id.in_(ids))).all():
                    work.messages.pop(known, None)
            for ids in _slices({key[0] for key in work.tries}):
                keys = select(a.message_id, a.destination, a.attempt, a.outcome).where(a.message_id.in_(ids))
                for known_try in connection.execute(keys).all():
                    work.tries.pop(tuple(known_try), None)

    def _park(self, body: bytes, error: Exception) -> None:
        """In the day on which it came."""
        digest = hashlib.sha256(body).hexdigest()
        log.error("journal.parked", digest=digest, size=len(body), error=type(error).__name__)
        at_ms = now_ms()
        try:
            written = self._days.written(day_at(at_ms), ())
            row = (digest, at_ms, type(error).__name__, seal_parked(written.key, digest, body))
            self._add(written, [(tables.parked, [row])])
        except Exception as problem:
            if not self._database.means_doubled(problem):
                raise self._down(problem) from problem

    def _raise_unless_own(self, error: Exception) -> None:
        try:
            self._database.raise_unless_own(error)
        except Exception:
            self._days.forget()
            self._chains.clear()
            raise

    def _down(self, error: Exception) -> Exception:
        self._days.forget()
        self._chains.clear()
        return error if isinstance(error, StoreError) else self._database.down(error)


def _not_there(connection: Connection, rows: Collection[Row]) -> list[Row]:
    """Those that the day's index does not have."""
    x, left = tables.message_index.c, iter(sorted(rows))
    new: list[Row] = []
    while some := list(islice(left, _KEYS_AT_ONCE)):
        ids, tags = {row[2] for row in some}, {row[0] for row in some}
        asked = select(x.tag, x.name, x.message_id).where(x.message_id.in_(ids), x.tag.in_(tags))
        there = set(map(tuple, connection.execute(asked)))
        new += (row for row in some if row not in there)
    return new


def _not_noted(connection: Connection, chain: Chain) -> list[str]:
    """The other writers of this day of whom nobody has noted yet that they have a chain."""
    writers = {writer_name(writer) for writer in connection.execute(select(tables.chain.c.writer)).scalars()}
    if not chain.count and writers:
        n = tables.note.c
        chain.others.update(connection.execute(select(n.about).where(n.what == CHAIN_SEEN)).scalars())
    new = writers - chain.others - {writer_name(chain.writer)}
    chain.others |= new
    return sorted(new)


def _note(what: str, about: str) -> Row:
    at_ms = now_ms()
    return (new_id(at_ms), at_ms, what, about, _user())


def _user() -> str:
    """By the system's word, not by a variable that anybody can set; with who logged in, where that is another."""
    user, login = os.getuid(), _LOGIN_UID
    with contextlib.suppress(OSError, ValueError):
        login = int(Path("/proc/self/loginuid").read_text())
    return _name(user) if login in (user, _LOGIN_UID) else f"{_name(user)} ({_name(login)})"


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:  # a container's user without a name
        return str(user)


def _key(a: Attempt) -> Row:
    return (a.id, a.destination, a.attempt, a.outcome)


def _slices(keys: Iterable[str]) -> Iterable[list[str]]:
    rest = iter(list(keys))
    while some := list(islice(rest, _KEYS_AT_ONCE)):
        yield some


def _insert(connection: Connection, day: str, table: Table, rows: Sequence[Row]) -> None:
    """Past SQLAlchemy's row handling: on SQLite 43 microseconds a message (5 rows) instead of 70."""
    names = ", ".join(column.name for column in table.columns)
    marks = ", ".join("?" * len(table.columns))
    connection.exec_driver_sql(f"INSERT INTO {named(table.name, day)} ({names}) VALUES ({marks})", list(rows))


def _copy(connection: Connection, day: str, table: Table, rows: Sequence[Row]) -> None:
    """COPY: 30 microseconds of ours and 30 of PostgreSQL's a message (5 rows); with INSERT 126 and 108.

    In binary: as text a sealed body would be twice as long, in hexadecimal.
    """
    cursor: Any = connection.connection.cursor()
    names = ", ".join(column.name for column in table.columns)
    with cursor, cursor.copy(f"COPY {named(table.name, day)} ({names}) FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(_types(table))
        for row in rows:
            copy.write_row(row)


@cache
def _types(table: Table) -> tuple[str, ...]:
    """PostgreSQL's names of its columns' types."""
    return tuple(_TYPES[type(column.type)] for column in table.columns)
