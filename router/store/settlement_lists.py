"""Settlements in lists: by state, by how long they take, and those that wait for an outcome."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, and_, or_, select

from router.settlement.rows import ENDED
from router.store import settlement_tables as tables

s, a = tables.settlement.c, tables.attempt.c
HEAD = (s.number, s.name, s.state, s.code, s.began_ms, s.changed_ms)
_MOST = 1000  # settlements of a page
_LATELY = 100  # that completed


class Head(NamedTuple):
    """A settlement's own row, without what is sealed."""

    number: str
    name: str
    state: str
    code: str
    began_ms: int
    changed_ms: int


class Line(NamedTuple):
    """An entry of the ledger."""

    journal: str
    account: str
    fen: int
    at_ms: int


def search(
    connection: Connection, state: str, name: str, since_ms: int, limit: int, after: str, oldest: bool
) -> list[Head]:
    """See SettlementBook."""
    asked = select(*HEAD)
    if state:
        asked = asked.where(s.state.not_in(ENDED) if state == "open" else s.state == state)
    asked = asked.where(s.name == name) if name else asked
    asked = asked.where(s.began_ms >= since_ms) if since_ms else asked
    if after:
        last = connection.execute(select(s.began_ms).where(s.number == after)).scalar()
        older = and_(s.began_ms == last, s.number < after)
        asked = asked.where(or_(s.began_ms < (last or 0), older))
    order = (s.began_ms, s.number) if oldest else (s.began_ms.desc(), s.number.desc())
    asked = asked.order_by(*order).limit(min(max(limit, 1), _MOST))
    return [Head(*row) for row in connection.execute(asked)]


def durations(connection: Connection, name: str) -> list[int]:
    """Of those of a pipeline that completed lately, in milliseconds."""
    asked = select(s.changed_ms - s.began_ms).where(s.state == "COMPLETED", s.name == name)
    return list(connection.execute(asked.order_by(s.began_ms.desc()).limit(_LATELY)).scalars())


def unheard(connection: Connection, before_ms: int, limit: int) -> list[str]:
    """Active ones with a call of before that time which was not answered for good, then."""
    open = or_(a.outcome.is_(None), a.outcome.in_(("UNKNOWN", "PROCESSING")))
    asked = select(a.settlement).distinct().join(tables.settlement, s.number == a.settlement)
    asked = asked.where(s.state.not_in((*ENDED, "SUSPENDED")), a.began_ms < before_ms)
    asked = asked.where(a.direction.in_(("do", "undo")), open).order_by(a.settlement).limit(limit)
    return list(connection.execute(asked).scalars())
