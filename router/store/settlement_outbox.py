"""Events of settlements that wait to be published."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, delete, or_, select

from router.store import settlement_tables as tables
from router.store.durable import GroupedDatabase

o = tables.outbox.c


class Event(NamedTuple):
    """`at_ms` is when the settlement ended."""

    settlement: str
    name: str
    at_ms: int


class Outbox:
    """All methods raise Unreachable while the database is away."""

    def __init__(self, database: GroupedDatabase[Any]) -> None:
        self._database = database

    async def waiting(self, names: Collection[str], without: Collection[str], limit: int) -> Sequence[Event]:
        """Those of these names, the oldest first, a settlement's side by side; none of the settlements `without`."""

        def look(connection: Connection, key: Any) -> list[Event]:
            asked = select(o.settlement, o.event, o.at_ms).where(o.event.in_(names))
            if without:
                asked = asked.where(o.settlement.not_in(without))
            return [
                Event(*row) for row in connection.execute(asked.order_by(o.at_ms, o.settlement).limit(limit))
            ]

        return await self._database.read(look) if names else []

    async def published(self, events: Sequence[Event]) -> None:
        """They wait no more."""

        def change(connection: Connection, key: Any) -> None:
            these = [and_(o.settlement == one.settlement, o.event == one.name) for one in events]
            connection.execute(delete(tables.outbox).where(or_(*these)))

        if events:
            await self._database.write(change)

    async def forget(self, names: Collection[str], before_ms: int) -> None:
        """Those of other names that are older than that: nobody takes them."""

        def change(connection: Connection, key: Any) -> None:
            connection.execute(delete(tables.outbox).where(o.event.not_in(names), o.at_ms < before_ms))

        await self._database.write(change)
