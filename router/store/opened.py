"""Rows to what an operator sees: opened, with what has become of their deliveries.

What does not open any more was changed: a list says so in that line, and shows the others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, case, func, select

from config.crypto import KeyTrouble
from router.search import Delivery, Found, Try
from router.store.days import DayKey
from router.store.rows import Answer, Facts, names, open_answer, open_facts
from router.store.tables import attempt

CHANGED = "this row was changed: see `jingluo log verify` 该行已被改动"

a = attempt.c


def facts_of(key: DayKey, row: Row[Any]) -> Facts:
    try:
        return open_facts(key, row.id, row.sealed)
    except KeyTrouble:
        return Facts("", CHANGED, {}, {})


def answer_of(key: DayKey, row: Row[Any]) -> Answer:
    try:
        return open_answer(key, row.message_id, row.sealed)
    except KeyTrouble:
        return Answer(CHANGED)


def try_of(row: Row[Any], key: DayKey) -> Try:
    sealed = answer_of(key, row)
    return Try(
        row.destination,
        row.attempt,
        row.outcome,
        row.at_ms,
        row.took_ms,
        row.code,
        sealed.reason,
        sealed.answer,
    )


def found_of(rows: Connection, listed: Sequence[Row[Any]], key: DayKey) -> list[Found]:
    """Messages of one day: one question more for all of them."""
    if not listed:
        return []
    deliveries: dict[tuple[str, str], Delivery] = {}
    answers: dict[str, dict[str, str]] = defaultdict(dict)
    for t in rows.execute(_DECISIVE, {"ids": [row.id for row in listed]}):
        state, said = "retrying" if t.outcome == "retry" else t.outcome, answer_of(key, t)
        deliveries[t.message_id, t.destination] = Delivery(
            t.destination, state, t.tries, t.code, said.reason, t.at_ms
        )
        answers[t.message_id] |= said.found_by
    return [_found(row, key, deliveries, answers[row.id]) for row in listed]


def _found(
    row: Row[Any], key: DayKey, deliveries: Mapping[tuple[str, str], Delivery], answers: Mapping[str, str]
) -> Found:
    facts = facts_of(key, row)
    return Found(
        id=row.id,
        channel=row.channel,
        received_ms=row.received_ms,
        state=row.state,
        kind=row.kind,
        code=row.code,
        reason=facts.reason,
        parent=row.parent,
        size=row.size,
        index={**answers, **facts.found_by},
        filtered=names(row.filtered),
        deliveries=tuple(
            deliveries.get((row.id, name)) or Delivery(name, "waiting") for name in names(row.destinations)
        ),
    )


def _decisive() -> Select[Any]:
    """The try that speaks for its delivery: that which sent it, else which ended it, else the latest."""
    delivery = (a.message_id, a.destination)
    weight = case((a.outcome == "sent", 2), (a.outcome == "dead", 1), else_=0)
    place = func.row_number().over(
        partition_by=delivery, order_by=(weight.desc(), a.at_ms.desc(), a.attempt.desc())
    )
    tries = func.count().over(partition_by=delivery)
    listed = (*delivery, a.outcome, a.code, a.sealed, a.at_ms, tries.label("tries"), place.label("place"))
    these = a.message_id.in_(bindparam("ids", expanding=True))
    ranked = select(*listed).where(these).subquery()
    return select(ranked).where(ranked.c.place == 1)


_DECISIVE = _decisive()  # made once: every day of a list asks it
