"""The ledger's rows: journals are only ever added, each chained to the one before of its settlement.

All of these work within the transaction that they are given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, bindparam, func, insert, select, update

from channels.settling.accounts import Account
from router.settlement.ledger import Deposit, Floored, Movement, below, deposit_of, floors, moves
from router.settlement.posting import Journal
from router.store import settlement_tables as tables
from router.store.settlement_rows import Key

j, e, h = tables.journal.c, tables.entry.c, tables.head.c

# Statements made once: to make one costs more than to run it.
_THERE = select(j.id).where(j.settlement == bindparam("of"))
_LAST = (
    select(h.length, j.mac)
    .outerjoin(tables.journal, and_(j.settlement == h.settlement, j.number == h.length))
    .where(h.settlement == bindparam("of"))
)
_JOURNALS, _ENTRIES = insert(tables.journal), insert(tables.entry)
_GROWN = (
    update(tables.head)
    .where(h.settlement == bindparam("of"))
    .values(length=bindparam("now"), mac=bindparam("proof"))
)


def begin(connection: Connection, insert_one: Callable[[Any], Any], key: Key, settlement: str) -> None:
    """Its book, without a journal, where there is none."""
    row = {"settlement": settlement, "length": 0, "mac": key.head(settlement, 0, b"")}
    connection.execute(insert_one(tables.head).values(row).on_conflict_do_nothing())


def unwritten(connection: Connection, settlement: str, journals: Sequence[Journal]) -> tuple[Journal, ...]:
    """Those that are not there yet."""
    if not journals:
        return ()
    there = set(connection.execute(_THERE, {"of": settlement}).scalars())
    return tuple(one for one in journals if one.id not in there)


def guard(
    connection: Connection,
    insert_one: Callable[[Any], Any],
    new: Sequence[Journal],
    own: Mapping[str, Account],
) -> None:
    """Raises Floored, before anything else is written, where these would bring an account below zero.

    Who posts to such an account holds its row to the end of the transaction: of two at once, the second sees what the
    first has left.
    """
    names = floors(new, own)
    if not names:
        return
    for name in names:
        connection.execute(insert_one(tables.account).values(name=name).on_conflict_do_nothing())
    held = select(tables.account.c.name).where(tables.account.c.name.in_(names)).order_by("name")
    connection.execute(held.with_for_update()).all()
    if broken := below(sums(connection, names), new, own):
        raise Floored(broken)


def sums(connection: Connection, accounts: Sequence[str]) -> dict[str, int]:
    """What the entries of each of them come to, in fen."""
    asked = select(e.account, func.sum(e.fen)).where(e.account.in_(accounts)).group_by(e.account)
    return dict.fromkeys(accounts, 0) | {name: int(fen) for name, fen in connection.execute(asked)}


def post(connection: Connection, key: Key, settlement: str, new: Sequence[Journal], at_ms: int) -> None:
    """Adds them to the chain of a settlement that has begun one."""
    if not new:
        return
    number, mac = connection.execute(_LAST, {"of": settlement}).one()
    before = bytes(mac or b"")
    rows, entries = [], []
    for one in new:
        number, before = number + 1, key.mac(before, one.id, at_ms, one.entries)
        rows.append({"id": one.id, "settlement": settlement, "number": number, "at_ms": at_ms, "mac": before})
        entries += [
            {"journal": one.id, "number": n, "account": line.account, "fen": line.fen}
            for n, line in enumerate(one.entries)
        ]
    connection.execute(_JOURNALS, rows)
    connection.execute(_ENTRIES, entries)
    proof = key.head(settlement, number, before)
    connection.execute(_GROWN, {"of": settlement, "now": number, "proof": proof})


def deposit(connection: Connection, admission: str, since_ms: int, until_ms: int) -> Deposit:
    account = f"deposit:{admission}"
    asked = select(j.id, j.settlement, j.at_ms, e.fen).join(tables.journal, j.id == e.journal)
    asked = asked.where(e.account == account).order_by(j.at_ms, j.id, e.number)
    found = connection.execute(asked.where(j.at_ms < until_ms) if until_ms else asked).all()
    ids = [row.id for row in found]
    others: dict[str, list[str]] = {}
    for id, name in connection.execute(
        select(e.journal, e.account).where(e.journal.in_(ids), e.account != account)
    ):
        others.setdefault(id, []).append(name)
    movements = []
    for row in found:
        what, fen = moves(row.id, account, row.fen, others.get(row.id, ()))
        movements.append(Movement(row.id, row.settlement, row.at_ms, what, fen))
    return deposit_of(admission, movements, since_ms)
