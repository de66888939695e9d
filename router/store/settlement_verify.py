"""Proof that the ledger's journals are those that were written, none is missing and none stands elsewhere.

It goes through the settlements in the order of their numbers, some at a time, and holds no more of them than that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from msgspec import Struct
from sqlalchemy import Connection, Row, select

from router.settlement.posting import Entry
from router.store import settlement_tables as tables
from router.store.settlement_rows import Key

_MOST_FOUND = 1_000  # of one page

s, j, e, h = tables.settlement.c, tables.journal.c, tables.entry.c, tables.head.c


class Wrong(Struct, frozen=True):
    """What is wrong with a settlement's book. `journal` is '' where the book as a whole is meant."""

    settlement: str
    journal: str
    what: Literal["changed", "missing", "reordered", "unbalanced", "strange"]
    text: str

    def __str__(self) -> str:
        return f"{self.journal or self.settlement}: {self.what}: {self.text}"


class Proof(Struct, frozen=True):
    """Of some books. `after` is where the next page begins, '' after the last."""

    found: tuple[Wrong, ...]
    settlements: int
    journals: int
    after: str


class _Line(Struct, frozen=True):
    """A journal as it stands in the table."""

    id: str
    number: int
    at_ms: int
    mac: bytes
    entries: tuple[Entry, ...]


def page(connection: Connection, key: Key, after: str, most: int) -> Proof:
    """The next `most` settlements behind the one called `after`."""
    heads = connection.execute(
        select(tables.head).where(h.settlement > after).order_by(h.settlement).limit(most)
    )
    rows = heads.all()
    last = rows[-1].settlement if len(rows) == most else None
    books = _lines(connection, after, last)
    found: list[Wrong] = []
    journals = 0
    for row in rows:
        lines = books.pop(row.settlement, [])
        journals += len(lines)
        found += _proved(key, row, lines)
    for settlement, lines in books.items():
        found += [Wrong(settlement, line.id, "strange", "nobody began its book 账簿不存在") for line in lines]
    found += _without_book(connection, after, last)
    if last is None:
        found += _without_journal(connection)
    return Proof(tuple(found[:_MOST_FOUND]), len(rows), journals, last or "")


def _lines(connection: Connection, after: str, last: str | None) -> dict[str, list[_Line]]:
    """By settlement, in the order of their numbers."""
    here = [j.settlement > after] + ([j.settlement <= last] if last is not None else [])
    asked = select(e.journal, e.account, e.fen).join(tables.journal, j.id == e.journal).where(*here)
    entries: dict[str, list[Entry]] = {}
    for journal, account, fen in connection.execute(asked.order_by(e.journal, e.number)):
        entries.setdefault(journal, []).append(Entry(account, fen))
    books: dict[str, list[_Line]] = {}
    for row in connection.execute(select(tables.journal).where(*here).order_by(j.settlement, j.number)):
        line = _Line(row.id, row.number, row.at_ms, bytes(row.mac), tuple(entries.get(row.id, ())))
        books.setdefault(row.settlement, []).append(line)
    return books


def _proved(key: Key, head: Row[Any], lines: Sequence[_Line]) -> Iterator[Wrong]:
    of, macs, before, number = head.settlement, {b"", *(line.mac for line in lines)}, b"", 0
    for line in lines:
        if line.number != number + 1:
            gap = f"{number + 1} to {line.number - 1}" if line.number > number + 2 else str(number + 1)
            yield Wrong(of, "", "missing", f"journal {gap} of this settlement 凭证缺失")
        elif not _follows(key, before, line):
            elsewhere = any(_follows(key, mac, line) for mac in macs)
            text = (
                "it stood elsewhere in its book 凭证顺序改变"
                if elsewhere
                else "it is not what was written 凭证被改动"
            )
            yield Wrong(of, line.id, "reordered" if elsewhere else "changed", text)
        if sum(entry.fen for entry in line.entries):
            yield Wrong(of, line.id, "unbalanced", "debit and credit differ 借贷不平")
        number, before = line.number, line.mac
    if key.head(of, head.length, before) == bytes(head.mac):
        return
    if head.length > number:
        yield Wrong(of, "", "missing", f"journal {number + 1} to {head.length} of this settlement 凭证缺失")
    else:
        yield Wrong(of, "", "changed", "how many journals it has is not what was written 凭证数被改动")


def _follows(key: Key, before: bytes, line: _Line) -> bool:
    return key.mac(before, line.id, line.at_ms, line.entries) == line.mac


def _without_book(connection: Connection, after: str, last: str | None) -> Iterator[Wrong]:
    here = [s.number > after] + ([s.number <= last] if last is not None else [])
    asked = (
        select(s.number).outerjoin(tables.head, h.settlement == s.number).where(h.settlement.is_(None), *here)
    )
    for number in connection.execute(asked.limit(_MOST_FOUND)).scalars():
        yield Wrong(number, "", "missing", "its book 账簿缺失")


def _without_journal(connection: Connection) -> Iterator[Wrong]:
    asked = select(e.journal).distinct().outerjoin(tables.journal, j.id == e.journal).where(j.id.is_(None))
    for journal in connection.execute(asked.limit(_MOST_FOUND)).scalars():
        yield Wrong("", journal, "strange", "entries without a journal 分录无凭证")
