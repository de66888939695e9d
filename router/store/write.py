"""Rows in batches, idempotent without upserts: try the whole batch; where some is there already, the rest.

A row that no database would take is parked with its body, so that it never holds up the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

import msgspec
import structlog
from sqlalchemy import Connection, Table, select

from router.clock import now_ms
from router.envelope import Attempt, Attempts, Envelope, decode, encode
from router.store import tables
from router.store.database import Database
from router.store.rows import Row, attempt_row, index_rows, message_row

log = structlog.get_logger()

_KEYS_AT_ONCE = 500
_ROUNDS = 3  # of "insert what is missing": more than one only where several writers hold the same rows


class Writer:
    """Writes what came through the journal's queue. For one thread at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert: Callable[[Connection, Table, Sequence[Row]], None] = (
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
        messages = {e.id: e for e in envelopes}
        tries = {_key(a): a for a in attempts}
        try:
            for round in range(_ROUNDS):
                if round:
                    self._forget_known(messages, tries)
                if self._all(messages.values(), tries.values()):
                    return 0
        except Exception as error:
            self._database.raise_unless_own(error)
            log.warning("journal.row_by_row", error=type(error).__name__)
        parked = sum(self._one([envelope], []) for envelope in messages.values())
        return parked + sum(self._one([], [attempt]) for attempt in tries.values())

    def _all(self, envelopes: Iterable[Envelope], attempts: Iterable[Attempt]) -> bool:
        """One transaction. False where a row was there already."""
        envelopes = list(envelopes)
        rows = (
            (tables.message, [message_row(e) for e in envelopes]),
            (tables.message_index, [row for e in envelopes for row in index_rows(e)]),
            (tables.attempt, [attempt_row(a) for a in attempts]),
        )
        try:
            with self._database.writing() as connection:
                for table, made in rows:
                    if made:
                        self._insert(connection, table, made)
        except Exception as error:
            if self._database.means_doubled(error):
                return False
            raise
        return True

    def _one(self, envelopes: list[Envelope], attempts: list[Attempt]) -> int:
        """Returns 1 where it had to be parked."""
        messages, tries = {e.id: e for e in envelopes}, {_key(a): a for a in attempts}
        try:
            if self._all(envelopes, attempts):
                return 0
            self._forget_known(messages, tries)
            if not messages and not tries:
                return 0
            raise ValueError("it breaks a rule of the table")
        except Exception as error:
            self._database.raise_unless_own(error)
            self._park(encode(envelopes[0] if envelopes else Attempts(tuple(attempts))), error)
            return 1

    def _forget_known(self, messages: dict[str, Envelope], tries: dict[Row, Attempt]) -> None:
        m, a = tables.message.c, tables.attempt.c
        with self._database.writing() as connection:
            for ids in _slices(messages):
                for (known,) in connection.execute(select(m.id).where(m.id.in_(ids))).all():
                    messages.pop(known, None)
            for ids in _slices({key[0] for key in tries}):
                keys = select(a.message_id, a.destination, a.attempt, a.outcome).where(a.message_id.in_(ids))
                for known_try in connection.execute(keys).all():
                    tries.pop(tuple(known_try), None)

    def _park(self, body: bytes, error: Exception) -> None:
        digest = hashlib.sha256(body).hexdigest()
        log.error("journal.parked", digest=digest, size=len(body), error=type(error).__name__)
        row = (digest, now_ms(), type(error).__name__, body)
        try:
            with self._database.writing() as connection:
                self._insert(connection, tables.parked, [row])
        except Exception as problem:
            if not self._database.means_doubled(problem):
                raise self._database.down(problem) from problem


def _key(a: Attempt) -> Row:
    return (a.id, a.destination, a.attempt, a.outcome)


def _slices(keys: Iterable[str]) -> Iterable[list[str]]:
    rest = iter(list(keys))
    while some := list(islice(rest, _KEYS_AT_ONCE)):
        yield some


def _insert(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Past SQLAlchemy's row handling: on SQLite 43 microseconds a message (5 rows) instead of 70."""
    names = ", ".join(column.name for column in table.columns)
    marks = ", ".join("?" * len(table.columns))
    connection.exec_driver_sql(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", list(rows))


def _copy(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """COPY: 30 microseconds of ours and 30 of PostgreSQL's a message (5 rows); with INSERT 126 and 108."""
    cursor: Any = connection.connection.cursor()
    names = ", ".join(column.name for column in table.columns)
    with cursor, cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
