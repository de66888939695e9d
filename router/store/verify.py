"""Proof that a day's rows are those that were written: every mac, every number of every chain, every body and value.

First the chains are gathered, in any order the database likes; then each row is computed again from the row before it.
What is found is named by table and id. A row that is gone has no id any more: it is named by its neighbours, and by
what it has left behind (its body, its searchable values).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Table, func, inspect, select, tuple_

from config.crypto import KeyTrouble, Sealer
from router.store import tables
from router.store.chain import MAC, START, length_mac, row_mac, writer_name
from router.store.database import CATALOGUE, Reading
from router.store.days import Day, Days
from router.store.keep import BODIES_OVER, DAY_OVER
from router.store.rows import clean_value, open_answer, open_body, open_facts, open_parked, tag_of
from router.store.tables import CHAINED, label, named
from router.store.write import CHAIN_SEEN

_PAGE = 2_000  # rows read at once
_SLICE = 50_000  # messages whose searchable values are held at once: the index is read through for each
_TOLD = 1_000  # of the rows that are missing

m, x, b, k, n = tables.message.c, tables.message_index.c, tables.body.c, tables.day_key.c, tables.note.c
Progress = Callable[[int], None]
_Values = set[tuple[int, str]]  # tag and name


@dataclass(frozen=True, slots=True)
class Oddity:
    """What is wrong with a row: changed, missing, or strange (nobody of ours wrote it)."""

    day: str
    table: str
    id: str
    what: str

    def __str__(self) -> str:
        return f"{self.day} {self.table} {self.id}: {self.what}"


class _Links:
    """One writer's macs, by number."""

    def __init__(self, most: int) -> None:
        self.count: int | None = None  # where its length is known
        self.most = most  # what it is then not longer than
        self.macs = bytearray(MAC)  # what stands before number 1

    def put(self, seq: int, mac: bytes) -> bool:
        """False where such a number cannot be, or is there already."""
        if (
            not 0 < seq <= (self.most if self.count is None else self.count)
            or len(mac) != MAC
            or mac == START
        ):
            return False
        if len(self.macs) < (seq + 1) * MAC:
            self.macs.extend(bytes((seq + 1) * MAC - len(self.macs)))
        if self.at(seq) != START:
            return False
        self.macs[seq * MAC : (seq + 1) * MAC] = mac
        return True

    def at(self, seq: int) -> bytes:
        return bytes(self.macs[seq * MAC : (seq + 1) * MAC])

    def holes(self) -> Iterator[int]:
        length = len(self.macs) // MAC - 1 if self.count is None else self.count
        return (seq for seq in range(1, length + 1) if self.at(seq) in (START, b""))


class _Wrong(NamedTuple):
    """A row whose mac is not that of its content, and what that would be."""

    table: Table
    row: Row[Any]
    mac: bytes


class DayProof:
    """One day."""

    def __init__(self, reading: Reading, days: Days, day: Day, progress: Progress) -> None:
        self._reading = reading
        self._days = days
        self._day = day
        self._tell = progress
        self._most = 0  # rows that the day has
        self._links: dict[int, _Links] = defaultdict(lambda: _Links(self._most))
        self._noted: set[str] = set()  # writers that have a chain, as others noted
        self._beside: dict[
            tuple[int, int], str
        ] = {}  # a row's place -> what it is, next to one that is missing
        self._sealers: dict[str, Sealer | None] = {}
        self._strange: set[tuple[int, int, str]] = set()
        self._orphans: dict[str, str] = {}  # an id without a message -> the table that has it
        self._wrong: dict[tuple[int, int], _Wrong] = {}

    def oddities(self, over: set[str], begun: set[str]) -> Iterator[Oddity]:
        """`over`: "20260131 his-adt" of bodies that were dropped because their time was over.

        `begun`: days that have rows, as is written down.
        """
        rows = self._reading.rows(self._day.name)
        if rows is None or not inspect(rows).has_table(named(tables.message.name, self._day.name)):
            yield self._odd("rows", "", "missing: the whole day")
            return
        isolation = "" if self._reading.files else " ISOLATION LEVEL REPEATABLE READ, READ ONLY"
        rows.exec_driver_sql(f"BEGIN{isolation}")  # all tables as they are at one moment
        try:
            self._most = _count(rows)
            if not self._most and self._day.name in begun:
                yield self._odd("rows", "", "missing: every row of the day")
            measured = yield from self._lengths(rows)
            self._gather(rows)
            holes = [(writer, seq) for writer, links in self._links.items() for seq in links.holes()]
            self._beside = dict.fromkeys(
                ((w, seq + step) for w, seq in holes[:_TOLD] for step in (-1, 1)), "an end"
            )
            yield from self._messages(rows, over)
            for table in CHAINED[2:]:
                for row in _pages(rows, table):
                    yield from self._row(table, row)
                    if table is tables.parked:
                        yield from self._parked(row)
                    elif table is tables.note and row.what == CHAIN_SEEN:
                        self._noted.add(row.about)
            yield from self._changed()
            for name in sorted({*map(writer_name, self._links), *self._noted} - measured):
                yield self._odd("chain", name, "missing: its length, and what stood at its end or all of it")
            for writer, seq in holes[:_TOLD]:
                around = f"{self._beside[writer, seq - 1]} and {self._beside[writer, seq + 1]}"
                yield self._odd(
                    "chain", f"{writer_name(writer)}/{seq}", f"missing: a row written between {around}"
                )
            if len(holes) > _TOLD:
                yield self._odd("chain", "", f"missing: {len(holes) - _TOLD} rows more")
        finally:
            rows.exec_driver_sql("COMMIT")
        yield from self._missing()

    def _lengths(self, rows: Connection) -> Generator[Oddity, None, set[str]]:
        """Returns the writers whose chain has a row for its length."""
        measured = set()
        for writer, count, head, mac in rows.execute(select(*tables.chain.columns)):
            measured.add(writer_name(writer))
            if bytes(mac) == length_mac(self._day.key.mac, writer, count, bytes(head)):
                self._links[writer].count = count
            else:
                yield self._odd("chain", writer_name(writer), "changed")
        return measured

    def _gather(self, rows: Connection) -> None:
        for table in CHAINED:
            keys = tuple(table.primary_key.columns)
            for row in _pages(rows, table, *keys, table.c.writer, table.c.seq, table.c.mac):
                if not self._links[row.writer].put(row.seq, bytes(row.mac)):
                    self._strange.add((row.writer, row.seq, _name(table, row)))

    def _messages(self, rows: Connection, over: set[str]) -> Iterator[Oddity]:
        bodies = self._reading.bodies(self._day.name)
        for after, last in _slices(rows):
            values = _values(rows, after, last)
            answers = yield from self._answers(rows, after, last)
            for page in _batches(_pages(rows, tables.message, after=after, last=last)):
                upto = page[-1].id if page else last
                there = _bodies(bodies, after, upto)
                for row in page:
                    yield from self._row(tables.message, row)
                    yield from self._index(row, answers.get(row.id, set()), values.pop(row.id, set()))
                    yield from self._body(row, there.pop(row.id, None), over)
                self._orphans |= dict.fromkeys(there, "body")
                after = upto
            self._orphans = dict.fromkeys(values, "message_index") | self._orphans

    def _answers(
        self, rows: Connection, after: str, last: str
    ) -> Generator[Oddity, None, dict[str, _Values | None]]:
        """The tries of these messages. Returns what answers say each is found by; None where one does not open."""
        found: dict[str, _Values | None] = {}
        for row in _pages(rows, tables.attempt, after=after, last=last):
            yield from self._row(tables.attempt, row)
            try:
                found_by = open_answer(self._day.key, row.message_id, row.sealed).found_by
            except KeyTrouble:
                found[row.message_id] = None
                continue
            known = found.setdefault(row.message_id, set()) if found_by else None
            if known is not None:
                known |= self._tags(found_by)
        return found

    def _row(self, table: Table, row: Row[Any]) -> Iterator[Oddity]:
        self._tell(1)
        links, name = self._links[row.writer], _name(table, row)
        place = (row.writer, row.seq)
        if place in self._beside:
            self._beside[place] = f"{label(table)} {name}"
        if (*place, name) in self._strange:
            yield self._odd(
                label(table), name, "strange: its number is another row's, or beyond the chain's end"
            )
            return
        before = links.at(row.seq - 1)
        mac = row_mac(self._day.key.mac, before, label(table), row[:-1])
        if row.mac != mac and (
            row.seq == 1 or before != START
        ):  # what follows a row that is gone cannot be judged
            if len(self._wrong) < _TOLD:
                self._wrong[place] = _Wrong(table, row, mac)
            else:
                yield self._odd(label(table), name, "changed")

    def _changed(self) -> Iterator[Oddity]:
        """Rows whose mac is wrong; but not the one after a row of which only the mac was changed."""
        for (writer, seq), wrong in self._wrong.items():
            before = self._wrong.get((writer, seq - 1))
            if before is not None:
                mac = row_mac(self._day.key.mac, before.mac, label(wrong.table), wrong.row[:-1])
                if mac == wrong.row.mac:
                    continue
            yield self._odd(label(wrong.table), _name(wrong.table, wrong.row), "changed")

    def _index(self, row: Row[Any], answers: _Values | None, there: _Values) -> Iterator[Oddity]:
        try:
            found_by = open_facts(self._day.key, row.id, row.sealed).found_by
        except KeyTrouble:
            return  # the row's own mac tells
        wanted = self._tags(found_by) | (answers or set())
        for _, name in wanted - there:
            yield self._odd("message_index", f"{row.id} {name}", "missing")
        for _, name in there - wanted if answers is not None else ():
            yield self._odd("message_index", f"{row.id} {name}", "strange: the message has no such value")

    def _tags(self, found_by: Mapping[str, str]) -> _Values:
        """As the index has them."""
        return {(self._day.key.tag(clean_value(value)), name) for name, value in found_by.items()}

    def _body(self, row: Row[Any], sealed: bytes | None, over: set[str]) -> Iterator[Oddity]:
        if row.channel not in self._sealers:
            catalogue = self._reading.at(CATALOGUE)
            self._sealers[row.channel] = self._days.bodies(catalogue, self._day.name, row.channel)
        sealer = self._sealers[row.channel]
        if sealer is None and f"{self._day.name} {row.channel}" in over:
            return
        if sealed is None:
            yield self._odd("body", row.id, "missing")
        elif sealer is None:
            yield self._odd(
                "body", row.id, "its key is missing, and nobody wrote down that its time was over"
            )
        elif tag_of(sealed) != row.body_tag:
            yield self._odd("body", row.id, "changed")
        else:
            try:
                open_body(sealer, row.id, sealed)
            except KeyTrouble:
                yield self._odd("body", row.id, "changed")

    def _missing(self) -> Iterator[Oddity]:
        """Messages of which something is left; not those that came since this look at the rows began."""
        rows = self._reading.rows(self._day.name)
        for some in _batches(iter(self._orphans)):
            came = (
                set(rows.execute(select(m.id).where(m.id.in_(some))).scalars()) if rows is not None else set()
            )
            for id in some:
                if id not in came:
                    yield self._odd("message", id, f"missing: its {self._orphans[id]} is there")

    def _parked(self, row: Row[Any]) -> Iterator[Oddity]:
        try:
            open_parked(self._day.key, row.id, row.sealed)
        except KeyTrouble:
            yield self._odd("parked", row.id, "changed")

    def _odd(self, table: str, id: str, what: str) -> Oddity:
        return Oddity(self._day.name, table, id, what)


def verify(
    reading: Reading, days: Days, only: str = "", progress: Progress = lambda rows: None
) -> Iterator[Oddity]:
    """Every day, oldest first, or one. Raises StoreError where a key does not open."""
    listed = days.listed(reading.at(CATALOGUE))
    notes = [note for day in listed for note in _notes(reading, day)]
    bodies_over = {about for what, about in notes if what == BODIES_OVER}
    begun = {day for what, about in notes if what == "day begun" for day in about.split()}
    for day in reversed(listed):
        if only in ("", day.name):
            yield from DayProof(reading, days, day, progress).oddities(bodies_over, begun - {listed[0].name})
    wanted = {only} if only else begun
    gone = wanted - {day.name for day in listed} - {about for what, about in notes if what == DAY_OVER}
    for name in sorted(gone):
        noted = "missing: the whole day, and nobody wrote down that its time was over"
        yield Oddity(name, "rows", "", noted if name in begun else "no such day is known")


def _notes(reading: Reading, day: Day) -> list[tuple[str, str]]:
    """What was done with the journal on that day. Whether that is true, the proof of that day says."""
    rows = reading.rows(day.name)
    if rows is None or not inspect(rows).has_table(named(tables.note.name, day.name)):
        return []
    return [(what, about) for what, about in rows.execute(select(n.what, n.about))]


def _count(rows: Connection) -> int:
    """Of all rows that have a place in a chain."""
    counts = [rows.execute(select(func.count()).select_from(table)).scalar() for table in CHAINED]
    return sum(count or 0 for count in counts)


def _name(table: Table, row: Row[Any]) -> str:
    return " ".join(str(row._mapping[column.name]) for column in table.primary_key.columns)


def _pages(
    rows: Connection, table: Table, *columns: Any, after: str = "", last: str = ""
) -> Iterator[Row[Any]]:
    """All rows by primary key, from after one id to another, a page at a time."""
    keys = tuple(table.primary_key.columns)
    asked = select(*(columns or table.columns)).order_by(*keys).limit(_PAGE)
    if last:
        asked = asked.where(keys[0] <= last)
    at: tuple[Any, ...] = (after,) if after else ()
    while True:
        beyond = tuple_(*keys[: len(at)]) > tuple_(*at) if at else None
        page = rows.execute(asked.where(beyond) if beyond is not None else asked).all()
        yield from page
        if len(page) < _PAGE:
            return
        at = tuple(page[-1]._mapping[key.name] for key in keys)


def _batches(rows: Iterator[Any]) -> Iterator[list[Any]]:
    while page := list(islice(rows, _PAGE)):
        yield page


def _slices(rows: Connection) -> Iterator[tuple[str, str]]:
    """From after one id to another, and at last to beyond every id."""
    after = ""
    while True:
        asked = select(m.id).where(m.id > after).order_by(m.id).offset(_SLICE - 1).limit(1)
        last = rows.execute(asked).scalar() or "g"  # after every hexadecimal digit
        yield after, last
        if last == "g":
            return
        after = last


def _values(rows: Connection, after: str, last: str) -> dict[str, _Values]:
    """The searchable values of these messages, as the index has them."""
    found: dict[str, _Values] = defaultdict(set)
    asked = select(x.message_id, x.tag, x.name).where(x.message_id > after, x.message_id <= last)
    for id, tag, name in rows.execute(asked):
        found[id].add((tag, name))
    return found


def _bodies(bodies: Connection | None, after: str, last: str) -> dict[str, bytes]:
    if bodies is None:
        return {}
    asked = select(b.id, b.sealed).where(b.id > after, b.id <= last)
    return {id: bytes(sealed) for id, sealed in bodies.execute(asked)}
