"""The dead letters of a day, newest first: a delivery is one letter, whatever number of tries ended it.

What they died of is sealed with each, so all that are looked at are opened: 24,000 a second on one core.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from config.crypto import KeyTrouble
from router.causes import Letter, cause_of
from router.store.days import DayKey
from router.store.find import died
from router.store.opened import answer_of
from router.store.rows import open_facts
from router.store.tables import attempt, message

_AT_ONCE = 20_000  # tries in memory; a message has fewer

m, a = message.c, attempt.c


def letters(rows: Connection, key: DayKey, channel: str, destination: str) -> Iterator[Letter]:
    """The latest try that ended it speaks for a letter."""
    last = ("", "")
    for row in _ended(rows, channel, destination):
        if (row.message_id, row.destination) != last:
            last = (row.message_id, row.destination)
            cause = cause_of(answer_of(key, row).reason, _values(key, row))
            yield Letter(row.message_id, row.channel, row.destination, row.code, cause, row.at_ms)


def _ended(rows: Connection, channel: str, destination: str) -> Iterator[Row[Any]]:
    """Page by page, each but the last without the message that it ends in the middle of."""
    given = (a.message_id, a.destination, a.channel, a.code, a.at_ms, a.sealed)
    asked: Select[Any] = (
        select(*given, m.id, m.sealed.label("facts"))
        .outerjoin(message, m.id == a.message_id)
        .where(*died(channel, destination))
        .order_by(a.message_id.desc(), a.destination, a.at_ms.desc(), a.attempt.desc())
        .limit(_AT_ONCE)
    )
    page: Sequence[Row[Any]] = rows.execute(asked).all()
    while len(page) == _AT_ONCE:
        cut = page[-1].message_id
        yield from (row for row in page if row.message_id != cut)
        page = rows.execute(asked.where(a.message_id <= cut)).all()
    yield from page


def _values(key: DayKey, row: Row[Any]) -> Iterable[str]:
    """The message's searchable values; none where its own row has not come, or does not open."""
    try:
        return open_facts(key, row.id, row.facts).found_by.values() if row.id else ()
    except KeyTrouble:
        return ()
