"""What a verified notice does: it moves the order, and the settlement is told. Twice, late or out of order, it does
nothing more (F20, F21).

    {"id": "EV-1", "kind": "paid", "order": "JL...", "amount": "36.50", "currency": "CNY", "state": "SUCCESS",
     "channel_no": "42000...", "paid_ms": 1790000000000, "merchant": "1900000001", "app": "wx0000000000000001"}

`kind`: paid, closed, refunded, refund_closed, refund_abnormal. A refund's has `refund`, its number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import structlog

from config.errors import Refused, Unreachable
from endpoints.payment.numbers import fen_of, yuan_of
from endpoints.payment.orders import Evidence, Order, Refund, RefundEvidence, RefundState
from endpoints.payment.told import given_back_tree, told
from schemas.message import Receipt

if TYPE_CHECKING:
    from endpoints.payment.party import PaymentParty

log = structlog.get_logger()
_REFUNDS: Mapping[str, RefundState] = {
    "refunded": "SUCCESS",
    "refund_closed": "CLOSED",
    "refund_abnormal": "ABNORMAL",
}


async def noticed(party: PaymentParty, asked: Mapping[str, Any]) -> Receipt:
    """Raises Refused: JL-P030 no such order, JL-P031 another merchant's or currency, JL-P032 no such refund: a person
    looks at the dead letter, and reconciliation finds the money."""
    kind, number = str(asked.get("kind") or ""), str(asked.get("order") or "")
    order = await party.payments.order(party.system, number)
    if order is None:
        return await _unknown(party, kind, number, asked)
    same_merchant(order, asked)
    if kind in _REFUNDS:
        return await _refund(party, order, asked, _REFUNDS[kind])
    if kind == "closed":
        order = await party.payments.seen(order, Evidence("CLOSED"))
    elif kind == "paid":
        seen = Evidence(
            "PAID",
            fen_of(asked.get("amount")),
            int(asked.get("paid_ms") or 0),
            str(asked.get("channel_no") or ""),
        )
        order = await party.payments.seen(order, seen)
        await follow(party, order)
    else:
        raise Refused("JL-P033", f"a notice of no known kind: {kind[:20]!r} 通知类型无法识别")
    return told("OK", order=order.number, state=order.state)


async def _unknown(party: PaymentParty, kind: str, number: str, asked: Mapping[str, Any]) -> Receipt:
    """Money of an order that nobody knows waits for a person (F24)."""
    text = f"a notice ({kind[:20]}) of {number[:40]!r}, which is no order 通知的支付单不存在"
    if kind != "paid" or party.settle is None or not number.isalnum():
        raise Refused("JL-P030", text)
    await party.settle.found(party.system, number[:64], fen_of(asked.get("amount")), "unknown-order", text)
    return told("OK", order=number[:64], state="UNKNOWN")


def same_merchant(order: Order, asked: Mapping[str, Any]) -> None:
    """What the order was placed with, and its notice must say too. What either does not say is not compared."""
    said = {"currency": "CNY"} | {name: order.facts.get(name) for name in ("merchant", "app")}
    for name, value in said.items():
        if value and asked.get(name) and str(asked[name]) != str(value):
            raise Refused("JL-P031", f"{order.number}: the notice has another {name} 通知与支付单不符")


async def follow(party: PaymentParty, order: Order) -> None:
    """After money was seen: its settlement is told; where that has ended without it, the money goes back (F19)."""
    if not order.settlement or order.state not in ("PAID", "PAID_AFTER_CLOSE"):
        return
    if order.state == "PAID" and not await _told_late(party, order):
        return
    await _give_back(party, order)


async def _told_late(party: PaymentParty, order: Order) -> bool:
    """Whether it had ended, and without this money."""
    steps: tuple[str, ...] = (_step(order.key),)
    if order.method != "code":
        asked = party.rules.waits
        steps = (asked,) if asked else ("payment.notice", f"{party.system}.notice", "paid")
    return await _tell(party, order.settlement, steps, "OK", party.tree_of(order))


async def _give_back(party: PaymentParty, order: Order) -> None:
    """By a pipeline of its own, which the order's number names: begun again it is the same. Until it is done the money
    stands in suspense."""
    rules, settle, number = party.rules, party.settle, f"RT{order.number}"
    if settle is not None:
        order = await party.payments.seen(order, Evidence("PAID", facts={"after_end": True}))
        text = f"paid after the end of {order.settlement} 结算结束后到账"
        account = f"suspense:{number}" if rules.returns else ""
        await settle.found(party.system, order.number, order.paid_fen, "after-end", text, account)
    if not rules.returns:
        log.error("payment.after_close", system=party.system, order=order.number)
        raise Refused(
            "JL-P034", f"{order.number} was paid after its end, and no pipeline `returns` it 关单后到账需退款"
        )
    if settle is None:
        raise Unreachable("JL-T022", "this process carries out no settlements 本进程不执行结算")
    request = {
        "number": number,
        "system": party.system,
        "order": order.number,
        "amount": yuan_of(order.paid_fen),
        "settlement": order.settlement,
        "method": order.method,
        "reason": "关单后到账退款",
    }
    await settle.begin(rules.returns, request, party.system, 0)


async def gone_back(party: PaymentParty, refund: Refund) -> None:
    """What stood in suspense does no more, once all of it went back."""
    if party.settle is None or refund.state != "SUCCESS":
        return
    order = await party.payments.order(party.system, refund.order)
    if order is not None and order.state == "REFUNDED" and order.facts.get("after_end"):
        by = refund.settlement or refund.number
        await party.settle.cleared(party.system, order.number, order.paid_fen, order.settlement, by)


async def _refund(party: PaymentParty, order: Order, asked: Mapping[str, Any], state: RefundState) -> Receipt:
    number = str(asked.get("refund") or "")
    refund = await party.payments.refund(party.system, number)
    if refund is None:
        await party.payments.seen(order, await party.channel.query(order))
        raise Refused(
            "JL-P032", f"a notice of the refund {number[:40]!r}, which we did not ask for 通知的退款不存在"
        )
    fen = fen_of(asked["amount"]) if asked.get("amount") else refund.fen
    if fen != refund.fen:
        raise Refused("JL-P031", f"{number}: the notice has another amount 通知与退款单不符")
    seen = RefundEvidence(state, fen, int(asked.get("paid_ms") or 0), str(asked.get("channel_no") or ""))
    refund = await party.payments.refund_seen(refund, seen)
    await follow_refund(party, refund)
    return told("OK", order=order.number, refund=number, state=refund.state)


async def follow_refund(party: PaymentParty, refund: Refund) -> None:
    """The step that asked for it is told, or the one that it undoes."""
    await gone_back(party, refund)
    outcome = {"SUCCESS": "OK", "CLOSED": "REJECTED", "FAILED": "REJECTED"}.get(refund.state)
    if outcome is not None and refund.settlement:
        about: Literal["do", "undo"] = "undo" if refund.undoes else "do"
        tree = given_back_tree(refund)
        await _tell(party, refund.settlement, (_step(refund.key),), outcome, tree, about)


def _step(key: str) -> str:
    """`S20260105001/pay.2~1` is of the step `pay`."""
    return key.rpartition("/")[2].partition("~")[0].partition(".")[0]


async def _tell(
    party: PaymentParty,
    settlement: str,
    steps: Sequence[str],
    outcome: str,
    tree: dict[str, Any],
    about: Literal["do", "undo"] = "do",
) -> bool:
    """The first of these steps that there is; whether it came too late. Where no settlement has that number the order
    is somebody's own, and where none of its steps waits it asks by itself: there is nobody to tell."""
    settle = party.settle
    if settle is None:
        return False  # it asks by itself
    for step in steps:
        try:
            said = await settle.notice(settlement, step, outcome, tree, about)
        except Refused as error:
            if error.code == "JL-T012":
                return False
            if error.code != "JL-T016":
                raise
        else:
            return bool(said.get("late"))
    return False
