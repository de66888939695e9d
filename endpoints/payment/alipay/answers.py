"""What Alipay's answers and notices show of an order or a refund. Pure.

Codes: 10000 done, 10003 the payer is asked, 20000 nobody knows, 40004 a business no; of others (40001 to 40006: the
call itself was not taken) nothing was done. Sources: opendocs.alipay.com, the pages of each method.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from endpoints.payment.alipay.gateway import Said
from endpoints.payment.orders import Evidence, OrderState, RefundEvidence
from endpoints.payment.times import ms_of

Outcome = Literal["OK", "PROCESSING", "UNKNOWN", "REJECTED"]

_TIME = "%Y-%m-%d %H:%M:%S"
# 40004 all the same: it may have been done.
_UNSURE = (
    "ACQ.SYSTEM_ERROR",
    "AQC.SYSTEM_ERROR",
    "SYSTEM_ERROR",
    "ACQ.ACCESS_FORBIDDEN_TEMPORARILY",
    "ACQ.REQUEST_FREQUENCY_LIMIT",
)
# The number is known already, with an end or with other data: what became of it is asked.
ALREADY = (
    "ACQ.TRADE_HAS_SUCCESS",
    "ACQ.TRADE_HAS_CLOSE",
    "ACQ.CONTEXT_INCONSISTENT",
    "ACQ.TRADE_STATUS_ERROR",
)
NOT_THERE = ("ACQ.TRADE_NOT_EXIST",)
# It is owed still, though it cannot go now.
_LATER = ("ACQ.SELLER_BALANCE_NOT_ENOUGH", "ACQ.REASON_TRADE_BEEN_FREEZEN", "ACQ.REFUND_CHARGE_ERROR")


def outcome(said: Said) -> Outcome:
    if said.code == "10000":
        return "OK"
    if said.code == "10003":
        return "PROCESSING"
    if said.code in ("", "20000") or said.sub_code in _UNSURE or said.sub_code.startswith(("isp.", "aop.")):
        return "UNKNOWN"
    return "REJECTED"


def fen(text: Any) -> int:
    """Of an amount in yuan; 0 where it is none.

    >>> fen("36.50"), fen("-0.01"), fen(None), fen("NaN")
    (3650, -1, 0, 0)
    """
    try:
        return int(Decimal(str(text)) * 100)
    except (InvalidOperation, ValueError, OverflowError):
        return 0


def told(said: Said, state: Any, **more: Any) -> Evidence:
    return Evidence(state, code=said.sub_code or said.code, text=said.text, **more)


def of_trade(fields: Mapping[str, Any], said: Said | None = None) -> Evidence:
    """By `trade_status` of a query's answer or a notice; `send_pay_date` or `gmt_payment` show that it was paid."""
    paid_ms = ms_of(str(fields.get("send_pay_date") or fields.get("gmt_payment") or ""), _TIME)
    states: dict[str, OrderState] = {
        "WAIT_BUYER_PAY": "PAYING",
        "TRADE_SUCCESS": "PAID",
        "TRADE_FINISHED": "PAID",
        "TRADE_CLOSED": "REFUNDED" if paid_ms else "CLOSED",
    }
    state = states.get(str(fields.get("trade_status") or ""), "UNKNOWN")
    return Evidence(
        state,
        fen(fields.get("total_amount")) if state in ("PAID", "REFUNDED") else 0,
        paid_ms,
        str(fields.get("trade_no") or ""),
        code=said.code if said else "",
        text=said.text if said else "",
    )


def of_pay(said: Said) -> Evidence | None:
    """Of alipay.trade.pay; None where only a query can say."""
    how = outcome(said)
    if how == "OK":
        paid_ms = ms_of(said.get("gmt_payment"), _TIME)
        return told(
            said, "PAID", fen=fen(said.get("total_amount")), at_ms=paid_ms, channel_no=said.get("trade_no")
        )
    if how == "PROCESSING":
        return told(said, "PAYING", channel_no=said.get("trade_no"))
    if said.sub_code in ALREADY:
        return None
    return told(said, "UNKNOWN" if how == "UNKNOWN" else "FAILED")


def of_refund(said: Said, wanted_fen: int) -> RefundEvidence | None:
    """Of alipay.trade.refund; None where only a query can say: `fund_change` N is that of a number used before, too."""
    how = outcome(said)
    code = said.sub_code or said.code
    if how == "OK" and said.get("fund_change") == "Y":
        done_ms = ms_of(said.get("gmt_refund_pay"), _TIME)
        return RefundEvidence("SUCCESS", wanted_fen, done_ms, said.get("trade_no"), code, said.text)
    if how in ("OK", "PROCESSING") or said.sub_code in ALREADY:
        return None
    if how == "UNKNOWN":
        return RefundEvidence("UNKNOWN", code=code, text=said.text)
    return RefundEvidence("ABNORMAL" if said.sub_code in _LATER else "FAILED", code=code, text=said.text)


def of_refund_query(said: Said, wanted_fen: int) -> RefundEvidence:
    """10000 says that it was looked for, and only `refund_status` that it was found."""
    how = outcome(said)
    code = said.sub_code or said.code
    if how == "OK" and said.get("refund_status") == "REFUND_SUCCESS":
        amount = fen(said.get("refund_amount"))
        if amount != wanted_fen:
            return RefundEvidence(
                "UNKNOWN", amount, code=code, text="refunded with another amount 退款金额不符"
            )
        done_ms = ms_of(said.get("gmt_refund_pay"), _TIME)
        return RefundEvidence("SUCCESS", amount, done_ms, said.get("trade_no"), code, said.text)
    if how == "OK" and not said.get("refund_status"):
        return RefundEvidence("ABSENT", code=code, text=said.text)
    if said.sub_code in NOT_THERE:
        return RefundEvidence("ABSENT", code=code, text=said.text)
    return RefundEvidence("PROCESSING" if how == "OK" else "UNKNOWN", code=code, text=said.text)
