"""What a payment party answers: JSON with `outcome`, amounts in yuan. Pure."""

from __future__ import annotations

from typing import Any

from endpoints.asked import object_of
from endpoints.payment.numbers import yuan_of
from endpoints.payment.orders import RECEIVED, Evidence, Order, Refund
from schemas.json import Json
from schemas.message import Message, Receipt

_JSON = Json()
# Of an order's facts, what those who asked are to have: what is paid by, and what names the order at the channel.
SHOWN = (
    "code_url",
    "prepay_id",
    "prepay",
    "pay_url",
    "txn_time",
    "trace_no",
    "terminal",
    "mix_trade_no",
    "trade_no",
)
_REFUND_OUTCOMES = {"SUCCESS": "OK", "CLOSED": "REJECTED", "FAILED": "REJECTED", "PROCESSING": "PROCESSING"}


def shown_tree(order: Order, outcome: str, seen: Evidence | None = None) -> dict[str, Any]:
    """What a settlement keeps of an order. `doubt`: a person must look before anything goes on."""
    tree: dict[str, Any] = {
        "outcome": outcome,
        "order": order.number,
        "state": order.state,
        "amount": yuan_of(order.fen),
        "paid": yuan_of(order.paid_fen),
        "paid_ms": order.paid_ms,
        "channel_no": order.channel_no,
        "method": order.method,
        **{name: order.facts[name] for name in SHOWN if name in order.facts},
    }
    if order.state in RECEIVED and order.paid_fen != order.fen:
        tree["doubt"] = f"{yuan_of(order.paid_fen)} was paid of {yuan_of(order.fen)} 支付金额不符"
    if seen is not None and seen.code:
        tree |= {"code": seen.code, "err_msg": seen.text}
    return tree


def shown(order: Order, outcome: str, seen: Evidence | None = None) -> Receipt:
    return Receipt(outcome, _JSON.encode(shown_tree(order, outcome, seen)), "json")


def given_back_tree(refund: Refund) -> dict[str, Any]:
    return {
        "outcome": _REFUND_OUTCOMES.get(refund.state, "UNKNOWN"),
        "refund": refund.number,
        "order": refund.order,
        "state": refund.state,
        "amount": yuan_of(refund.fen),
        "channel_no": refund.channel_no,
    }


def given_back(refund: Refund) -> Receipt:
    tree = given_back_tree(refund)
    return Receipt(str(tree["outcome"]), _JSON.encode(tree), "json")


def absent(final: bool = True) -> Receipt:
    """Nothing is known of it. `final`: it never left."""
    return Receipt("ABSENT", _JSON.encode({"outcome": "ABSENT", "final": final}), "json")


def told(outcome: str, **more: Any) -> Receipt:
    return Receipt(outcome, _JSON.encode({"outcome": outcome, **more}), "json")


def body_of(message: Message, limit: int = 1_000_000) -> dict[str, Any]:
    """A message's JSON object. Raises Refused (JL-P008)."""
    return object_of(message, limit, "JL-P008", "what is asked of a payment channel")
