"""What the engine remembers of orders and refunds: durable before a request leaves the process.

The rows are the router's (router/store); this is what endpoints may ask of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from config.errors import Refused
from endpoints.payment.orders import RECEIVED, Evidence, Order, Refund, RefundEvidence, owed

MOST_REFUNDS = 50  # of an order (微信支付: at most 50 partial refunds)


class Payments(Protocol):
    """All methods raise `Unreachable` (JL-P020, nothing left) while the database is away."""

    async def place(self, order: Order) -> Order:
        """Commits it, or gives the one that has this system and key already. Raises Refused (JL-P001) where that one
        is of another amount or method."""

    async def order(self, system: str, number: str) -> Order | None: ...

    async def of_key(self, system: str, key: str) -> Order | None: ...

    async def of_channel(self, system: str, channel_no: str) -> Order | None:
        """By the channel's number."""

    async def seen(self, order: Order, evidence: Evidence) -> Order:
        """The order as it is now: `moved` by the evidence, in one commit with others' out of the way."""

    async def give_back(self, refund: Refund) -> Refund:
        """Commits it, or gives the one that has this system and key already. Under the order's row lock: raises
        Refused JL-P002 where the order is not paid, JL-P003 where it would be more than was paid, JL-P004 where there
        are MOST_REFUNDS. One that was refused counted no more: it is looked at again."""

    async def refund_of_key(self, system: str, key: str) -> Refund | None: ...

    async def refund(self, system: str, number: str) -> Refund | None: ...

    async def refunds(self, system: str, order: str) -> Sequence[Refund]: ...

    async def refund_seen(self, refund: Refund, evidence: RefundEvidence) -> Refund:
        """As `seen`; its order is moved too."""

    async def open(self, system: str, before_ms: int, limit: int) -> Sequence[Order]:
        """Orders that have no end and were placed before: CREATED, PREPAID, PAYING, UNKNOWN; oldest first."""

    async def open_refunds(self, system: str, before_ms: int, limit: int) -> Sequence[Refund]:
        """Refunds that have no end and were asked for before: CREATED, UNKNOWN, PROCESSING; oldest first."""

    async def between(
        self, system: str, from_ms: int, to_ms: int, after: str, limit: int
    ) -> Sequence[Order | Refund]:
        """For reconciliation: orders by `paid_ms` (else `at_ms`), refunds by `at_ms`; by number, `after` exclusive."""


def same(there: Order, asked: Order) -> Order:
    """The order that has the key already. Raises Refused (JL-P001) where it is not what is asked for."""
    if (there.fen, there.method) != (asked.fen, asked.method):
        text = f"{asked.key} came before with another amount or method, as {there.number} 支付单重复"
        raise Refused("JL-P001", text)
    return there


def allowed(order: Order, refunds: tuple[Refund, ...], refund: Refund) -> None:
    """Whether one more refund of it may be. Raises Refused (JL-P002, JL-P003, JL-P004)."""
    if order.state not in RECEIVED:
        raise Refused("JL-P002", f"{order.number} is {order.state}: nothing was paid 未支付不能退款")
    if len(refunds) >= MOST_REFUNDS:
        text = f"{order.number} has {len(refunds)} refunds: pay the rest out another way 退款次数超限"
        raise Refused("JL-P004", text)
    if refund.fen <= 0 or owed(refunds) + refund.fen > order.paid_fen:
        raise Refused("JL-P003", f"{order.number}: more would go back than was paid 退款超出已付金额")


def again(order: Order, refunds: tuple[Refund, ...], there: Refund) -> Refund:
    """The refund that has the key already. Raises Refused as `allowed` where it was refused, and others have what it
    would give back."""
    if there.state in ("CLOSED", "FAILED"):
        allowed(order, tuple(one for one in refunds if one.number != there.number), there)
    return there
