"""Finding and showing. Lists are newest first, by id; a page goes on after the last id of the one before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, and_, case, func, literal_column, select, union_all
from sqlalchemy.sql import ColumnElement

from config.errors import JingluoError
from router.ids import first_id
from router.search import MAX_PAGE, PAGE, BadQuery, Count, Dead, Delivery, Found, Page, Query, Story, Try
from router.store.rows import clean, names, unpack
from router.store.tables import attempt, message, message_index

_LAST = "\U0010ffff"  # sorts after every text that begins the same way
_TRIES_SHOWN = 1_000
_RELATIVES_SHOWN = 100
_HEX = frozenset("0123456789abcdef")
_ID_DIGITS = 8  # of an id, to be taken for one in the one box

m, a, x = message.c, attempt.c, message_index.c
# The partial indexes are only used where the condition stands in the question word by word.
_NOT_ACCEPTED: ColumnElement[bool] = literal_column("message.state <> 'accepted'")
_LISTED = (
    m.id,
    m.channel,
    m.received_ms,
    m.state,
    m.kind,
    m.code,
    m.reason,
    m.parent,
    m.size,
    m.found_by,
    m.filtered,
    m.destinations,
)


class NotFound(JingluoError):
    """JL-J005: no message has that id, or more than one begins with it."""


def search(connection: Connection, query: Query, limit: int = PAGE, cursor: str = "") -> Page:
    limit = max(1, min(limit, MAX_PAGE))
    rows = connection.execute(_statement(query, cursor).limit(limit + 1)).all()
    more = rows[limit - 1].id if len(rows) > limit else ""
    return Page(_found(connection, rows[:limit]), more)


def show(connection: Connection, id: str) -> Story:
    """`id` may be cut short as long as it names one message. Raises NotFound, BadQuery."""
    rows = connection.execute(select(message).where(_starts(m.id, _hex(id))).order_by(m.id).limit(2)).all()
    if len(rows) != 1:
        raise NotFound(
            "JL-J005", f"no message has the id {id}" if not rows else f"several ids begin with {id}"
        )
    row = rows[0]
    latest = select(attempt).where(a.message_id == row.id).order_by(a.at_ms.desc(), a.attempt.desc())
    tries = connection.execute(latest.limit(_TRIES_SHOWN)).all()
    return Story(
        message=_found(connection, [row])[0],
        source=row.source,
        format=row.format,
        charset=row.charset,
        headers=msgspec.json.decode(row.headers, type=dict[str, str]),
        body=unpack(row.packed, row.body),
        tries=tuple(
            Try(t.destination, t.attempt, t.outcome, t.at_ms, t.took_ms, t.code, t.reason, bytes(t.answer))
            for t in reversed(tries)
        ),
        parents=_parents(connection, row.parent),
        children=tuple(
            connection.execute(
                select(m.id)
                .where(m.parent == row.id, literal_column("message.parent <> ''"))
                .order_by(m.id)
                .limit(_RELATIVES_SHOWN)
            ).scalars()
        ),
    )


def tries(connection: Connection, id: str, destination: str) -> tuple[int, int]:
    """A delivery's last number and first time, 0, 0 without a try."""
    asked = select(func.max(a.attempt), func.min(a.at_ms))
    last, first_ms = connection.execute(asked.where(a.message_id == id, a.destination == destination)).one()
    return last or 0, first_ms or 0


def dead(connection: Connection, channel: str = "", destination: str = "") -> tuple[Dead, ...]:
    """Dead letters by cause, the most first."""
    count = func.count().label("count")
    statement = (
        select(a.channel, a.destination, a.code, count, func.min(a.at_ms), func.max(a.at_ms))
        .where(*_died(channel, destination))
        .group_by(a.channel, a.destination, a.code)
        .order_by(count.desc(), a.channel, a.destination, a.code)
    )
    return tuple(Dead(*row) for row in connection.execute(statement))


def counts(connection: Connection, since_ms: int = 0) -> tuple[Count, ...]:
    """Of the messages received since then, per channel and per channel and destination."""
    start = first_id(since_ms)
    made: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    decided = (
        select(m.channel, m.state, m.destinations, m.filtered, func.count())
        .where(m.id >= start)
        .group_by(m.channel, m.state, m.destinations, m.filtered)
    )
    for channel, state, destinations, filtered, count in connection.execute(decided):
        made[channel, ""][state] += count
        for name in names(destinations):
            made[channel, name]["accepted"] += count
        for name in names(filtered):
            made[channel, name]["filtered"] += count
    for what, ended in (("delivered", (a.outcome == "sent",)), ("dead", _died())):
        # Not of messages whose own row has not come yet: the sides must be of the same messages.
        deliveries = (
            select(a.channel, a.destination, a.message_id).where(a.message_id >= start, *ended).distinct()
        )
        once = deliveries.subquery()
        grouped = (
            select(once.c.channel, once.c.destination, func.count())
            .where(select(m.id).where(m.id == once.c.message_id).exists())
            .group_by(once.c.channel, once.c.destination)
        )
        for channel, destination, count in connection.execute(grouped):
            made[channel, destination][what] += count
    for (_, destination), line in made.items():
        if destination:
            line["waiting"] = line["accepted"] - line["delivered"] - line["dead"]
    return tuple(Count(channel, destination, **line) for (channel, destination), line in sorted(made.items()))


def _statement(query: Query, cursor: str) -> Select[Any]:
    statement = select(*_LISTED)
    first: ColumnElement[str] = m.id  # what the list is sorted by: the leading column of the index in use
    # An exact value leads, in the order of its index; the others are looked up once, whatever they find.
    terms = sorted(query.index.items(), key=lambda term: term[1].endswith("*"))
    for number, (name, value) in enumerate(terms):
        if number == 0:
            statement = statement.join(message_index, x.message_id == m.id)
            statement = statement.where(x.name == name, _like(x.value, value))
            first = x.message_id
        else:
            other = message_index.alias()
            ids = select(other.c.message_id).where(other.c.name == name, _like(other.c.value, value))
            statement = statement.where(m.id.in_(ids))
    if query.text:
        statement = statement.where(_box(query.text))
    if query.id:
        statement = statement.where(_starts(m.id, _hex(query.id)))
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
        statement = statement.where(first < _hex(cursor))
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
        return [m.id.in_(select(a.message_id).where(*_died(query.channel, to)))]
    if state == "retrying":
        return [m.id.in_(select(a.message_id).where(*_open("retry", query.channel, to, ("sent", "dead"))))]
    if to:
        return [*goes, ~select(mine.c.message_id).where(of, ended, *only).exists()]
    done = select(func.count(mine.c.destination.distinct())).where(of, ended).scalar_subquery()
    return [m.fanout > done]


def _died(channel: str = "", destination: str = "") -> list[ColumnElement[bool]]:
    """Attempts that are their delivery's bad end. A redelivery that got through after all makes it good."""
    return _open("dead", channel, destination, ("sent",))


def _open(outcome: str, channel: str, destination: str, ends: Sequence[str]) -> list[ColumnElement[bool]]:
    """Attempts with that outcome whose delivery has none of `ends`."""
    later = attempt.alias("later")
    same = and_(later.c.message_id == a.message_id, later.c.destination == a.destination)
    conditions = [
        a.outcome == outcome,
        literal_column("delivery_attempt.outcome <> 'sent'"),
        ~select(later.c.message_id).where(same, later.c.outcome.in_(ends)).exists(),
    ]
    if channel:
        conditions.append(a.channel == channel)
    if destination:
        conditions.append(a.destination == destination)
    return conditions


def _with_code(code: str) -> Any:
    tried = select(a.message_id).where(literal_column("delivery_attempt.outcome <> 'sent'"), a.code == code)
    return union_all(tried, select(m.id).where(_NOT_ACCEPTED, m.code == code))


def _box(text: str) -> ColumnElement[bool]:
    """The one box: any searchable value, or an id."""
    any_value = message_index.alias()
    ids = select(any_value.c.message_id).where(_like(any_value.c.value, text))
    bare = text.rstrip("*").lower()
    if len(bare) < _ID_DIGITS or set(bare) - _HEX:
        return m.id.in_(ids)
    other = message.alias()
    return m.id.in_(union_all(ids, select(other.c.id).where(_starts(other.c.id, bare))))


def _like(column: ColumnElement[str], value: str) -> ColumnElement[bool]:
    """Equal, or a range where the value ends in `*`."""
    value = clean(value)
    return _starts(column, value[:-1]) if value.endswith("*") else column == value


def _starts(column: ColumnElement[str], prefix: str) -> ColumnElement[bool]:
    return and_(column >= prefix, column < prefix + _LAST)


def _hex(id: str) -> str:
    id = id.lower()
    if not id or len(id) > 32 or set(id) - _HEX:
        raise BadQuery("JL-J004", "an id is 32 hexadecimal digits, or the first of them")
    return id


def _parents(connection: Connection, parent: str) -> tuple[str, ...]:
    chain: list[str] = []
    while parent and parent not in chain and len(chain) < _RELATIVES_SHOWN:
        chain.append(parent)
        parent = connection.execute(select(m.parent).where(m.id == parent)).scalar() or ""
    return tuple(chain)


def _found(connection: Connection, rows: Sequence[Row[Any]]) -> tuple[Found, ...]:
    """Rows with what has become of their deliveries: one question more for the whole page."""
    deliveries: dict[tuple[str, str], Delivery] = {}
    for t in connection.execute(_decisive([row.id for row in rows])):
        state = "retrying" if t.outcome == "retry" else t.outcome
        deliveries[t.message_id, t.destination] = Delivery(
            t.destination, state, t.tries, t.code, t.reason, t.at_ms
        )
    return tuple(
        Found(
            id=row.id,
            channel=row.channel,
            received_ms=row.received_ms,
            state=row.state,
            kind=row.kind,
            code=row.code,
            reason=row.reason,
            parent=row.parent,
            size=row.size,
            index=msgspec.json.decode(row.found_by, type=dict[str, str]),
            filtered=names(row.filtered),
            deliveries=tuple(
                deliveries.get((row.id, name)) or Delivery(name, "waiting")
                for name in names(row.destinations)
            ),
        )
        for row in rows
    )


def _decisive(ids: Sequence[str]) -> Select[Any]:
    """The try that speaks for its delivery: that which sent it, else which ended it, else the latest."""
    delivery = (a.message_id, a.destination)
    weight = case((a.outcome == "sent", 2), (a.outcome == "dead", 1), else_=0)
    place = func.row_number().over(
        partition_by=delivery, order_by=(weight.desc(), a.at_ms.desc(), a.attempt.desc())
    )
    tries = func.count().over(partition_by=delivery)
    listed = (*delivery, a.outcome, a.code, a.reason, a.at_ms, tries.label("tries"), place.label("place"))
    ranked = select(*listed).where(a.message_id.in_(ids)).subquery()
    return select(ranked).where(ranked.c.place == 1)
