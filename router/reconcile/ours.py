"""Our own books as rows: orders and refunds of a channel, and what the ledger booked by it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from endpoints.payment.orders import RECEIVED, Order, Refund
from endpoints.payment.records import Payments
from schemas.statements.row import Row, State

_PAGE = 1_000
_SAID = ("terminal", "cashier", "shift", "department", "business")  # facts of an order
_REFUND_STATES: Mapping[str, State] = {
    "SUCCESS": "DONE",
    "CLOSED": "FAILED",
    "FAILED": "FAILED",
    "ABNORMAL": "ABNORMAL",
}


def of_order(order: Order) -> Row:
    """An order that nobody was asked to pay yet, or that waits for its payer, is expected nowhere: FAILED until it is
    paid; one of which nobody can say is PENDING."""
    if order.state in RECEIVED:
        state: State = "DONE"
    else:
        state = "PENDING" if order.state in ("UNKNOWN", "PAYING") else "FAILED"
    said = {name: str(order.facts.get(name) or "") for name in _SAID}
    return Row(
        system=order.system,
        kind="PAY",
        number=order.number,
        fen=order.paid_fen or order.fen,
        at_ms=order.paid_ms or order.at_ms,
        state=state,
        channel_no=order.channel_no,
        received_fen=order.paid_fen,
        bill=order.settlement,
        method=order.method,
        terminal=said["terminal"],
        cashier=said["cashier"],
        shift=said["shift"],
        department=said["department"],
        business=said["business"],
        facts={"after_close": 1} if order.state == "PAID_AFTER_CLOSE" else {},
    )


def of_refund(refund: Refund) -> Row:
    return Row(
        system=refund.system,
        kind="REFUND",
        number=refund.number,
        fen=refund.fen,
        at_ms=refund.at_ms,
        state=_REFUND_STATES.get(refund.state, "PENDING"),
        channel_no=refund.channel_no,
        received_fen=refund.fen,
        order=refund.order,
        bill=refund.settlement,
    )


def of_either(one: Order | Refund) -> Row:
    return of_order(one) if isinstance(one, Order) else of_refund(one)


async def between(payments: Payments, system: str, from_ms: int, to_ms: int) -> AsyncIterator[Row]:
    """By number. Raises Unreachable."""
    after = ""
    while True:
        page = await payments.between(system, from_ms, to_ms, after, _PAGE)
        for one in page:
            if one.fen:  # a mixed order that the insurance paid whole has no cash, and stands in no statement
                yield of_either(one)
        if len(page) < _PAGE:
            return
        after = page[-1].number


async def known(payments: Payments, row: Row) -> Row | None:
    """Ours that a row of a statement speaks of, whatever its day."""
    if row.kind == "PAY":
        order = await payments.order(row.system, row.number) if row.number else None
        order = order or (await payments.of_channel(row.system, row.channel_no) if row.channel_no else None)
        return of_order(order) if order is not None else None
    refund = await payments.refund(row.system, row.number) if row.number else None
    return of_refund(refund) if refund is not None else None
