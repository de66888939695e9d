"""What must hold of settlements and did not, on a database: found, and closed once it holds again; never deleted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, and_, func, insert, or_, select, text, update

from router.settlement.invariants import Broken, Held
from router.settlement.posting import Entry, Journal
from router.store import settlement_suspense as suspense
from router.store import settlement_tables as tables
from router.store.durable import GroupedDatabase
from router.store.settlement_pool import loaded
from router.store.settlement_rows import Key

STUCK = "stuck"  # as a rule: no invariant, but an operator should look
_MOST = 1_000

s, j, e, f = tables.settlement.c, tables.journal.c, tables.entry.c, tables.finding.c


class Found(Struct, frozen=True):
    """`book` is a settlement's number, or an account. Times are Unix milliseconds; `closed_ms` is 0 while it is so."""

    book: str
    rule: str
    found_ms: int
    closed_ms: int
    text: str


class Findings:
    """Of the settlements' database. All methods raise Unreachable."""

    def __init__(self, database: GroupedDatabase[Key], now_ms: Callable[[], int]) -> None:
        self._database = database
        self._now_ms = now_ms

    async def changed(self, after: tuple[int, str], before_ms: int, limit: int) -> Sequence[tuple[int, str]]:
        """By the time of their last change and their number, behind `after` and earlier than `before_ms`."""
        at_ms, number = after

        def look(connection: Connection, key: Key) -> list[tuple[int, str]]:
            later = or_(s.changed_ms > at_ms, and_(s.changed_ms == at_ms, s.number > number))
            asked = select(s.changed_ms, s.number).where(
                s.changed_ms >= at_ms, s.changed_ms < before_ms, later
            )
            found = connection.execute(asked.order_by(s.changed_ms, s.number).limit(limit))
            return [(row.changed_ms, row.number) for row in found]

        return await self._database.read(look)

    async def numbers(self, after: str, limit: int) -> Sequence[str]:
        """All settlements by their numbers, behind `after`."""

        def look(connection: Connection, key: Key) -> list[str]:
            asked = select(s.number).where(s.number > after).order_by(s.number).limit(limit)
            return list(connection.execute(asked).scalars())

        return await self._database.read(look)

    async def overdue(self, before_ms: int, limit: int) -> Sequence[str]:
        """Active ones whose time came before then, and that nobody took up."""

        def look(connection: Connection, key: Key) -> list[str]:
            asked = select(s.number).where(text(tables.ACTIVE), s.due_ms < before_ms)
            return list(connection.execute(asked.order_by(s.due_ms).limit(limit)).scalars())

        return await self._database.read(look)

    async def held(self, numbers: Sequence[str]) -> Sequence[Held]:
        """All that the database has of each; without those whose rows do not open."""
        return await self._database.read(lambda connection, key: _held(connection, key, numbers), whole=True)

    async def floors(self, kinds: Collection[str], numbers: Sequence[str]) -> Mapping[str, int]:
        """Of the accounts of these kinds that these settlements post to: the sums of their entries."""

        def look(connection: Connection, key: Key) -> dict[str, int]:
            mine = select(e.account).distinct().join(tables.journal, j.id == e.journal)
            kind = or_(*(e.account.startswith(f"{name}:", autoescape=True) for name in kinds))
            names = connection.execute(mine.where(j.settlement.in_(numbers), kind)).scalars().all()
            sums = select(e.account, func.sum(e.fen)).where(e.account.in_(names)).group_by(e.account)
            return {account: int(fen) for account, fen in connection.execute(sums)}

        return await self._database.read(look) if kinds and numbers else {}

    async def record(self, looked: Collection[str], found: Mapping[str, Sequence[Broken]]) -> int:
        """What was found of the books that were looked at; what holds again of them is closed. How many are new."""
        at_ms = self._now_ms()
        before = await self._database.read(lambda connection, key: _there(connection, looked))
        if not any(found.values()) and not any(before.values()):
            return 0

        def change(connection: Connection, key: Key) -> int:
            there = _there(connection, looked)
            new = 0
            for book in looked:
                texts = _by_rule(found.get(book, ()))
                for rule, said in texts.items():
                    new += _say(connection, key, there, book, rule, said, at_ms)
                over = [r for (b, r), open in there.items() if b == book and open and r not in texts]
                _close(connection, book, [rule for rule in over if rule != STUCK], at_ms)
            return new

        return await self._database.write(change)

    async def stuck(self, why: Mapping[str, str]) -> None:
        """Those that are stuck now, each with why; all others are not any more."""
        at_ms = self._now_ms()

        def change(connection: Connection, key: Key) -> None:
            open = select(f.book).where(f.rule == STUCK, f.closed_ms == 0)
            before = set(connection.execute(open).scalars())
            there = _there(connection, why)
            for book, said in why.items():
                _say(connection, key, there, book, STUCK, said, at_ms)
            for book in before - set(why):
                _close(connection, book, [STUCK], at_ms)

        await self._database.write(change)

    async def list(self, closed: bool = False, limit: int = 100) -> Sequence[Found]:
        """Newest first."""

        def look(connection: Connection, key: Key) -> list[Found]:
            asked = select(tables.finding) if closed else select(tables.finding).where(f.closed_ms == 0)
            asked = asked.order_by(f.found_ms.desc(), f.book, f.rule).limit(min(max(limit, 1), _MOST))
            return [
                Found(
                    row.book,
                    row.rule,
                    row.found_ms,
                    row.closed_ms,
                    key.opened(row.said, _place(row.book, row.rule)),
                )
                for row in connection.execute(asked)
            ]

        return await self._database.read(look)

    async def counts(self) -> Mapping[str, int]:
        """How many are open, by rule."""

        def look(connection: Connection, key: Key) -> dict[str, int]:
            asked = select(f.rule, func.count().label("open")).where(f.closed_ms == 0).group_by(f.rule)
            return {row.rule: row.open for row in connection.execute(asked)}

        return await self._database.read(look)


def _held(connection: Connection, key: Key, numbers: Sequence[str]) -> list[Held]:
    rows = connection.execute(select(tables.settlement).where(s.number.in_(numbers))).all()
    taken, _ = loaded(connection, key, rows)
    owners = {row.number: (row.owner, row.until_ms) for row in rows}
    locks: dict[str, list[str]] = {}
    asked = select(tables.lock.c.number, tables.lock.c.name).where(tables.lock.c.number.in_(numbers))
    for number, name in connection.execute(asked.order_by(tables.lock.c.name)):
        locks.setdefault(number, []).append(name)
    journals = _journals(connection, numbers)
    items = suspense.open_of(connection, key, numbers)
    return [
        Held(
            one.settlement,
            tuple(journals.get(one.settlement.number, ())),
            tuple(items.get(one.settlement.number, ())),
            tuple(locks.get(one.settlement.number, ())),
            *owners[one.settlement.number],
        )
        for one in taken
    ]


def _journals(connection: Connection, numbers: Sequence[str]) -> dict[str, list[Journal]]:
    """By settlement, in their order."""
    asked = select(j.settlement, j.id, e.account, e.fen).join(tables.entry, e.journal == j.id)
    asked = asked.where(j.settlement.in_(numbers)).order_by(j.settlement, j.number, e.number)
    entries: dict[tuple[str, str], list[Entry]] = {}
    for row in connection.execute(asked):
        entries.setdefault((row.settlement, row.id), []).append(Entry(row.account, row.fen))
    made: dict[str, list[Journal]] = {}
    for (settlement, id), lines in entries.items():
        made.setdefault(settlement, []).append(Journal(id, settlement, tuple(lines)))
    return made


def _there(connection: Connection, books: Iterable[str]) -> dict[tuple[str, str], bool]:
    """By book and rule: whether it is open."""
    asked = select(f.book, f.rule, f.closed_ms).where(f.book.in_(list(books)))
    return {(row.book, row.rule): not row.closed_ms for row in connection.execute(asked)}


def _by_rule(found: Sequence[Broken]) -> dict[str, str]:
    texts: dict[str, list[str]] = {}
    for one in found:
        texts.setdefault(one.rule, []).append(one.text)
    return {rule: "; ".join(said)[:2000] for rule, said in texts.items()}


def _say(
    connection: Connection,
    key: Key,
    there: Mapping[tuple[str, str], bool],
    book: str,
    rule: str,
    said: str,
    at_ms: int,
) -> int:
    """1 where it is new, or so again."""
    values: dict[str, Any] = {"found_ms": at_ms, "closed_ms": 0, "said": key.sealed(said, _place(book, rule))}
    if (book, rule) not in there:
        connection.execute(insert(tables.finding).values(book=book, rule=rule, **values))
        return 1
    if there[book, rule]:
        return 0
    connection.execute(update(tables.finding).where(f.book == book, f.rule == rule).values(values))
    return 1


def _close(connection: Connection, book: str, rules: Sequence[str], at_ms: int) -> None:
    if rules:
        over = update(tables.finding).where(f.book == book, f.rule.in_(rules))
        connection.execute(over.values(closed_ms=at_ms))


def _place(book: str, rule: str) -> str:
    return f"finding {book} {rule}"
