"""What UnionPay's answers and notices show of an order or a refund. Pure.

respCode 00 of a trade says only that it was taken: its end is in a notice, or in `origRespCode` of a query. Source: the
应答码 of 全渠道 5.1.0, and UnionPay's own examples.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from endpoints.payment.orders import Evidence, RefundEvidence, RefundState
from endpoints.payment.unionpay.day import traced
from endpoints.payment.unionpay.gateway import Said

TAKEN = "00"
UNSURE = ("03", "04", "05")  # 通讯超时, 状态未明, 已受理: to be asked about
NOT_THERE = "34"
# It was not taken; the same may be asked again. 02 closed, 06 busy, 37 too often, 11 our signature.
_NOT_NOW = ("", "02", "06", "11", "37")
_TWICE = "12"
# Of refunds UnionPay's own examples ask again, too: 01 failed, 34 no such trade, 60 see the bank.
_REFUND_UNSURE = (*UNSURE, _TWICE, "01", "34", "60")

Taken = Literal["ASK", "UNKNOWN", "REJECTED"]


def taken(said: Said, refund: bool = False) -> Taken:
    """What a trade's own answer says: ASK, a query will show what became of it."""
    unsure = _REFUND_UNSURE if refund else (*UNSURE, _TWICE)
    if said.code == TAKEN or said.code in unsure:
        return "ASK"
    return "UNKNOWN" if said.code in _NOT_NOW else "REJECTED"


def fen(text: str) -> int:
    """UnionPay writes fen already; 0 where it is no amount."""
    return int(text) if text.isdecimal() and text.isascii() and len(text) <= 12 else 0


def of_order(fields: Mapping[str, str], code: str, text: str = "") -> Evidence:
    """`code` is the trade's own end: origRespCode of a query, respCode of a notice."""
    state: Literal["PAID", "PAYING", "FAILED", "UNKNOWN"]
    if code == TAKEN:
        state = "PAID"
    elif code in UNSURE:
        state = "PAYING"
    else:
        state = "FAILED" if code else "UNKNOWN"
    return Evidence(
        state,
        fen(fields.get("txnAmt", "")) if state == "PAID" else 0,
        traced(fields.get("traceTime", ""), fields.get("txnTime", "")) if state == "PAID" else 0,
        fields.get("queryId", ""),
        {"txn_time": fields.get("txnTime", "")},
        code,
        text,
    )


def of_query(said: Said) -> Evidence:
    if said.code == NOT_THERE:
        return Evidence("ABSENT", code=said.code, text=said.text)
    if said.code != TAKEN:
        return Evidence("UNKNOWN", code=said.code, text=said.text)
    return of_order(said.fields, said.get("origRespCode"), said.get("origRespMsg"))


def of_refund(seen: Evidence, wanted_fen: int) -> RefundEvidence:
    """A void or a refund is a trade of its own; what a query showed of it."""
    if seen.state == "PAID" and seen.fen != wanted_fen:
        return RefundEvidence(
            "UNKNOWN", seen.fen, code=seen.code, text="refunded with another amount 退款金额不符"
        )
    states: Mapping[str, RefundState | Literal["ABSENT"]] = {
        "PAID": "SUCCESS",
        "PAYING": "PROCESSING",
        "FAILED": "FAILED",
        "ABSENT": "ABSENT",
    }
    state: RefundState | Literal["ABSENT"] = states.get(seen.state, "UNKNOWN")
    return RefundEvidence(state, seen.fen, seen.at_ms, seen.channel_no, seen.code, seen.text)
