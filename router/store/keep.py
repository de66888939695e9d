"""For how long rows and bodies are kept, and dropping those whose time is over.

A day's rows go when the last of its channels has no more use for them; a channel's bodies when their own time is over:
their key is destroyed, and when it was the day's last, the bytes go too. What is dropped is written down before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby, islice

import structlog
from sqlalchemy import Connection, delete, func, select

from router.ids import DAY_MS, day_start_ms
from router.store import tables
from router.store.database import CATALOGUE, Database, Place, Reading
from router.store.days import Days
from router.store.write import Writer

log = structlog.get_logger()

DAYS_AT_ONCE = 4  # that one run drops from
BODIES_OVER, DAY_OVER = "bodies over", "day over"  # notes: of "20260131 his-adt", of "20260131"

m, k, c, n = tables.message.c, tables.day_key.c, tables.chain.c, tables.note.c


@dataclass(frozen=True, slots=True)
class Keep:
    """Seconds after the end of the day (UTC). None: for good."""

    body_s: float | None = None
    rows_s: float | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """By channel; `others` is for channels that have no rule of their own, or are no more."""

    channels: Mapping[str, Keep] = field(default_factory=dict)
    others: Keep = Keep()

    @property
    def end_anything(self) -> bool:
        """Whether anything is ever over by these rules."""
        return any(keep != Keep() for keep in (self.others, *self.channels.values()))

    def of(self, channel: str) -> Keep:
        return self.channels.get(channel, self.others)


@dataclass(frozen=True, slots=True)
class Over:
    """What is to be dropped: a channel's bodies of a day, or (`channel` empty) all of the day."""

    day: str
    channel: str
    bytes: int  # that this gives back

    @property
    def what(self) -> str:
        return f"{self.day} {self.channel}".strip()


@dataclass(frozen=True, slots=True)
class DayFacts:
    """A day as an operator sees it. `bodies` names the channels whose bodies are still there."""

    day: str
    rows: int  # messages, attempts, notes
    row_bytes: int
    body_bytes: int
    sealed_by: str  # the site key's name
    bodies: tuple[str, ...]


class Keeper:
    """Blocking. Of several at once in several processes, each thing is dropped by one."""

    def __init__(self, database: Database, days: Days, writer: Writer) -> None:
        self._database = database
        self._days = days
        self._writer = writer
        self._scrubbed = True  # of the keys that were destroyed

    def facts(self, reading: Reading) -> Iterator[DayFacts]:
        """Newest first."""
        for day, parts in self._days.parts(reading.at(CATALOGUE)).items():
            rows = reading.rows(day)
            count = rows.execute(select(func.sum(c.count))).scalar() if rows is not None else 0
            row_bytes, body_bytes = self._database.size(reading, day)
            channels = tuple(sorted(part for part in parts if part))
            yield DayFacts(day, int(count or 0), row_bytes, body_bytes, parts[""], channels)

    def plan(self, reading: Reading, rules: Rules, now_ms: int) -> Iterator[Over]:
        """What `run` would drop now, oldest first."""
        for day, parts in reversed(self._days.parts(reading.at(CATALOGUE)).items()):
            rows = reading.rows(day)
            row_bytes, body_bytes = self._database.size(reading, day)
            channels = set(_channels(rows)) if rows is not None else set()
            if all(_over(day, rules.of(channel).rows_s, now_ms) for channel in channels or {""}):
                yield Over(day, "", row_bytes + body_bytes)
                continue
            over = [p for p in parts if p and _over(day, rules.of(p).body_s, now_ms)]
            last = len(over) == len(parts) - 1
            for number, channel in enumerate(sorted(over)):
                yield Over(day, channel, body_bytes if last and number == len(over) - 1 else 0)

    def run(self, rules: Rules, now_ms: int) -> int:
        """Drops what is over. Returns how many things that were. Raises StoreError."""
        with self._database.reading() as reading:
            over = _of_few_days(self.plan(reading, rules, now_ms))
            held = {each.day: self._still_said(reading, each.day) for each in over if not each.channel}
            left = self._left_behind(reading)
        for day in left:
            self._remove(day)
        if not self._scrubbed:
            self._scrub()
        for each in over:
            if each.channel:
                self._writer.note(BODIES_OVER, each.what)
                self._drop_bodies(each)
            else:
                for what, about in held[each.day]:
                    self._writer.note(what, about)
                self._writer.note(DAY_OVER, each.what)
                self._drop_day(each.day)
            log.info("journal.dropped", what=each.what, bytes=each.bytes)
        return len(over)

    def _still_said(self, reading: Reading, day: str) -> list[tuple[str, str]]:
        """What a day's notes say of older ones that stay: without it those would be missed."""
        older = {known for known in self._days.parts(reading.at(CATALOGUE)) if known < day}
        rows = reading.rows(day) if older else None
        if rows is None:
            return []
        notes = rows.execute(select(n.what, n.about).where(n.what.in_((BODIES_OVER, DAY_OVER))))
        return [(what, about) for what, about in notes if what == DAY_OVER or about.split()[0] in older]

    def _drop_bodies(self, over: Over) -> None:
        place = Place(over.day, "bodies")
        with self._database.writing(CATALOGUE) as connection:
            connection.execute(delete(tables.day_key).where(k.day == over.day, k.part == over.channel))
            left = connection.execute(
                select(func.count()).where(k.day == over.day, k.part != "").select_from(tables.day_key)
            ).scalar()
            if not left:
                self._database.drop(connection, place)
        self._scrub()
        self._days.forget(over.day)
        if not left:
            self._database.remove(place)

    def _drop_day(self, day: str) -> None:
        with self._database.writing(CATALOGUE) as connection:
            gone = connection.execute(delete(tables.day_key).where(k.day == day)).rowcount
            if gone:
                self._database.drop(connection, Place(day, "rows"))
        self._scrub()
        self._days.forget(day)
        self._writer.forget(day)
        self._remove(day)

    def _scrub(self) -> None:
        self._scrubbed = self._database.scrub()
        if not self._scrubbed:
            log.warning(
                "journal.keys_not_overwritten", why="somebody reads the journal; the next run tries again"
            )

    def _left_behind(self, reading: Reading) -> list[str]:
        """Days that were dropped by who died before their files were gone. Files of other journals stay."""
        listed = self._days.listed(reading.at(CATALOGUE))
        if not (strays := self._database.strays([day.name for day in listed])):
            return []
        over = select(n.about).where(n.what == DAY_OVER)
        noted: set[str] = set()
        for day in listed:
            if (rows := reading.rows(day.name)) is not None:
                noted.update(rows.execute(over).scalars())
        return sorted(strays & noted)

    def _remove(self, day: str) -> None:
        for part in ("rows", "bodies"):
            self._database.remove(Place(day, part))


def _of_few_days(over: Iterator[Over]) -> list[Over]:
    """The oldest: a clock that is years ahead does little harm before somebody sees it."""
    return [each for _, group in islice(groupby(over, lambda each: each.day), DAYS_AT_ONCE) for each in group]


def _channels(rows: Connection) -> Iterator[str]:
    """From leaf to leaf of the index by channel: not every row is read."""
    channel = rows.execute(select(func.min(m.channel))).scalar()
    while channel is not None:
        yield channel
        channel = rows.execute(select(func.min(m.channel)).where(m.channel > channel)).scalar()


def _over(day: str, kept_s: float | None, now_ms: int) -> bool:
    return kept_s is not None and day_start_ms(day) + DAY_MS + kept_s * 1000 <= now_ms
