"""`router.reconcile.kept.Kept` on a database: what a run or a person changes is one commit."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from config.crypto import SiteKeys
from config.errors import Refused
from config.settings import Settings
from config.tls import Identity
from router.reconcile.books import Item
from router.reconcile.kept import Event, Run, Signature, Source, Statement
from router.store import reconcile_tables as tables
from router.store.durable import GroupedDatabase, of_site
from router.store.reconcile_rows import Key

s, r, i = (t.c for t in (tables.statement, tables.run, tables.item))
e, g, x = (t.c for t in (tables.event, tables.signature, tables.export))
_MOST = 100_000  # items of one answer
_STATEMENT = [column for column in tables.statement.c if column.name != "body"]


class ReconcileStore:
    """Meets `Kept`. Opened at first use."""

    def __init__(self, database: GroupedDatabase[Key], now_ms: Callable[[], int]) -> None:
        self._database = database
        self._now_ms = now_ms

    async def keep(self, made: Statement) -> Statement:
        def change(connection: Connection, key: Key) -> Statement:
            here = (s.system == made.system, s.day == made.day)
            asked = select(tables.statement).where(*here).order_by(s.number.desc()).limit(1)
            last = connection.execute(asked).one_or_none()
            if last is not None and last.digest == made.digest:
                return key.statement(last)
            if connection.execute(_signed(made.system, made.day)).one_or_none() is not None:
                raise Refused(
                    "JL-Q034", f"{made.day} of {made.system} was signed on another statement 该日已签核"
                )
            number = last.number + 1 if last is not None else 1
            row = {name: getattr(made, name) for name in made.__struct_fields__} | {
                "number": number,
                "source": msgspec.json.encode(made.source).decode(),
                "body": key.body(made.body, made.system, made.day, made.digest),
            }
            connection.execute(insert(tables.statement).values(row))
            return msgspec.structs.replace(made, number=number)

        return await self._database.write(change)

    async def statement(self, system: str, day: str) -> Statement | None:
        def look(connection: Connection, key: Key) -> Statement | None:
            asked = select(tables.statement).where(s.system == system, s.day == day)
            row = connection.execute(asked.order_by(s.number.desc()).limit(1)).one_or_none()
            return key.statement(row) if row is not None else None

        return await self._database.read(look)

    async def record(self, run: Run, items: Sequence[Item], books: Sequence[str]) -> Run:
        at_ms = self._now_ms()

        def change(connection: Connection, key: Key) -> Run:
            asked = select(tables.item).where(i.system == run.system, i.day == run.day).with_for_update()
            before = {row.id: row for row in connection.execute(asked)}
            changed = 0
            for one in items:
                changed += _found(connection, key, one, before.pop(one.id, None), at_ms)
            for row in before.values():
                if row.state != "RESOLVED" and row.book in books:
                    _moved(
                        connection,
                        key,
                        row.id,
                        "resolved",
                        {"text": "the books agree 账平"},
                        "RESOLVED",
                        at_ms,
                    )
                    changed += 1
            here = (r.system == run.system, r.day == run.day)
            number = (connection.execute(select(func.max(r.number)).where(*here)).scalar() or 0) + 1
            made = msgspec.structs.replace(run, number=number, found=len(items), changed=changed)
            connection.execute(insert(tables.run).values(msgspec.structs.asdict(made)))
            return made

        return await self._database.write(change)

    async def items(
        self, system: str = "", day: str = "", state: str = "", until: str = "", limit: int = 1000
    ) -> list[Item]:
        """`state`: one of theirs, or `live` for all but RESOLVED. `until`: of this day and before. Oldest first."""
        asked = select(tables.item)
        for column, value in ((i.system, system), (i.day, day)):
            asked = asked.where(column == value) if value else asked
        asked = asked.where(i.day <= until) if until else asked
        if state:
            asked = asked.where(i.state != "RESOLVED" if state == "live" else i.state == state)
        asked = asked.order_by(i.day, i.system, i.id).limit(min(limit, _MOST))

        def look(connection: Connection, key: Key) -> list[Item]:
            return [key.item(row) for row in connection.execute(asked)]

        return await self._database.read(look)

    async def item(self, id: str) -> tuple[Item, list[Event]]:
        def look(connection: Connection, key: Key) -> tuple[Item, list[Event]]:
            row = connection.execute(select(tables.item).where(i.id == id)).one_or_none()
            if row is None:
                raise Refused("JL-Q030", f"no item is called {id[:40]} 没有这条差异")
            events = connection.execute(select(tables.event).where(e.item == id).order_by(e.number))
            return key.item(row), [key.event(one) for one in events]

        return await self._database.read(look)

    async def say(self, id: str, what: str, said: dict[str, Any], state: str = "") -> Item:
        at_ms = self._now_ms()

        def change(connection: Connection, key: Key) -> Item:
            row = connection.execute(select(tables.item).where(i.id == id).with_for_update()).one_or_none()
            if row is None:
                raise Refused("JL-Q030", f"no item is called {id[:40]} 没有这条差异")
            _moved(connection, key, id, what, said, state or row.state, at_ms)
            return key.item(connection.execute(select(tables.item).where(i.id == id)).one())

        return await self._database.write(change)

    async def sign(self, made: Signature) -> Signature:
        def change(connection: Connection, key: Key) -> Signature:
            if connection.execute(_signed(made.system, made.day)).one_or_none() is not None:
                raise Refused("JL-Q033", f"{made.day} of {made.system} is signed 该日已签核")
            here = (i.system == made.system, i.day <= made.day)
            open_ = connection.execute(select(func.count()).where(*here, i.state == "OPEN")).scalar_one()
            if open_:
                text = f"{open_} items until {made.day} have no explanation 有 {open_} 条差异未说明"
                raise Refused("JL-Q031", text)
            rows = connection.execute(select(tables.item).where(*here).order_by(i.id)).all()
            whole = msgspec.structs.replace(
                made,
                items=_digest(rows),
                carried=tuple(row.id for row in rows if row.state == "TRANSIT"),
                explained=tuple(row.id for row in rows if row.state == "EXPLAINED" and row.day == made.day),
            )
            place = ("signature", made.system, made.day, str(made.at_ms))
            row = {"system": made.system, "day": made.day, "at_ms": made.at_ms}
            said = key.sealed(msgspec.to_builtins(whole), *place)
            connection.execute(insert(tables.signature).values(row | {"said": said}))
            return whole

        return await self._database.write(change)

    async def signature(self, system: str, day: str) -> Signature | None:
        def look(connection: Connection, key: Key) -> Signature | None:
            row = connection.execute(_signed(system, day)).one_or_none()
            return key.signature(row) if row is not None else None

        return await self._database.read(look)

    async def runs(self, system: str, day: str) -> list[Run]:
        def look(connection: Connection, key: Key) -> list[Run]:
            asked = select(tables.run).where(r.system == system, r.day == day).order_by(r.number)
            return [Run(*row) for row in connection.execute(asked)]

        return await self._database.read(look)

    async def exported(self, system: str, day: str, said: dict[str, Any]) -> None:
        at_ms = self._now_ms()

        def change(connection: Connection, key: Key) -> None:
            here = (x.system == system, x.day == day)
            number = (connection.execute(select(func.max(x.number)).where(*here)).scalar() or 0) + 1
            row = {"system": system, "day": day, "number": number, "at_ms": at_ms}
            sealed = key.sealed(said, "export", system, day, str(number))
            connection.execute(insert(tables.export).values(row | {"said": sealed}))

        await self._database.write(change)

    async def exports(self, system: str, day: str) -> list[Event]:
        def look(connection: Connection, key: Key) -> list[Event]:
            rows = connection.execute(
                select(tables.export).where(x.system == system, x.day == day).order_by(x.number)
            )
            return [
                Event(
                    row.number,
                    row.at_ms,
                    "exported",
                    key.opened(row.said, "export", system, day, str(row.number)),
                )
                for row in rows
            ]

        return await self._database.read(look)

    async def days(self, system: str = "", limit: int = 100) -> list[Statement]:
        def look(connection: Connection, key: Key) -> list[Statement]:
            asked = select(*_STATEMENT).where(s.system == system) if system else select(*_STATEMENT)
            rows = connection.execute(asked.order_by(s.day.desc(), s.system, s.number.desc()).limit(limit))
            return [_head(row) for row in rows]

        return await self._database.read(look)

    def rekey(self) -> int:
        """Blocking. See GroupedDatabase."""
        return self._database.rekey()

    @property
    def used(self) -> bool:
        return self._database.used

    def close(self) -> None:
        """Blocking: waits for what is being written."""
        self._database.close()


def _found(connection: Connection, key: Key, one: Item, there: Any, at_ms: int) -> int:
    """1 where something changed. What a person explained stays so, while it is of the same amounts."""
    if there is None:
        row = key.item_row(one) | {"first_ms": at_ms, "changed_ms": at_ms}
        connection.execute(insert(tables.item).values(row))
        _told(connection, key, one.id, "found", {"state": one.state}, at_ms)
        return 1
    same = (there.theirs_fen, there.ours_fen) == (one.theirs_fen, one.ours_fen)
    if same and (there.state == one.state or there.state == "EXPLAINED"):
        return 0
    what = "broken" if (there.state, one.state) == ("TRANSIT", "OPEN") else "changed"
    before = {"state": there.state, "theirs_fen": there.theirs_fen, "ours_fen": there.ours_fen}
    connection.execute(update(tables.item).where(i.id == one.id).values(key.item_row(one)))
    _moved(
        connection, key, one.id, what if there.state != "RESOLVED" else "reopened", before, one.state, at_ms
    )
    return 1


def _moved(
    connection: Connection, key: Key, id: str, what: str, said: dict[str, Any], state: str, at_ms: int
) -> None:
    connection.execute(update(tables.item).where(i.id == id).values(state=state, changed_ms=at_ms))
    _told(connection, key, id, what, said | {"state": state}, at_ms)


def _told(connection: Connection, key: Key, id: str, what: str, said: dict[str, Any], at_ms: int) -> None:
    number = (connection.execute(select(func.max(e.number)).where(e.item == id)).scalar() or 0) + 1
    row = {"item": id, "number": number, "at_ms": at_ms, "what": what}
    sealed = key.sealed(said, "event", id, str(number))
    connection.execute(insert(tables.event).values(row | {"said": sealed}))


def _signed(system: str, day: str) -> Any:
    return select(tables.signature).where(g.system == system, g.day == day)


def _head(row: Any) -> Statement:
    source = msgspec.json.decode(row.source, type=Source)
    counted = (row._mapping["count"], row.paid_fen, row.back_fen, row.fee_fen)
    return Statement(row.system, row.day, row.number, row.at_ms, row.digest, source, *counted)


def _digest(rows: Sequence[Any]) -> str:
    told = "\n".join(f"{row.id} {row.state} {row.theirs_fen} {row.ours_fen}" for row in rows)
    return hashlib.sha256(told.encode()).hexdigest()


def reconcile_store(
    url: str, keys: Callable[[], SiteKeys], now_ms: Callable[[], int], tls: Identity | None = None
) -> ReconcileStore:
    """That of a database. Touches nothing before its first use."""
    return ReconcileStore(GroupedDatabase(tables.RECONCILE, Key, url, keys, tls), now_ms)


def open_reconcile(settings: Settings, now_ms: Callable[[], int]) -> ReconcileStore:
    """The site's."""
    return ReconcileStore(of_site(tables.RECONCILE, Key, settings), now_ms)
