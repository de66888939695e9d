"""One day's question: what is asked of the journal, as a statement about that day's tables.

Searchable values stand in the index as tags that only the day's key makes, so only a whole value is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Select,
    and_,
    bindparam,
    func,
    literal_column,
    select,
    union_all,
)
from sqlalchemy.sql import ColumnElement

from router.ids import day_of, first_id
from router.search import BadQuery, Query
from router.store.days import Day, DayKey
from router.store.rows import clean, clean_value
from router.store.tables import DAY, attempt, message, message_index, named

LAST = "\U0010ffff"  # sorts after every text that begins the same way
_HEX = frozenset("0123456789abcdef")
_TAG = "tag_{}"  # of the value number n
_ID_DIGITS = 8  # of an id, to be taken for one in the one box

m, a, x = message.c, attempt.c, message_index.c
# The partial indexes are only used where the condition stands in the question word by word.
_NOT_ACCEPTED: ColumnElement[bool] = literal_column(f"message_{DAY}.state <> 'accepted'")
_WITH_CODE: ColumnElement[bool] = literal_column(f"message_{DAY}.code <> ''")
_NOT_SENT: ColumnElement[bool] = literal_column(f"delivery_attempt_{DAY}.outcome <> 'sent'")
HAS_PARENT: ColumnElement[bool] = literal_column(f"message_{DAY}.parent <> ''")
LISTED = (
    m.id,
    m.channel,
    m.received_ms,
    m.state,
    m.kind,
    m.code,
    m.parent,
    m.size,
    m.sealed,
    m.filtered,
    m.destinations,
)


class Question:
    """Newest first, from below the id `cursor` where there is one; made once and asked of every day."""

    def __init__(self, query: Query, cursor: str) -> None:
        """Raises BadQuery."""
        self.values = [*map(clean_value, query.index.values()), clean_value(query.text)]
        self.statement = _statement(query, cursor)
        self._id_days = span_of(query.text.lower()) if _may_be_id(query.text.lower()) else None

    def tags(self, key: DayKey) -> dict[str, int]:
        """What the day's index has for the values that are asked for."""
        return {_TAG.format(number): key.tag(value) for number, value in enumerate(self.values) if value}

    def asks_for_values(self) -> bool:
        return any(self.values)

    def has(self, day: Day) -> str:
        """SQL: the day's name where its index has every value that is asked for."""
        exist = [
            f"EXISTS (SELECT 1 FROM {named(message_index.name, day.name)} WHERE tag = {tag})"
            for tag in self.tags(day.key).values()
        ]
        if self._id_days is not None and self._id_days[0] <= day.name <= self._id_days[1]:
            exist.pop()  # what the one box asks for may be an id of this day
        return f"SELECT '{day.name}' WHERE {' AND '.join(exist) or 'TRUE'}"


def _statement(query: Query, cursor: str) -> Select[Any]:
    statement = select(*LISTED)
    first: ColumnElement[str] = m.id  # what the list is sorted by: the leading column of the index in use
    # The first value leads, in the order of its index; the others are looked up once, whatever they find.
    for number, name in enumerate(query.index):
        if number == 0:
            statement = statement.join(message_index, x.message_id == m.id)
            statement = statement.where(x.tag == _tag(number), x.name == clean_value(name))
            first = x.message_id
        else:
            other = message_index.alias()
            same = (other.c.tag == _tag(number), other.c.name == clean_value(name))
            statement = statement.where(m.id.in_(select(other.c.message_id).where(*same)))
    if query.text:
        statement = statement.where(_box(query.text, _tag(len(query.index))))
    if query.id:
        statement = statement.where(starts(m.id, hex_digits(query.id)))
    if query.channel:
        statement = statement.where(m.channel == query.channel)
    if query.kind:
        statement = statement.where(_like(m.kind, query.kind))
    if query.code:
        statement = statement.where(m.id.in_(_with_code(query.code)))
    if query.since_ms is not None:
        statement = statement.where(first >= first_id(query.since_ms))
    if query.until_ms is not None:
        statement = statement.where(first < first_id(query.until_ms))
    if cursor:
        statement = statement.where(first < hex_digits(cursor))
    return statement.where(*_in_state(query)).order_by(first.desc())


def _in_state(query: Query) -> list[ColumnElement[bool]]:
    """The message is in that state, or one of its deliveries (the one to `destination`)."""
    state, to = query.state, query.destination
    goes: list[ColumnElement[bool]] = [m.destinations.contains(f" {to} ", autoescape=True)] if to else []
    mine = attempt.alias("mine")
    of = mine.c.message_id == m.id
    only = [mine.c.destination == to] if to else []
    ended = mine.c.outcome.in_(("sent", "dead"))
    if state in ("", "accepted"):
        return goes + ([m.state == state] if state else [])
    if state in ("filtered", "refused"):
        skips: list[ColumnElement[bool]] = [m.filtered.contains(f" {to} ", autoescape=True)] if to else []
        return [*skips, m.state == state, _NOT_ACCEPTED]
    if state == "sent":
        return [select(mine.c.message_id).where(of, mine.c.outcome == "sent", *only).exists()]
    if state == "dead":
        return [m.id.in_(select(a.message_id).where(*died(query.channel, to)))]
    if state == "retrying":
        return [m.id.in_(select(a.message_id).where(*_open("retry", query.channel, to, ("sent", "dead"))))]
    if to:
        return [*goes, ~select(mine.c.message_id).where(of, ended, *only).exists()]
    done = select(func.count(mine.c.destination.distinct())).where(of, ended).scalar_subquery()
    return [m.fanout > done]


def died(channel: str = "", destination: str = "") -> list[ColumnElement[bool]]:
    """Attempts that are their delivery's bad end. A redelivery that got through after all makes it good."""
    return _open("dead", channel, destination, ("sent",))


def _open(outcome: str, channel: str, destination: str, ends: Sequence[str]) -> list[ColumnElement[bool]]:
    """Attempts with that outcome whose delivery has none of `ends`."""
    later = attempt.alias("later")
    same = and_(later.c.message_id == a.message_id, later.c.destination == a.destination)
    conditions = [
        a.outcome == outcome,
        _NOT_SENT,
        ~select(later.c.message_id).where(same, later.c.outcome.in_(ends)).exists(),
    ]
    if channel:
        conditions.append(a.channel == channel)
    if destination:
        conditions.append(a.destination == destination)
    return conditions


def _with_code(code: str) -> Any:
    tried = select(a.message_id).where(_NOT_SENT, a.code == code)
    return union_all(tried, select(m.id).where(_WITH_CODE, m.code == code))


def _box(text: str, tag: BindParameter[int]) -> ColumnElement[bool]:
    """The one box: any searchable value, or an id."""
    any_value = message_index.alias()
    ids = select(any_value.c.message_id).where(any_value.c.tag == tag)
    bare = text.lower()
    if not _may_be_id(bare):
        return m.id.in_(ids)
    other = message.alias()
    return m.id.in_(union_all(ids, select(other.c.id).where(starts(other.c.id, bare))))


def _tag(number: int) -> BindParameter[int]:
    return bindparam(_TAG.format(number), type_=BigInteger)


def _may_be_id(text: str) -> bool:
    return len(text) >= _ID_DIGITS and not set(text) - _HEX


def span_of(digits: str) -> tuple[str, str]:
    """The first and the last day of ids that begin so."""
    return _day(digits[:32].ljust(32, "0")), _day(digits[:32].ljust(32, "f"))


def _day(id: str) -> str:
    """A day, also for what is beyond the calendar."""
    try:
        return day_of(id)
    except ValueError:
        return LAST


def _like(column: ColumnElement[str], value: str) -> ColumnElement[bool]:
    """Equal, or a range where the value ends in `*`."""
    value = clean(value)
    return starts(column, value[:-1]) if value.endswith("*") else column == value


def starts(column: ColumnElement[str], prefix: str) -> ColumnElement[bool]:
    return and_(column >= prefix, column < prefix + LAST)


def hex_digits(id: str) -> str:
    """An id, or the first digits of one. Raises BadQuery."""
    id = id.lower()
    if not id or len(id) > 32 or set(id) - _HEX:
        raise BadQuery("JL-J004", "an id is 32 hexadecimal digits, or the first of them")
    return id
