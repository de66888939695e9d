"""Deliveries of a day that have no end yet: neither sent nor dead."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.sql import ColumnElement

from router.search import Unended
from router.store.find import HAS_PARENT
from router.store.rows import names
from router.store.tables import attempt, message

_AT_ONCE = 500

m, a = message.c, attempt.c


def batched(ids: Sequence[str]) -> Iterator[list[str]]:
    """As many as one question may have."""
    return (list(ids[start : start + _AT_ONCE]) for start in range(0, len(ids), _AT_ONCE))


def accepted_between(rows: Connection, low: str, high: str, limit: int) -> list[Unended]:
    """Of messages with ids from `low` on and below `high`, oldest first: of so many messages."""
    ended = a.outcome.in_(("sent", "dead"))
    ends = select(func.count(a.destination.distinct())).where(a.message_id == m.id, ended).scalar_subquery()
    found: list[Unended] = []
    while limit > 0:
        span = (m.id >= low, m.id < high, m.fanout > 0, m.fanout > ends)
        some = list(_of(rows, span, min(limit, _AT_ONCE)))
        found += some
        ids = sorted({one.id for one in some})
        if len(ids) < min(limit, _AT_ONCE):
            break
        low, limit = ids[-1] + "0", limit - len(ids)
    return found


def of_these(rows: Connection, ids: Sequence[str]) -> Iterator[Unended]:
    """Of these messages, one of `batched`."""
    return _of(rows, (m.id.in_(ids),), len(ids))


def replayed(rows: Connection, ids: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Message, channel and destination of what was made from these messages."""
    asked = select(m.parent, m.channel, m.destinations).where(m.parent.in_(ids), HAS_PARENT)
    return ((parent, channel, name) for parent, channel, to in rows.execute(asked) for name in names(to))


def _of(rows: Connection, which: Sequence[ColumnElement[bool]], limit: int) -> Iterator[Unended]:
    asked = select(m.id, m.channel, m.destinations).where(*which).order_by(m.id).limit(limit)
    messages = rows.execute(asked).all()
    outcomes: dict[tuple[str, str], set[str]] = defaultdict(set)
    tries = select(a.message_id, a.destination, a.outcome)
    tried: Sequence[Any] = rows.execute(tries.where(a.message_id.in_([one.id for one in messages]))).all()
    for id, destination, outcome in tried:
        outcomes[id, destination].add(outcome)
    for one in messages:
        for name in names(one.destinations):
            had = outcomes[one.id, name]
            if not had & {"sent", "dead"}:
                yield Unended(one.id, one.channel, name, bool(had))
