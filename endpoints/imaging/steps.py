"""Scheduled procedure steps, and the performed ones that devices report: an SQLite file of the site.

Several processes of one machine share it. All methods block, and raise OSError where the file cannot be used.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

State = Literal["SCHEDULED", "IN PROGRESS", "COMPLETED", "DISCONTINUED"]
FINAL: tuple[State, ...] = ("COMPLETED", "DISCONTINUED")
MOST = 10_000  # steps that one question looks at

_TABLES = """
create table if not exists step (
    accession text not null, number text not null, day text not null, body text not null, state text not null,
    changed integer not null, primary key (accession, number)
) without rowid;
create index if not exists step_day on step (day);
create table if not exists performed (uid text primary key, state text not null, changed integer not null)
without rowid;
create table if not exists performs (
    uid text not null, accession text not null, number text not null, primary key (uid, accession, number)
) without rowid;
"""


class Step(NamedTuple):
    """`tree`: what a question is answered from, by keyword. `day`: YYYYMMDD, or '' where none is planned."""

    accession: str
    number: str
    day: str
    tree: dict[str, Any]


class Steps:
    """`now`: Unix seconds, wherever it is asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def replace(self, accessions: Sequence[str], steps: Sequence[Step], now: float) -> None:
        """The steps are all that these orders have; none takes the orders off the list.

        A step that is under way or done stays so, whatever a late order says.
        """
        with self._open() as store:
            held = {(row[0], row[1]): row[2] for row in self._of(store, accessions)}
            store.executemany("delete from step where accession = ?", [(one,) for one in accessions])
            store.executemany(
                "insert or replace into step values (?, ?, ?, ?, ?, ?)",
                [
                    (
                        one.accession,
                        one.number,
                        one.day,
                        json.dumps(one.tree, ensure_ascii=False),
                        held.get((one.accession, one.number), "SCHEDULED"),
                        int(now),
                    )
                    for one in steps
                ],
            )

    def cancel(self, accession: str, number: str = "") -> None:
        """Without a number, the order with all its steps."""
        with self._open() as store:
            store.execute(
                "delete from step where accession = ? and (? = '' or number = ?)", (accession, number, number)
            )

    def drop_before(self, day: str, moment: float) -> None:
        """Steps planned before that day, those without a day that are older, and what was performed before."""
        with self._open() as store:
            store.execute(
                "delete from step where (day <> '' and day < ?) or (day = '' and changed < ?)", (day, moment)
            )
            store.execute("delete from performed where changed < ?", (moment,))
            store.execute("delete from performs where uid not in (select uid from performed)")

    def planned(self, first: str = "", last: str = "99999999") -> list[dict[str, Any]]:
        """Those that are not done yet, by day; of days from `first` to `last`, both included."""
        with self._open() as store:
            rows = store.execute(
                "select body from step where state not in (?, ?) and day between ? and ?"
                " order by day, accession, number limit ?",
                (*FINAL, first, last, MOST),
            ).fetchall()
        return [json.loads(body) for (body,) in rows]

    def state_of(self, uid: str) -> str:
        """Of a performed step; '' where nobody has begun it."""
        with self._open() as store:
            row = store.execute("select state from performed where uid = ?", (uid,)).fetchone()
        return str(row[0]) if row else ""

    def begin(self, uid: str, state: str, steps: Sequence[tuple[str, str]], now: float) -> None:
        """`steps`: accession and number of each that it performs."""
        with self._open() as store:
            store.execute("insert or ignore into performed values (?, ?, ?)", (uid, state, int(now)))
            store.executemany(
                "insert or ignore into performs values (?, ?, ?)", [(uid, *step) for step in steps]
            )
            self._mark(store, uid, state, now)

    def go_on(self, uid: str, state: str, now: float) -> None:
        with self._open() as store:
            store.execute("update performed set state = ?, changed = ? where uid = ?", (state, int(now), uid))
            self._mark(store, uid, state, now)

    @staticmethod
    def _mark(store: sqlite3.Connection, uid: str, state: str, now: float) -> None:
        store.execute(
            "update step set state = ?, changed = ? where exists (select 1 from performs p where p.uid = ?"
            " and p.accession = step.accession and (p.number = step.number or p.number = ''))",
            (state, int(now), uid),
        )

    @staticmethod
    def _of(store: sqlite3.Connection, accessions: Sequence[str]) -> list[tuple[str, str, str]]:
        found: list[tuple[str, str, str]] = []
        for one in accessions:
            found += store.execute("select accession, number, state from step where accession = ?", (one,))
        return found

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A transaction. Raises OSError."""
        try:
            new = not self.path.exists()
            if new:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self.path.touch(mode=0o600)
            with contextlib.closing(sqlite3.connect(self.path, timeout=10)) as store:
                store.execute("pragma journal_mode = wal")
                store.executescript(_TABLES)
                with store:
                    yield store
        except sqlite3.Error as error:
            raise OSError(f"{self.path.name}: {error}") from None
