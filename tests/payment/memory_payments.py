"""`endpoints.payment.records.Payments` in memory: what the database keeps, for tests that need no database."""

from __future__ import annotations

from collections.abc import Sequence

from config.errors import Refused, Unreachable
from endpoints.payment.orders import Evidence, Order, Refund, RefundEvidence, moved, refund_moved, refunded
from endpoints.payment.records import again, allowed, same

_OPEN = ("CREATED", "PREPAID", "PAYING", "UNKNOWN")
_REFUND_OPEN = ("CREATED", "UNKNOWN", "PROCESSING")


class MemoryPayments:
    """`away`: the database cannot be reached."""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.given_back: dict[str, Refund] = {}
        self.away = False

    def _here(self) -> None:
        if self.away:
            raise Unreachable("JL-P020", "the database is away")

    async def place(self, order: Order) -> Order:
        self._here()
        there = await self.of_key(order.system, order.key)
        if there is None:
            if order.number in self.orders:
                raise Refused("JL-P001", "the number is another order's")
            self.orders[order.number] = order
            return order
        return same(there, order)

    async def order(self, system: str, number: str) -> Order | None:
        self._here()
        found = self.orders.get(number)
        return found if found is not None and found.system == system else None

    async def of_key(self, system: str, key: str) -> Order | None:
        self._here()
        return next((o for o in self.orders.values() if (o.system, o.key) == (system, key)), None)

    async def of_channel(self, system: str, channel_no: str) -> Order | None:
        self._here()
        mine = (o for o in self.orders.values() if o.system == system and channel_no)
        return next((o for o in mine if o.channel_no == channel_no), None)

    async def seen(self, order: Order, evidence: Evidence) -> Order:
        self._here()
        after = refunded(moved(self.orders[order.number], evidence), self._of(order.number))
        self.orders[order.number] = after
        return after

    async def give_back(self, refund: Refund) -> Refund:
        self._here()
        there = await self.refund_of_key(refund.system, refund.key)
        order = self.orders.get(refund.order)
        if order is None:
            raise Refused("JL-P009", f"there is no order {refund.order}")
        if there is not None:
            return again(order, self._of(order.number), there)
        allowed(order, self._of(refund.order), refund)
        self.given_back[refund.number] = refund
        return refund

    async def refund_of_key(self, system: str, key: str) -> Refund | None:
        self._here()
        return next((r for r in self.given_back.values() if (r.system, r.key) == (system, key)), None)

    async def refund(self, system: str, number: str) -> Refund | None:
        self._here()
        found = self.given_back.get(number)
        return found if found is not None and found.system == system else None

    async def refunds(self, system: str, order: str) -> Sequence[Refund]:
        self._here()
        return self._of(order)

    async def refund_seen(self, refund: Refund, evidence: RefundEvidence) -> Refund:
        self._here()
        after = refund_moved(self.given_back[refund.number], evidence)
        self.given_back[refund.number] = after
        order = self.orders[refund.order]
        self.orders[refund.order] = refunded(order, self._of(refund.order))
        return after

    async def open(self, system: str, before_ms: int, limit: int) -> Sequence[Order]:
        self._here()
        mine = [o for o in self.orders.values() if o.system == system and o.state in _OPEN]
        return sorted((o for o in mine if o.at_ms < before_ms), key=lambda o: (o.at_ms, o.number))[:limit]

    async def open_refunds(self, system: str, before_ms: int, limit: int) -> Sequence[Refund]:
        self._here()
        mine = [r for r in self.given_back.values() if r.system == system and r.state in _REFUND_OPEN]
        return sorted((r for r in mine if r.at_ms < before_ms), key=lambda r: (r.at_ms, r.number))[:limit]

    async def between(
        self, system: str, from_ms: int, to_ms: int, after: str, limit: int
    ) -> Sequence[Order | Refund]:
        self._here()
        placed = [o for o in self.orders.values() if from_ms <= (o.paid_ms or o.at_ms) < to_ms]
        back = [r for r in self.given_back.values() if from_ms <= r.at_ms < to_ms]
        mine: list[Order | Refund] = [one for one in (*placed, *back) if one.system == system]
        return sorted((one for one in mine if one.number > after), key=lambda one: one.number)[:limit]

    def _of(self, order: str) -> tuple[Refund, ...]:
        return tuple(r for r in self.given_back.values() if r.order == order)
