"""What WeChat Pay's states and codes are evidence of. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from endpoints.payment.orders import Evidence, OrderState, RefundEvidence, RefundState

# trade_state. REFUND: there is a refund, of which the amount stands in the refund alone; the payment was made.
_STATES: Mapping[str, OrderState] = {
    "SUCCESS": "PAID",
    "REFUND": "PAID",
    "NOTPAY": "PREPAID",
    "USERPAYING": "PAYING",
    "CLOSED": "CLOSED",
    "REVOKED": "REVERSED",
    "PAYERROR": "FAILED",
    "ACCEPT": "PAYING",
}
_REFUNDS: Mapping[str, RefundState] = {
    "SUCCESS": "SUCCESS",
    "CLOSED": "CLOSED",
    "PROCESSING": "PROCESSING",
    "ABNORMAL": "ABNORMAL",
}
PAYING = frozenset(("USERPAYING", "USER_PAYING"))
CLOSED = frozenset(("ORDERCLOSED", "ORDER_CLOSED", "ORDERREVERSED", "ORDER_REVERSED"))
# The number has an order already, whatever a query that lags behind says.
TAKEN = CLOSED | frozenset(("ORDERPAID", "ORDER_PAID", "OUT_TRADE_NO_USED"))
NO_ORDER = frozenset(("ORDER_NOT_EXIST", "ORDERNOTEXIST", "RESOURCE_NOT_EXISTS"))
# Of a refund: it is refused for good under this number, and nothing went back.
NO_REFUND = frozenset(("PARAM_ERROR", "INVALID_REQUEST", "MCH_NOT_EXISTS", "NO_AUTH"))


def evidence_of(tree: Mapping[str, Any]) -> Evidence:
    """Of a query's answer, a payment by code's, or what a notice tells of a payment."""
    state: OrderState = _STATES.get(str(tree.get("trade_state")), "UNKNOWN")
    paid = state == "PAID"
    amount = tree.get("amount")
    total = amount.get("total") if isinstance(amount, dict) else None
    if paid and (not isinstance(total, int) or isinstance(total, bool)):
        return Evidence("UNKNOWN", code="JL-P104", text="no amount stands in it 应答缺少金额")
    payer = tree.get("payer")
    openid = payer.get("openid") if isinstance(payer, dict) else ""
    facts = {"trade_state": str(tree.get("trade_state", ""))} | ({"openid": str(openid)} if openid else {})
    return Evidence(
        state,
        int(total or 0) if paid else 0,
        ms_of(tree.get("success_time")),
        str(tree.get("transaction_id") or ""),
        facts,
        "" if paid else str(tree.get("trade_state") or ""),
        "" if paid else str(tree.get("trade_state_desc") or "")[:200],
    )


def refund_evidence_of(tree: Mapping[str, Any]) -> RefundEvidence:
    """Of a refund's answer, a query's, or what a notice tells (there it is `refund_status`)."""
    said = str(tree.get("status") or tree.get("refund_status") or "")
    state: RefundState = _REFUNDS.get(said, "UNKNOWN")
    amount = tree.get("amount")
    fen = amount.get("refund") if isinstance(amount, dict) else 0
    return RefundEvidence(
        state,
        fen if isinstance(fen, int) else 0,
        ms_of(tree.get("success_time")),
        str(tree.get("refund_id") or ""),
        said,
        str(tree.get("user_received_account") or "")[:60],
    )


def ms_of(text: Any) -> int:
    """RFC 3339 to Unix milliseconds; 0 where it is none.

    >>> ms_of("2026-01-05T08:00:00+08:00")
    1767571200000
    """
    try:
        return int(datetime.fromisoformat(str(text)).timestamp() * 1000) if text else 0
    except ValueError:
        return 0
