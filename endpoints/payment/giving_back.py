"""Where a channel can reverse what was paid only by a refund: it is on record before it leaves, like any other."""

from __future__ import annotations

from msgspec.structs import replace

from endpoints.payment.channel import PaymentChannel
from endpoints.payment.numbers import number_of
from endpoints.payment.orders import Evidence, Order, Refund, RefundEvidence, owed
from endpoints.payment.records import Payments


async def give_all_back(
    channel: PaymentChannel, payments: Payments | None, order: Order, paid: Evidence, now_ms: int
) -> Evidence:
    """All that is left of a paid order goes back, under one number: REFUNDED, or PAID as long as it has not.

    Raises Refused and Unreachable as `Payments` does.
    """
    assert payments is not None, "a party without records asks nothing of a channel"
    order = await payments.seen(order, paid)
    key = f"{order.key}/reverse"
    refund = await payments.refund_of_key(order.system, key)
    if refund is None:
        left = order.paid_fen - owed(tuple(await payments.refunds(order.system, order.number)))
        if left <= 0:
            return paid  # all of it goes back already, by other refunds
        wanted = Refund(
            order.system,
            "R" + number_of(order.system, key),
            order.number,
            key,
            left,
            now_ms,
            settlement=order.settlement,
            reason="reversal 撤销",
            undoes=True,
        )
        refund = await payments.give_back(wanted)
    if refund.state != "SUCCESS":
        seen = await sent(channel, order, refund)
        refund = await payments.refund_seen(refund, seen)
        paid = replace(paid, code=seen.code, text=seen.text)
    return replace(paid, state="REFUNDED") if refund.state == "SUCCESS" else replace(paid, state="PAID")


async def sent(channel: PaymentChannel, order: Order, refund: Refund) -> RefundEvidence:
    """What became of a refund that leaves, or leaves again. A no to the second try says nothing of the first: that is
    asked about, and counts as long as nobody knows."""
    seen = await channel.refund(order, refund)
    if seen.state not in ("FAILED", "CLOSED") or refund.state not in ("UNKNOWN", "PROCESSING"):
        return seen
    first = await channel.query_refund(order, refund)
    return replace(seen, state="UNKNOWN") if first.state == "ABSENT" else first
