"""The engine's memory of its talk with insurance centres: `endpoints.insurance.records.Records` on a database.

A request leaves only when its row is durable. Its msgid is the primary key: two processes that think of the same one
cannot both have it, and the second takes the next.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection, Select, and_, bindparam, delete, func, or_, select, update

from config.crypto import SiteKeys, digest
from config.errors import Unreachable
from config.settings import Settings
from config.tls import Identity
from endpoints.insurance.records import Ask, Exchange, Outcome, SignIn, Taken
from router.store.durable import GroupedDatabase, of_site
from router.store.insurance_rows import BLIND, Key
from router.store.insurance_tables import INSURANCE, link, sign_in
from router.store.insurance_tables import exchange as table
from schemas.message import NOTHING

SERIALS = 10_000  # msgids a second
_SECONDS = 60  # into which a rush may run over
_REMEMBERED = 64  # seconds and institutions whose serials are under way
_PAGE = 500
_PRUNED = 1_000  # rows that go at once
LIMIT = 1_000  # rows of one search

# What a day's account is made of, and what undoes it as a piece of business. 2601 leaves nothing to account for.
SETTLEMENTS = ("2102", "2103", "2207", "2208", "2304", "2305")
CANCELS = ("2103", "2208", "2305")
# What is not believed any more of a row in that state.
_LESS_THAN: Mapping[str, tuple[Outcome, ...]] = {
    "OK": ("REJECTED", "PROCESSING", "UNKNOWN"),
    "REJECTED": ("PROCESSING", "UNKNOWN"),
    "REVERSED": ("PROCESSING", "UNKNOWN"),
}

e, s = table.c, sign_in.c
_HEAD = [column for column in table.c if column.name not in ("request", "answer")]

# Statements made once: to make one costs more than to run it.
_WHOLE = select(table).where(e.msgid == bindparam("of"))
_LOCKED = select(*_HEAD).where(e.msgid == bindparam("of")).with_for_update()
_CHANGED = update(table).where(e.msgid == bindparam("of"))
_TURN = select(func.pg_advisory_xact_lock(bindparam("number")))
_ASKED = select(e.msgid).where(
    e.system == bindparam("by"), e.key == bindparam("under"), e.infno == bindparam("what")
)
_OF_KEY = (
    select(table).where(e.system == bindparam("by"), e.key == bindparam("under")).order_by(e.at_ms, e.msgid)
)


class InsuranceRecords:
    """Meets `Records`. Opened at first use."""

    def __init__(self, database: GroupedDatabase[Key], now_ms: Callable[[], int]) -> None:
        self._database = database
        self._now_ms = now_ms
        new = database.insert(table).on_conflict_do_nothing(index_elements=["msgid"])
        self._new = new.returning(e.msgid)
        self._linked = database.insert(link).on_conflict_do_nothing()
        self._serials: dict[str, int] = {}  # msgid without its serial -> the next one to try
        self._drawn = secrets.randbelow(SERIALS)  # where this process begins in a second
        # Of begins that nobody waited for, or whose commit failed: nothing has left under these msgids, so that their
        # rows go where they are there after all. The sealed facts are unlike those of any other row.
        self._void: dict[str, bytes] = {}
        self._left: set[asyncio.Future[Any]] = set()  # begins that nobody waits for, not written yet

    async def begin(self, ask: Ask, msgid: Callable[[int], str], request: Callable[[str], bytes]) -> Exchange:
        """As in Records. Where a second is full, `msgid` is asked for serials from 10,000 on: the seconds after it."""
        mine: dict[str, bytes] = {}

        def change(connection: Connection, key: Key) -> Exchange:
            mine.clear()
            self._wait_for(connection, ask)
            for serial in self._free(msgid):
                made = msgid(serial)
                facts = key.facts(made, ask.links)
                if (row := self._inserted(connection, key, ask, made, request(made), facts)) is not None:
                    self._claim(connection, ask, made)
                    mine[made] = facts
                    return row
            raise Unreachable("JL-E853", "no msgid is free in this minute 报文ID已用尽", after_s=5.0)

        await self._forget_void()
        writing = asyncio.ensure_future(self._database.write(change))
        try:
            return await asyncio.shield(writing)
        except asyncio.CancelledError:
            self._left.add(writing)
            writing.add_done_callback(lambda done: self._void.update(mine))
            writing.add_done_callback(self._left.discard)
            raise
        except Unreachable:
            self._void.update(mine)
            raise

    async def end(
        self,
        exchange: Exchange,
        outcome: Outcome,
        infcode: str,
        text: str,
        answer: bytes,
        links: Mapping[str, str],
    ) -> Exchange:
        """As in Records. One that was reversed stays so, nothing that is known becomes unknown again, and what was
        done stays done: a query that did not see it yet, while its answer came in, is no better evidence."""
        at_ms = self._now_ms()

        def change(connection: Connection, key: Key) -> Exchange:
            row = connection.execute(_LOCKED, {"of": exchange.msgid}).one_or_none()
            if row is None:
                raise Unreachable("JL-E854", f"the insurance records have no {exchange.msgid}")
            if outcome in _LESS_THAN.get(row.state, ()):
                whole = connection.execute(_WHOLE, {"of": exchange.msgid}).one()
                return key.opened(whole, bodies=True)
            known = key.links_of(row.msgid, row.facts)
            state = "REVERSED" if row.state == "REVERSED" else outcome
            values: dict[str, Any] = {
                "state": state,
                "infcode": infcode[:20],
                "ended_ms": at_ms,
                "facts": key.facts(row.msgid, {**known, **links}, text),
            }
            if answer:
                values["answer"] = key.body(row.msgid, "answer", answer)
            connection.execute(_CHANGED, values | {"of": row.msgid})
            self._link(connection, key, row.msgid, links)
            return replace(
                exchange,
                state=state,
                infcode=infcode[:20],
                text=text,
                answer=answer or exchange.answer,
                ended_ms=at_ms,
                links={**known, **shown(links)},
            )

        ended: Exchange = await self._database.write(change)
        return ended

    async def undone(self, msgid: str, by: str) -> None:
        def change(connection: Connection, key: Key) -> None:
            changed = update(table).where(e.msgid == msgid).values(state="REVERSED", reversed_by=by)
            connection.execute(changed)

        await self._database.write(change)

    async def of_key(self, system: str, key: str) -> Sequence[Exchange]:
        # What was given up before it left is no exchange: who asks again under its key is not told of it.
        if self._left:
            await asyncio.wait(set(self._left))
        await self._forget_void()
        return await self._found(_OF_KEY, {"by": system, "under": key})

    async def find(self, msgid: str) -> Exchange | None:
        found = await self._found(_WHOLE, {"of": msgid})
        return found[0] if found else None

    async def search(
        self,
        system: str = "",
        *,
        links: Mapping[str, str] = NOTHING,
        state: str = "",
        infno: str = "",
        since_ms: int = 0,
        until_ms: int = 0,
        limit: int = 100,
    ) -> Sequence[Exchange]:
        """At the most LIMIT, without their bodies."""

        def look(connection: Connection, key: Key) -> list[Exchange]:
            asked = select(*_HEAD)
            asked = asked.where(e.system == system) if system else asked
            asked = asked.where(e.state == state) if state else asked
            asked = asked.where(e.infno == infno) if infno else asked
            asked = asked.where(e.at_ms >= since_ms) if since_ms else asked
            asked = asked.where(e.at_ms < until_ms) if until_ms else asked
            for tag in key.tags(links):
                asked = asked.where(e.msgid.in_(select(link.c.msgid).where(link.c.tag == tag)))
            asked = asked.order_by(e.at_ms.desc(), e.msgid.desc()).limit(min(max(limit, 1), LIMIT))
            return [key.opened(row, bodies=False) for row in connection.execute(asked)]

        return await self._database.read(look)

    async def settled(self, system: str, since_ms: int, until_ms: int) -> AsyncIterator[Exchange]:
        """A settlement that was cancelled (2208, 2305, 2103) is among them, as its cancel is; one that 2601 reversed
        is not. The time is that of the answer."""
        cancel = table.alias("cancel")
        by_business = select(cancel.c.msgid).where(
            cancel.c.msgid == e.reversed_by, cancel.c.infno.in_(CANCELS)
        )
        counted = or_(e.state == "OK", and_(e.state == "REVERSED", by_business.exists()))
        last: tuple[int, str] = (since_ms, "")
        while True:
            after = or_(e.ended_ms > last[0], and_(e.ended_ms == last[0], e.msgid > last[1]))
            asked = (
                select(table)
                .where(e.system == system, e.infno.in_(SETTLEMENTS), counted, after, e.ended_ms < until_ms)
                .order_by(e.ended_ms, e.msgid)
                .limit(_PAGE)
            )
            page = await self._found(asked)
            for one in page:
                yield one
            if len(page) < _PAGE:
                return
            last = (page[-1].ended_ms, page[-1].msgid)

    async def signed(self, system: str, opter: str, device: str, day: str) -> SignIn | None:
        def look(connection: Connection, key: Key) -> SignIn | None:
            return _signed(connection, system, opter, device, day)

        return await self._database.read(look)

    async def sign_in(self, made: SignIn) -> SignIn:
        def change(connection: Connection, key: Key) -> SignIn:
            row = {name: getattr(made, name) for name in made.__struct_fields__}
            connection.execute(self._database.insert(sign_in).values(row).on_conflict_do_nothing())
            return _signed(connection, made.system, made.opter, made.device, made.day) or made

        held: SignIn = await self._database.write(change)
        return held

    async def sign_out(self, made: SignIn) -> None:
        def change(connection: Connection, key: Key) -> None:
            same = (
                s.system == made.system,
                s.opter == made.opter,
                s.device == made.device,
                s.day == made.day,
            )
            connection.execute(delete(sign_in).where(*same, s.sign_no == made.sign_no))

        await self._database.write(change)

    async def forget(self, before_ms: int) -> int:
        """Rows from before that time which have an end. Returns how many went."""

        def change(connection: Connection, key: Key) -> int:
            over = select(e.msgid).where(e.at_ms < before_ms, e.state.in_(("OK", "REJECTED", "REVERSED")))
            ids = list(connection.execute(over.limit(_PRUNED)).scalars())
            for each in (link, table):
                connection.execute(delete(each).where(each.c.msgid.in_(ids)))
            return len(ids)

        total = 0
        while gone := await self._database.write(change):
            total += gone
        return total

    def rekey(self) -> int:
        """Blocking. See GroupedDatabase."""
        return self._database.rekey()

    @property
    def used(self) -> bool:
        """Whether this process has opened them."""
        return self._database.used

    def close(self) -> None:
        """Blocking: waits for what is being written."""
        self._database.close()

    def _free(self, msgid: Callable[[int], str]) -> Any:
        """Serials to try: from a place of this process's own in the second, all of it, then the seconds after."""
        head = msgid(0)[:-4]
        if head not in self._serials:
            while len(self._serials) >= _REMEMBERED:
                self._serials.pop(next(iter(self._serials)))
            self._serials[head] = 0
        for _ in range(SERIALS * _SECONDS):
            used = self._serials[head]
            self._serials[head] = used + 1
            second, place = divmod(used, SERIALS)
            if second >= _SECONDS:
                return
            yield second * SERIALS + (self._drawn + place) % SERIALS

    def _inserted(
        self, connection: Connection, key: Key, ask: Ask, msgid: str, request: bytes, facts: bytes
    ) -> Exchange | None:
        """None where somebody has that msgid."""
        row = {
            "msgid": msgid,
            "system": ask.system,
            "infno": ask.infno,
            "key": ask.key,
            "at_ms": ask.at_ms,
            "opter": ask.opter,
            "state": "sent",
            "infcode": "",
            "ended_ms": 0,
            "reversed_by": "",
            "facts": facts,
            "request": key.body(msgid, "request", request),
            "answer": b"",
        }
        if connection.execute(self._new, row).scalar() is None:
            return None
        self._link(connection, key, msgid, ask.links)
        return Exchange(
            msgid,
            ask.system,
            ask.infno,
            ask.key,
            ask.at_ms,
            ask.opter,
            "sent",
            shown(ask.links),
            request=request,
        )

    def _wait_for(self, connection: Connection, ask: Ask) -> None:
        """On PostgreSQL, that of all who begin under one key each sees the rows of the one before. A file of SQLite has
        one writer, and the row that was inserted made us that."""
        if ask.known is not None and connection.dialect.name == "postgresql":
            told = f"{ask.system}\0{ask.key}\0{ask.infno}".encode("utf-8", "surrogatepass")
            number = int.from_bytes(digest(told)[:8], "big", signed=True)
            connection.execute(_TURN, {"number": number})

    def _claim(self, connection: Connection, ask: Ask, msgid: str) -> None:
        """Raises Taken, and leaves no row, where there is one that the asker does not know of."""
        if ask.known is None:
            return
        same = {"by": ask.system, "under": ask.key, "what": ask.infno}
        if set(connection.execute(_ASKED, same).scalars()) <= {msgid, *ask.known}:
            return
        connection.execute(delete(table).where(e.msgid == msgid))
        connection.execute(delete(link).where(link.c.msgid == msgid))
        raise Taken

    def _link(self, connection: Connection, key: Key, msgid: str, links: Mapping[str, str]) -> None:
        rows = [{"tag": tag, "msgid": msgid} for tag in sorted(key.tags(links))]
        if rows:
            connection.execute(self._linked, rows)

    async def _forget_void(self) -> None:
        if not self._void:
            return
        void = dict(self._void)

        def change(connection: Connection, key: Key) -> None:
            for msgid, facts in void.items():
                gone = connection.execute(delete(table).where(e.msgid == msgid, e.facts == facts)).rowcount
                if gone:
                    connection.execute(delete(link).where(link.c.msgid == msgid))

        await self._database.write(change)
        for msgid in void:
            self._void.pop(msgid, None)

    async def _found(self, asked: Select[Any], given: Mapping[str, str] = NOTHING) -> list[Exchange]:
        """With their bodies."""

        def look(connection: Connection, key: Key) -> list[Exchange]:
            return [key.opened(row, bodies=True) for row in connection.execute(asked, dict(given))]

        return await self._database.read(look)


def shown(links: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in links.items() if value and name not in BLIND}


def _signed(connection: Connection, system: str, opter: str, device: str, day: str) -> SignIn | None:
    same = (s.system == system, s.opter == opter, s.device == device, s.day == day)
    sign_no = connection.execute(select(s.sign_no).where(*same)).scalar()
    return SignIn(system, opter, device, day, sign_no) if sign_no is not None else None


def insurance_records(
    url: str, keys: Callable[[], SiteKeys], now_ms: Callable[[], int], tls: Identity | None = None
) -> InsuranceRecords:
    """Those of a database. Touches nothing before its first use."""
    return InsuranceRecords(GroupedDatabase(INSURANCE, Key, url, keys, tls), now_ms)


def open_insurance(settings: Settings, now_ms: Callable[[], int]) -> InsuranceRecords:
    """The site's."""
    return InsuranceRecords(of_site(INSURANCE, Key, settings), now_ms)
