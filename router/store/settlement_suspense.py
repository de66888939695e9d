"""Suspense items on a database: opened and closed, never deleted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, case, func, insert, literal, select, text, update

from config.errors import Refused
from router.settlement.book import Change
from router.settlement.posting import Journal
from router.settlement.rows import ENDED, Notice, State
from router.settlement.suspense import AFTER_END, Aged, Item, NoItem, closing, followed, held, own_accounts
from router.store import settlement_ledger as ledger
from router.store import settlement_tables as tables
from router.store.durable import GroupedDatabase
from router.store.settlement_rows import Key

_HOUR_MS = 3_600_000
_AGES = (("<1h", _HOUR_MS), ("<1d", 24 * _HOUR_MS), ("<7d", 168 * _HOUR_MS))
_OLDER = ">=7d"
_MOST = 1_000

i, s = tables.item.c, tables.settlement.c


class Suspense:
    """Of the settlements' database. All methods raise Unreachable."""

    def __init__(self, database: GroupedDatabase[Key], now_ms: Callable[[], int]) -> None:
        self._database = database
        self._now_ms = now_ms

    async def open(
        self,
        book: str,
        account: str,
        fen: int,
        cls: str,
        text: str,
        party: str = "",
        journals: Sequence[Journal] = (),
    ) -> Item:
        """An item for a settlement, or for an order that none knows (`order:wechat/123`); one that is open already for
        the same book, account and class is that one; so is one that is closed, where all of `journals` were posted
        before: its money is not there a second time. `journals` (their `settlement` is `book`) are posted with it.

        Raises Floored.
        """
        if any(one.settlement != book for one in journals):
            raise Refused("JL-T041", f"{book}: a journal of another book 凭证不属于该账簿")
        at_ms = self._now_ms()

        def change(connection: Connection, key: Key) -> Item:
            new = ledger.unwritten(connection, book, journals)
            ledger.guard(connection, self._database.insert, new, {})
            ledger.begin(connection, self._database.insert, key, book)
            held = select(tables.head.c.settlement).where(tables.head.c.settlement == book)
            connection.execute(
                held.with_for_update()
            ).all()  # of two that open it at once, the second finds it
            new = ledger.unwritten(connection, book, new)
            ledger.post(connection, key, book, new, at_ms)
            asked = select(tables.item).where(i.book == book, i.account == account, i["class"] == cls)
            if new or not journals:
                asked = asked.where(i.closed_ms == 0)
            found = connection.execute(
                asked.order_by(i.closed_ms, i.id)
            ).all()  # one that is open before others
            there = [_item(row, key) for row in found]
            return there[0] if there else _add(connection, key, book, account, fen, cls, party, text, at_ms)

        return await self._database.write(change)

    async def close(self, id: str, by: str, journals: Sequence[Journal] = (), to: str = "") -> Item:
        """By what it is explained; with `to`, its money goes to that account. Raises NoItem where there is none that is
        open, or it is that of a settlement that has no end yet, and Floored."""
        at_ms = self._now_ms()

        def change(connection: Connection, key: Key) -> Item:
            row = connection.execute(select(tables.item).where(i.id == id).with_for_update()).one_or_none()
            if row is None or row.closed_ms:
                raise NoItem("JL-T041", f"no open item has the id {id} 没有这笔挂账")
            state = connection.execute(select(s.state).where(s.number == row.book)).scalar()
            if state is not None and state not in ENDED:
                raise NoItem("JL-T041", f"{row.book} is {state}: its end closes it 结算未结束")
            mine = [closing(_item(row, key), to)] if to and row.fen else []
            new = ledger.unwritten(connection, row.book, [*journals, *mine])
            ledger.guard(connection, self._database.insert, new, {})
            ledger.post(connection, key, row.book, new, at_ms)
            _close(connection, id, by, at_ms)
            return _item(connection.execute(select(tables.item).where(i.id == id)).one(), key)

        return await self._database.write(change)

    async def items(
        self,
        party: str = "",
        cls: str = "",
        book: str = "",
        least_fen: int = 0,
        by: str = "age",
        closed: bool = False,
        limit: int = 100,
    ) -> Sequence[Item]:
        """Oldest first, or (`by` amount) largest first; those that are closed too where `closed`."""
        order = func.abs(i.fen).desc() if by == "amount" else i.opened_ms

        def look(connection: Connection, key: Key) -> list[Item]:
            asked = select(tables.item) if closed else select(tables.item).where(i.closed_ms == 0)
            for column, wanted in ((i.party, party), (i["class"], cls), (i.book, book)):
                asked = asked.where(column == wanted) if wanted else asked
            asked = asked.where(func.abs(i.fen) >= least_fen) if least_fen else asked
            asked = asked.order_by(order, i.id).limit(min(max(limit, 1), _MOST))
            return [_item(row, key) for row in connection.execute(asked)]

        return await self._database.read(look)

    async def aged(self) -> Sequence[Aged]:
        """What is open, by party and age."""
        now_ms = self._now_ms()
        young = [(i.opened_ms > now_ms - most_ms, literal(name)) for name, most_ms in _AGES]
        age = case(*young, else_=literal(_OLDER)).label("age")
        label = text("age")  # not the case itself: its values would be other ones in GROUP BY

        def look(connection: Connection, key: Key) -> list[Aged]:
            asked = select(i.party, age, func.count().label("items"), func.sum(i.fen).label("fen"))
            found = connection.execute(
                asked.where(i.closed_ms == 0).group_by(i.party, label).order_by(i.party)
            )
            return [Aged(row.party, row.age, row.items, int(row.fen)) for row in found]

        return await self._database.read(look)


def follow(connection: Connection, key: Key, number: str, change: Change, at_ms: int) -> None:
    """What a settlement's new state opens and closes."""
    if change.state is None or not change.release:
        return
    accounts = own_accounts(number)
    there = [one for one in open_items(connection, key, number) if one.account in accounts]
    account, fen = held(number, ledger.sums(connection, accounts), change.state, change.own)
    closed, cls = followed(there, change.state, change.code, account, fen)
    for id, by in closed:
        _close(connection, id, by, at_ms)
    if cls is not None:
        _add(connection, key, number, account, fen, cls, change.party, change.text, at_ms)


def heard(connection: Connection, key: Key, number: str, notice: Notice, state: State) -> None:
    """A party says that something was done, and all was undone before: of money that came, nobody knows how much."""
    if state not in ("COMPENSATED", "REJECTED") or notice.outcome != "OK":
        return
    account = f"transit:{number}"
    if not any(one.cls == AFTER_END for one in open_items(connection, key, number)):
        text = f"{notice.place.step}: done, said after the end 结束后收到通知"
        _add(connection, key, number, account, 0, AFTER_END, "", text, notice.at_ms)


def open_items(connection: Connection, key: Key, book: str) -> list[Item]:
    asked = select(tables.item).where(i.book == book, i.closed_ms == 0).order_by(i.id)
    return [_item(row, key) for row in connection.execute(asked)]


def open_of(connection: Connection, key: Key, books: Sequence[str]) -> dict[str, list[Item]]:
    """By book."""
    made: dict[str, list[Item]] = {}
    asked = select(tables.item).where(i.book.in_(books), i.closed_ms == 0).order_by(i.id)
    for row in connection.execute(asked):
        made.setdefault(row.book, []).append(_item(row, key))
    return made


def _add(
    connection: Connection,
    key: Key,
    book: str,
    account: str,
    fen: int,
    cls: str,
    party: str,
    text: str,
    at_ms: int,
) -> Item:
    count = connection.execute(select(func.count()).where(i.book == book)).scalar_one()
    id = f"{book}/{count + 1}"
    row = {"id": id, "book": book, "account": account, "fen": fen, "class": cls, "party": party}
    row |= {"opened_ms": at_ms, "closed_ms": 0, "closed_by": "", "said": key.sealed(text, f"item {id}")}
    connection.execute(insert(tables.item).values(row))
    return Item(id, book, account, fen, cls, party, at_ms, text=text)


def _close(connection: Connection, id: str, by: str, at_ms: int) -> None:
    connection.execute(update(tables.item).where(i.id == id).values(closed_ms=at_ms, closed_by=by))


def _item(row: Row[Any], key: Key) -> Item:
    text = key.opened(row.said, f"item {row.id}")
    facts = row._mapping
    return Item(
        row.id,
        row.book,
        row.account,
        row.fen,
        facts["class"],
        row.party,
        row.opened_ms,
        row.closed_ms,
        row.closed_by,
        text,
    )
