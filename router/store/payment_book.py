"""`endpoints.payment.records.Payments` on a database.

An order's row is locked by whatever changes it or its refunds, so that two processes never give back more than was
paid. Rows are added and moved on, and never deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Select, select, update

from config.crypto import SiteKeys
from config.errors import Refused
from config.settings import Settings
from config.tls import Identity
from endpoints.payment.orders import Evidence, Order, Refund, RefundEvidence, moved, refund_moved, refunded
from endpoints.payment.records import again, allowed, same
from router.store.durable import GroupedDatabase, of_site
from router.store.payment_rows import Key
from router.store.payment_tables import OPEN, PAYMENTS, REFUND_OPEN
from router.store.payment_tables import order as orders
from router.store.payment_tables import refund as refunds

o, r = orders.c, refunds.c
LIMIT = 1_000  # rows of one answer


class PaymentBook:
    """Meets `Payments`. Opened at first use."""

    def __init__(self, database: GroupedDatabase[Key]) -> None:
        self._database = database

    async def place(self, order: Order) -> Order:
        def change(connection: Connection, key: Key) -> Order:
            made = self._database.insert(orders).values(key.order_row(order)).on_conflict_do_nothing()
            if connection.execute(made).rowcount == 1:
                return order
            asked = select(orders).where(o.system == order.system, o.key == order.key)
            there = connection.execute(asked).one_or_none()
            if there is None:
                raise Refused("JL-P001", f"the number {order.number} is another order's 支付单号重复")
            return same(key.order(there), order)

        return await self._database.write(change)

    async def order(self, system: str, number: str) -> Order | None:
        return await self._order(select(orders).where(o.system == system, o.number == number))

    async def of_key(self, system: str, key: str) -> Order | None:
        return await self._order(select(orders).where(o.system == system, o.key == key))

    async def of_channel(self, system: str, channel_no: str) -> Order | None:
        asked = select(orders).where(o.system == system, o.channel_no == channel_no)
        return await self._order(asked.order_by(o.number).limit(1)) if channel_no else None

    async def seen(self, order: Order, evidence: Evidence) -> Order:
        def change(connection: Connection, key: Key) -> Order:
            now = _locked(connection, key, order.number)
            back = _refunds_of(connection, key, order.number)
            return _kept(connection, key, now, refunded(moved(now, evidence), back))

        return await self._database.write(change)

    async def give_back(self, refund: Refund) -> Refund:
        def change(connection: Connection, key: Key) -> Refund:
            order = _locked(connection, key, refund.order)
            asked = select(refunds).where(r.system == refund.system, r.key == refund.key)
            others = _refunds_of(connection, key, order.number)
            if (there := connection.execute(asked).one_or_none()) is not None:
                return again(order, others, key.refund(there))
            allowed(order, others, refund)
            made = self._database.insert(refunds).values(key.refund_row(refund)).on_conflict_do_nothing()
            if connection.execute(made).rowcount == 1:
                return refund
            found = connection.execute(asked).one_or_none()  # of another order, under the same key
            if found is None:
                raise Refused("JL-P001", f"the number {refund.number} is another refund's 退款单号重复")
            return key.refund(found)

        return await self._database.write(change)

    async def refund_of_key(self, system: str, key: str) -> Refund | None:
        found = await self._refunds(select(refunds).where(r.system == system, r.key == key))
        return found[0] if found else None

    async def refund(self, system: str, number: str) -> Refund | None:
        found = await self._refunds(select(refunds).where(r.system == system, r.number == number))
        return found[0] if found else None

    async def refunds(self, system: str, order: str) -> Sequence[Refund]:
        asked = select(refunds).where(r.system == system, r.order_number == order)
        return await self._refunds(asked.order_by(r.at_ms, r.number))

    async def refund_seen(self, refund: Refund, evidence: RefundEvidence) -> Refund:
        def change(connection: Connection, key: Key) -> Refund:
            order = _locked(connection, key, refund.order)
            row = connection.execute(select(refunds).where(r.number == refund.number)).one()
            before = key.refund(row)
            after = refund_moved(before, evidence)
            if after != before:
                connection.execute(
                    update(refunds).where(r.number == after.number).values(key.refund_row(after))
                )
            _kept(connection, key, order, refunded(order, _refunds_of(connection, key, order.number)))
            return after

        return await self._database.write(change)

    async def open(self, system: str, before_ms: int, limit: int) -> Sequence[Order]:
        asked = select(orders).where(o.system == system, o.state.in_(OPEN), o.at_ms < before_ms)
        asked = asked.order_by(o.at_ms, o.number).limit(min(limit, LIMIT))

        def look(connection: Connection, key: Key) -> list[Order]:
            return [key.order(row) for row in connection.execute(asked)]

        return await self._database.read(look)

    async def open_refunds(self, system: str, before_ms: int, limit: int) -> Sequence[Refund]:
        asked = select(refunds).where(r.system == system, r.state.in_(REFUND_OPEN), r.at_ms < before_ms)
        return await self._refunds(asked.order_by(r.at_ms, r.number).limit(min(limit, LIMIT)))

    async def between(
        self, system: str, from_ms: int, to_ms: int, after: str, limit: int
    ) -> Sequence[Order | Refund]:
        limit = min(limit, LIMIT)
        of_orders = select(orders).where(
            o.system == system, o.counted_ms >= from_ms, o.counted_ms < to_ms, o.number > after
        )
        of_refunds = select(refunds).where(
            r.system == system, r.at_ms >= from_ms, r.at_ms < to_ms, r.number > after
        )

        def look(connection: Connection, key: Key) -> list[Order | Refund]:
            placed = connection.execute(of_orders.order_by(o.number).limit(limit))
            back = connection.execute(of_refunds.order_by(r.number).limit(limit))
            found: list[Order | Refund] = [key.order(row) for row in placed]
            found += [key.refund(row) for row in back]
            return sorted(found, key=lambda one: one.number)[:limit]

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

    async def _order(self, asked: Select[Any]) -> Order | None:
        def look(connection: Connection, key: Key) -> Order | None:
            row = connection.execute(asked).one_or_none()
            return key.order(row) if row is not None else None

        return await self._database.read(look)

    async def _refunds(self, asked: Select[Any]) -> list[Refund]:
        def look(connection: Connection, key: Key) -> list[Refund]:
            return [key.refund(row) for row in connection.execute(asked)]

        return await self._database.read(look)


def _locked(connection: Connection, key: Key, number: str) -> Order:
    """Raises Refused (JL-P009)."""
    row = connection.execute(select(orders).where(o.number == number).with_for_update()).one_or_none()
    if row is None:
        raise Refused("JL-P009", f"there is no order {number[:40]} 没有这笔支付单")
    return key.order(row)


def _refunds_of(connection: Connection, key: Key, number: str) -> tuple[Refund, ...]:
    found = connection.execute(select(refunds).where(r.order_number == number))
    return tuple(key.refund(row) for row in found)


def _kept(connection: Connection, key: Key, before: Order, after: Order) -> Order:
    if after != before:
        connection.execute(update(orders).where(o.number == after.number).values(key.order_row(after)))
    return after


def payment_book(url: str, keys: Callable[[], SiteKeys], tls: Identity | None = None) -> PaymentBook:
    """Those of a database. Touches nothing before its first use."""
    return PaymentBook(GroupedDatabase(PAYMENTS, Key, url, keys, tls))


def open_payments(settings: Settings) -> PaymentBook:
    """The site's."""
    return PaymentBook(of_site(PAYMENTS, Key, settings))
