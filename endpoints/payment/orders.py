"""Orders and refunds of payment channels, and how what a channel shows moves them. Pure.

Amounts are integer fen, times Unix milliseconds. An order only ever moves on by evidence: an answer, a verified notice,
a statement's line. What comes late or twice moves nothing back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from schemas.message import NOTHING

# CREATED its number is kept, and nothing left yet. PREPAID a code was issued. PAYING the payer is asked.
# UNKNOWN nobody can say. CLOSED, REVERSED, FAILED there is no money, and there will be none.
# PAID_AFTER_CLOSE money came for what was closed: it is to go back.
OrderState = Literal[
    "CREATED",
    "PREPAID",
    "PAYING",
    "UNKNOWN",
    "CLOSED",
    "REVERSED",
    "FAILED",
    "PAID",
    "PAID_AFTER_CLOSE",
    "PART_REFUNDED",
    "REFUNDED",
]
# ABNORMAL the money could not be given back by its way (a closed card): it is owed still.
RefundState = Literal["CREATED", "UNKNOWN", "PROCESSING", "SUCCESS", "CLOSED", "FAILED", "ABNORMAL"]

OVER = ("CLOSED", "REVERSED", "FAILED")
RECEIVED = ("PAID", "PAID_AFTER_CLOSE", "PART_REFUNDED", "REFUNDED")  # there is, or was, money
_RANK: Mapping[str, int] = {
    "CREATED": 0,
    "PREPAID": 1,
    "PAYING": 2,
    "UNKNOWN": 0,  # whatever is seen says more
    **dict.fromkeys(OVER, 4),
    "PAID": 5,
    "PAID_AFTER_CLOSE": 5,
    "PART_REFUNDED": 6,
    "REFUNDED": 7,
}


class Order(Struct, frozen=True):
    """What somebody is to pay by a channel. `number` is ours (out_trade_no), and never used for anything else."""

    system: str  # of systems.yaml
    number: str
    key: str  # what it is asked for by: `S20260105001/pay`; the same key is the same order
    fen: int
    method: str  # native, jsapi, code, cash ...: the channel's word for how
    at_ms: int
    state: OrderState = "CREATED"
    settlement: str = ""
    paid_fen: int = 0
    paid_ms: int = 0
    channel_no: str = ""  # the channel's number (transaction_id, trade_no, queryId)
    facts: Mapping[str, Any] = NOTHING  # what the channel will want to know again: txnTime, code_url; sealed


class Refund(Struct, frozen=True):
    """Money that goes back of an order. `number` is ours (out_refund_no): a try is made again only under it."""

    system: str
    number: str
    order: str
    key: str
    fen: int
    at_ms: int
    state: RefundState = "CREATED"
    settlement: str = ""
    reason: str = ""
    channel_no: str = ""
    done_ms: int = 0
    undoes: bool = False  # a settlement takes back what it did; else it is a step's own


class Evidence(Struct, frozen=True):
    """What a channel showed of an order. `state` ABSENT: it has no such order; UNKNOWN: nobody can say."""

    state: OrderState | Literal["ABSENT"]
    fen: int = 0  # what was paid
    at_ms: int = 0  # when, by the channel's clock
    channel_no: str = ""
    facts: Mapping[str, Any] = NOTHING  # kept with the order
    code: str = ""  # the channel's own
    text: str = ""


class RefundEvidence(Struct, frozen=True):
    """What a channel showed of a refund."""

    state: RefundState | Literal["ABSENT"]
    fen: int = 0
    at_ms: int = 0
    channel_no: str = ""
    code: str = ""
    text: str = ""


def moved(order: Order, seen: Evidence) -> Order:
    """The order as the evidence leaves it; as it was where that is late, or says nothing.

    Money that comes for what was closed makes it PAID_AFTER_CLOSE and nothing else.
    """
    if seen.state in ("ABSENT", "UNKNOWN") and order.state != "CREATED":
        return order
    if seen.state == "ABSENT":
        return order
    facts = {**order.facts, **seen.facts}
    known = replace(order, facts=facts, channel_no=seen.channel_no or order.channel_no)
    if seen.state in RECEIVED and not order.paid_ms:
        known = replace(known, paid_fen=seen.fen or order.fen, paid_ms=seen.at_ms or order.at_ms)
    if _RANK[seen.state] < _RANK[order.state] and order.state != "UNKNOWN":
        return known
    state: OrderState = seen.state
    if order.state in OVER and seen.state in RECEIVED:
        state = "PAID_AFTER_CLOSE" if seen.state == "PAID" else seen.state
    elif (order.state == "PAID_AFTER_CLOSE" and seen.state == "PAID") or order.state in OVER:
        state = order.state
    return replace(known, state=state)


def refund_moved(refund: Refund, seen: RefundEvidence) -> Refund:
    """SUCCESS stays; else the last word counts, as ABNORMAL may yet become SUCCESS."""
    if refund.state == "SUCCESS" or seen.state in ("ABSENT", "CREATED"):
        return refund
    if seen.state == "UNKNOWN" and refund.state not in ("CREATED", "UNKNOWN"):
        return refund
    done_ms = seen.at_ms if seen.state == "SUCCESS" else 0
    return replace(refund, state=seen.state, channel_no=seen.channel_no or refund.channel_no, done_ms=done_ms)


def refunded(order: Order, refunds: tuple[Refund, ...]) -> Order:
    """The order after what of its refunds is done."""
    back = sum(one.fen for one in refunds if one.state == "SUCCESS")
    if not back or order.state not in RECEIVED:
        return order
    return replace(order, state="REFUNDED" if back >= order.paid_fen else "PART_REFUNDED")


def owed(refunds: tuple[Refund, ...]) -> int:
    """Fen that went back, is on its way, or may be: only what is CLOSED or FAILED counts no more."""
    return sum(one.fen for one in refunds if one.state not in ("CLOSED", "FAILED"))
