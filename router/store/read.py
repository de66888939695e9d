"""Finding and showing, over the days. Lists are newest first, by id; a page goes on after the last id before it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import Any

from sqlalchemy import Connection, Row, func, select

from config.crypto import KeyTrouble
from config.errors import JingluoError
from router.causes import Letter
from router.envelope import BlobRef
from router.ids import DAY_MS, day_at, day_of, day_start_ms, first_id
from router.search import MAX_PAGE, PAGE, RELATIVES, Count, Found, Page, Parked, Query, Story, Unended
from router.store.database import CATALOGUE, Reading
from router.store.days import Day, Days
from router.store.dead import letters
from router.store.find import HAS_PARENT, Question, died, hex_digits, span_of, starts
from router.store.keep import DAY_OVER
from router.store.lately import died_since, latest
from router.store.opened import CHANGED, facts_of, found_of, try_of
from router.store.rows import names, open_body, open_parked
from router.store.tables import attempt, body, message, note, parked
from router.store.unended import accepted_between, batched, of_these, replayed

_TRIES_SHOWN = 1_000
_PARKED_SHOWN = 1_000
_DAYS_AT_ONCE = 50

m, a, p, n = message.c, attempt.c, parked.c, note.c


class NotFound(JingluoError):
    """JL-J005: no message has that id, or more than one begins with it."""


class Reader:
    """Answers from the rows of every day that is asked about."""

    def __init__(self, reading: Reading, days: Days) -> None:
        self._reading = reading
        self._days = days

    def search(self, query: Query, limit: int = PAGE, cursor: str = "") -> Page:
        """Raises BadQuery."""
        limit = max(1, min(limit, MAX_PAGE))
        found: list[Found] = []
        question = Question(query, cursor)
        asked = question.statement.limit(limit + 1)
        for day, rows in self._with_values(question, *_span(query, cursor)):
            listed = rows.execute(asked, question.tags(day.key)).fetchmany(limit + 1 - len(found))
            found += found_of(rows, listed, day.key)
            if len(found) > limit:
                break
        return Page(tuple(found[:limit]), found[limit - 1].id if len(found) > limit else "")

    def show(self, id: str, children: bool = True) -> Story:
        """`id` may be cut short as long as it names one message. Raises NotFound, BadQuery."""
        prefix = hex_digits(id)
        matches: list[tuple[Day, Row[Any]]] = []
        for day, rows in self._between(*_span(Query(id=prefix), "")):
            asked = select(message).where(starts(m.id, prefix)).order_by(m.id).limit(2)
            matches += [(day, row) for row in rows.execute(asked)]
            if len(matches) > 1:
                raise NotFound("JL-J005", f"several ids begin with {id}")
        if not matches:
            raise NotFound("JL-J005", f"no message has the id {id}")
        return self._story(*matches[0], children)

    def knew(self, day: str) -> bool:
        """Whether there are rows of that day, or were until their time was over."""
        if self._days.one(self._reading.at(CATALOGUE), day) is not None:
            return True
        over = select(n.id).where(n.what == DAY_OVER, n.about == day).limit(1)
        return any(rows.execute(over).first() is not None for _, rows in self._between(day))

    def tries(self, id: str, destination: str) -> tuple[int, int]:
        """A delivery's last number and first time, 0, 0 without a try."""
        rows = self._rows_of(id)
        if rows is None:
            return 0, 0
        asked = select(func.max(a.attempt), func.min(a.at_ms)).where(
            a.message_id == id, a.destination == destination
        )
        last, first_ms = rows.execute(asked).one()
        return last or 0, first_ms or 0

    def letters(self, channel: str = "", destination: str = "") -> Iterator[Letter]:
        """Every delivery that was given up, newest first."""
        for day, rows in self._between():
            yield from letters(rows, day.key, channel, destination)

    def parked(self, id: str = "") -> tuple[Parked, ...]:
        """Newest first, without their bodies; or those whose id begins so, with them."""
        asked = select(p.id, p.at_ms, p.reason).where(starts(p.id, id)).order_by(p.at_ms.desc())
        found: list[Parked] = []
        for day, rows in self._between():
            for one in rows.execute(asked.limit(_PARKED_SHOWN - len(found))).all():
                whole = _parked_body(rows, day, one.id)
                found.append(Parked(one.id, one.at_ms, one.reason, len(whole), whole if id else b""))
            if len(found) >= _PARKED_SHOWN:
                break
        return tuple(found)

    def counts(self, since_ms: int = 0) -> tuple[Count, ...]:
        """Of the messages received since then, per channel and per channel and destination."""
        made: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for _, rows in self._between(day_at(max(since_ms, 0))):
            _count(rows, first_id(since_ms), made)
        for (_, destination), line in made.items():
            if destination:
                line["waiting"] = line["accepted"] - line["delivered"] - line["dead"]
        return tuple(
            Count(channel, destination, **line) for (channel, destination), line in sorted(made.items())
        )

    def latest(self, channels: Mapping[str, int]) -> dict[str, int]:
        """When the latest message of each channel came that was not refused; of the days since a time (both Unix ms).

        0 where none did.
        """
        found = dict.fromkeys(channels, 0)
        for day, rows in self._between(day_at(max(min(channels.values(), default=0), 0))):
            for name in [name for name, at_ms in found.items() if not at_ms]:
                if day.name >= day_at(channels[name]):
                    found[name] = latest(rows, name)
        return found

    def died(self, since_ms: int, from_ms: int) -> dict[tuple[str, str], int]:
        """By channel and destination: deliveries given up since a time, of messages of the days from another."""
        found: dict[tuple[str, str], int] = defaultdict(int)
        for _, rows in self._between(day_at(max(from_ms, 0))):
            for way, count in died_since(rows, since_ms):
                found[way] += count
        return dict(found)

    def unended(self, since: str, until: str, limit: int) -> tuple[tuple[Unended, ...], str]:
        """Of the messages of one day, the first that there is from the id `since` on, oldest first; up to so many.

        And how far was looked: below that id all are known, `until` where there is no later day.
        """
        for day, rows in reversed(list(self._between(span_of(since)[0], span_of(until)[0]))):
            end = min(first_id(day_start_ms(day.name) + DAY_MS), until)
            if since < end:
                found = accepted_between(rows, since, end, limit)
                full = len({one.id for one in found}) >= limit
                return tuple(found), found[-1].id if full else end
        return (), until

    def still_unended(self, ids: Sequence[str]) -> tuple[Unended, ...]:
        return tuple(one for rows, some in self._by_day(ids) for one in of_these(rows, some))

    def replayed(self, ids: Sequence[str]) -> set[tuple[str, str, str]]:
        """Message, channel and destination of what was made from these messages."""
        if not ids:
            return set()
        return {
            made
            for _, rows in self._between(day_of(min(ids)))
            for some in batched(ids)
            for made in replayed(rows, some)
        }

    def _by_day(self, ids: Sequence[str]) -> Iterator[tuple[Connection, list[str]]]:
        for _, of_day in groupby(sorted(ids), day_of):
            of_one = list(of_day)
            if (rows := self._rows_of(of_one[0])) is not None:
                yield from ((rows, some) for some in batched(of_one))

    def _between(self, first: str = "", last: str = "9") -> Iterator[tuple[Day, Connection]]:
        """Newest first."""
        for day in self._days.listed(self._reading.at(CATALOGUE), first, last):
            rows = self._reading.rows(day.name)
            if rows is not None:
                yield day, rows

    def _with_values(self, question: Question, first: str, last: str) -> Iterator[tuple[Day, Connection]]:
        """Newest first. PostgreSQL says of many days at once which of them have what is asked for at all."""
        if self._reading.files or not question.asks_for_values():
            yield from self._between(first, last)
            return
        days = iter(self._days.listed(self._reading.at(CATALOGUE), first, last))
        while some := list(islice(days, _DAYS_AT_ONCE)):
            asked = " UNION ALL ".join(map(question.has, some))
            there = set(self._reading.at(CATALOGUE).exec_driver_sql(asked).scalars())
            for day in some:
                rows = self._reading.rows(day.name) if day.name in there else None
                if rows is not None:
                    yield day, rows

    def _rows_of(self, id: str) -> Connection | None:
        """The rows of a message's day; None where there is no such day."""
        try:
            day = self._days.one(self._reading.at(CATALOGUE), day_of(id))
        except ValueError:
            return None
        return self._reading.rows(day.name) if day is not None else None

    def _story(self, day: Day, row: Row[Any], children: bool) -> Story:
        rows = self._reading.rows(day.name)
        assert rows is not None
        found = found_of(rows, [row], day.key)[0]
        facts = facts_of(day.key, row)
        latest = select(attempt).where(a.message_id == row.id).order_by(a.at_ms.desc(), a.attempt.desc())
        tries = rows.execute(latest.limit(_TRIES_SHOWN)).all()
        kept = self._body(day, row)
        return Story(
            message=found,
            source=facts.source,
            format=row.format,
            charset=row.charset,
            headers=facts.headers,
            body=kept if isinstance(kept, bytes) else b"",
            blob=kept if isinstance(kept, BlobRef) else None,
            body_over=kept is None,
            item=facts.item,
            tries=tuple(try_of(t, day.key) for t in reversed(tries)),
            parents=self._parents(row.parent),
            children=self._children(row.id) if children else (),
        )

    def _body(self, day: Day, row: Row[Any]) -> bytes | BlobRef | None:
        bodies = self._reading.bodies(day.name)
        if bodies is None:
            return None
        sealed = bodies.execute(select(body.c.sealed).where(body.c.id == row.id)).scalar()
        sealer = self._days.bodies(self._reading.at(CATALOGUE), day.name, row.channel)
        return None if sealed is None or sealer is None else open_body(sealer, row.id, sealed)

    def _parents(self, parent: str) -> tuple[str, ...]:
        chain: list[str] = []
        while parent and parent not in chain and len(chain) < RELATIVES:
            chain.append(parent)
            rows = self._rows_of(parent)
            parent = (rows and rows.execute(select(m.parent).where(m.id == parent)).scalar()) or ""
        return tuple(chain)

    def _children(self, id: str) -> tuple[str, ...]:
        """They came after it, perhaps on a later day."""
        asked = select(m.id).where(m.parent == id, HAS_PARENT).order_by(m.id).limit(RELATIVES)
        ids = [child for _, rows in self._between(day_of(id)) for child in rows.execute(asked).scalars()]
        return tuple(sorted(ids)[:RELATIVES])


def _parked_body(rows: Connection, day: Day, id: str) -> bytes:
    """One at a time: there may be many, and large."""
    sealed = rows.execute(select(p.sealed).where(p.id == id)).scalar()
    try:
        return open_parked(day.key, id, sealed or b"")
    except KeyTrouble:
        return CHANGED.encode()


def _span(query: Query, cursor: str) -> tuple[str, str]:
    """The first and the last day that can have what is asked for."""
    first, last = "", "9"
    if query.since_ms is not None:
        first = day_at(max(query.since_ms, 0))
    if query.until_ms is not None:
        last = day_at(max(query.until_ms, 0))
    if query.id:
        begins, ends = span_of(hex_digits(query.id))
        first, last = max(first, begins), min(last, ends)
    if cursor:
        last = min(last, span_of(hex_digits(cursor))[1])
    return first, last


def _count(rows: Connection, start: str, made: dict[tuple[str, str], dict[str, int]]) -> None:
    decided = (
        select(m.channel, m.state, m.destinations, m.filtered, func.count())
        .where(m.id >= start)
        .group_by(m.channel, m.state, m.destinations, m.filtered)
    )
    for channel, state, destinations, filtered, count in rows.execute(decided):
        made[channel, ""][state] += count
        for name in names(destinations):
            made[channel, name]["accepted"] += count
        for name in names(filtered):
            made[channel, name]["filtered"] += count
    for what, ended in (("delivered", (a.outcome == "sent",)), ("dead", died())):
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
        for channel, destination, count in rows.execute(grouped):
            made[channel, destination][what] += count
