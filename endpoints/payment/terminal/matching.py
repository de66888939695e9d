"""Which order a POS's last transaction is of, and by what way money goes back at a POS. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from endpoints.payment.orders import Order, Refund
from endpoints.payment.terminal.reports import Transaction

_CLOCKS_MS = 300_000  # how far a POS's clock may be behind ours
_DAY_MS, _CHINA_MS = 86_400_000, 28_800_000
_CUT_MS = 3_600_000  # UnionPay's day goes from 23:00 to 23:00

Way = Literal["void", "refund", "payout"]


def match(mine: Sequence[Order], transaction: Transaction) -> Order | None:
    """Of the orders that are open at this terminal. By the memo, else the only one of that amount since it was made."""
    if transaction.order:
        return next((one for one in mine if one.number == transaction.order), None)
    fits = [one for one in mine if one.fen == transaction.fen and transaction.at_ms >= one.at_ms - _CLOCKS_MS]
    return fits[0] if len(fits) == 1 else None


def way_of(order: Order, refund: Refund, others: Sequence[Refund], now_ms: int) -> Way:
    """A void (撤销) is of the whole, on the same POS and UnionPay day, and of what was not refunded in part."""
    if order.method == "cash":
        return "payout"
    parts = [one for one in others if one.number != refund.number and one.state not in ("CLOSED", "FAILED")]
    whole = refund.fen == order.paid_fen and not parts
    today = day_of(order.paid_ms) == day_of(now_ms)
    return "void" if whole and today and not order.facts.get("void_refused") else "refund"


def day_of(at_ms: int) -> int:
    """UnionPay's day as a number that grows by 1.

    >>> from datetime import datetime
    >>> [day_of(int(datetime.fromisoformat(f"2026-01-05T{t}+08:00").timestamp() * 1000)) - 20457
    ...     for t in ("22:59:59", "23:00:00", "23:59:59")]
    [1, 2, 2]
    """
    return (at_ms + _CHINA_MS + _CUT_MS) // _DAY_MS
