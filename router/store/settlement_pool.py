"""Settlements that are due, by the hundred: claimed, loaded and put back in few statements.

All of these work within the transaction that they are given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, and_, bindparam, case, or_, select, text, update

from config.crypto import KeyTrouble
from router.settlement.book import Settlement
from router.settlement.rows import Decision, Notice, Rows
from router.settlement.taking import Taken, Waits
from router.store import settlement_tables as tables
from router.store.settlement_rows import Key, attempt_of, word_of

s, a, w = tables.settlement.c, tables.attempt.c, tables.word.c

R = TypeVar("R", bound=Row[Any])

_FREE = or_(s.owner == "", s.until_ms <= bindparam("now_ms"))
# The index's own words, so that it is used.
_DUE = and_(text(tables.ACTIVE), s.due_ms <= bindparam("now_ms"), _FREE)
_NONE_OF = s.number.not_in(bindparam("without", expanding=True))
_SOME = select(s.number).where(_DUE, _NONE_OF).order_by(s.due_ms).limit(bindparam("most"))
# Who has it is looked for again when its lease is over.
_TAKE = (
    update(tables.settlement)
    .where(s.number.in_(_SOME), _DUE)  # once more: another process may have ended it since it was found
    .values(fence=s.fence + 1, owner=bindparam("by"), until_ms=bindparam("till"), due_ms=bindparam("till"))
    .returning(tables.settlement)
)
_BACK = (
    update(tables.settlement)
    .where(s.number == bindparam("of"), s.fence == bindparam("was"), s.owner == bindparam("by"))
    .values(
        owner="",
        until_ms=0,
        # Where it was told something since it was taken, it stays as it is, and due at once.
        state=case((s.due_ms == 0, s.state), else_=bindparam("now_is")),
        due_ms=case((s.due_ms == 0, 0), else_=bindparam("due")),
        changed_ms=bindparam("at_ms"),
    )
)
_FREED = (
    update(tables.settlement)
    .where(text(tables.ACTIVE), s.due_ms >= 0, s.owner == bindparam("dead"))
    .values(until_ms=0, due_ms=case((s.due_ms == 0, 0), else_=bindparam("due")))
)


def take(
    connection: Connection, owner: str, now_ms: int, until_ms: int, limit: int, without: Sequence[str]
) -> Sequence[Row[Any]]:
    """Their own rows, with the new fence."""
    said = {"by": owner, "now_ms": now_ms, "till": until_ms, "most": limit, "without": list(without)}
    return connection.execute(_TAKE, said).all()


def put_back(connection: Connection, owner: str, waits: Sequence[Waits], at_ms: int) -> None:
    """What another has by now is left alone."""
    said = [
        {
            "of": taken.settlement.number,
            "was": taken.fence,
            "by": owner,
            "now_is": state,
            "due": due_ms,
            "at_ms": at_ms,
        }
        for taken, state, due_ms in waits
    ]
    connection.execute(_BACK, said)


def free(connection: Connection, dead: str, now_ms: int) -> int:
    """Ends all leases of a process that is gone; how many there were."""
    return connection.execute(_FREED, {"dead": dead, "due": max(now_ms, 1)}).rowcount


def loaded(connection: Connection, key: Key, rows: Sequence[Row[Any]]) -> tuple[list[Taken], list[str]]:
    """All of each, and the numbers of those whose rows do not open."""
    numbers = [row.number for row in rows]
    asked = select(tables.attempt).where(a.settlement.in_(numbers)).order_by(a.settlement, a.number)
    attempts = _by_settlement(connection.execute(asked).all())
    said = select(tables.word).where(w.settlement.in_(numbers)).order_by(w.settlement, w.number)
    words = _by_settlement(connection.execute(said).all())
    made, shut = [], []
    for row in rows:
        try:
            settlement = opened(row, attempts.get(row.number, []), words.get(row.number, []), key)
        except KeyTrouble:
            shut.append(row.number)
        else:
            made.append(Taken(settlement, row.fence))
    return made, shut


def _by_settlement(rows: Sequence[R]) -> dict[str, list[R]]:
    made: dict[str, list[R]] = {}
    for row in rows:
        made.setdefault(row.settlement, []).append(row)
    return made


def opened(row: Row[Any], attempts: Sequence[Row[Any]], words: Sequence[Row[Any]], key: Key) -> Settlement:
    """Of its rows. Raises KeyTrouble."""
    facts = key.opened(row.facts, f"settlement {row.number}")
    said = [word_of(one, key) for one in words]
    rows = Rows(
        row.number,
        facts["request"],
        row.began_ms,
        tuple(attempt_of(one, key) for one in attempts),
        tuple(one for one in said if isinstance(one, Decision)),
        tuple(one for one in said if isinstance(one, Notice)),
    )
    return Settlement(
        row.number, row.name, row.digest, row.state, rows, row.due_ms, row.code, facts.get("text", "")
    )
