"""What a party that says yes answers, where a test gives no answer of its own: by the operation's name.

Insurance answers of the national interface have the same fields whatever a centre books (2201 门诊挂号, 2206 and 2303
预结算, 2207 and 2304 结算, 2401 入院办理); the fund bears 60 % of what is asked, the personal account nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from channels.settling.checking import number

_FUND = Decimal("0.6")
_FEN = Decimal("0.01")
_BILL = {"bill_batch_code": "99060120", "bill_no": "0000000001", "random": "abcdef"}
# By operations of a HIS and of a platform of e-invoices.
_MADE: Mapping[str, dict[str, Any]] = {
    "post_settlement": {"receipt": "H00000001"},
    "post_deposit": {"receipt": "H00000001"},
    "register": {"registration_no": "H00000001"},
    "admit": {"inpatient_no": "I1"},
    **dict.fromkeys(
        ("issue", "issue_outpatient", "issue_inpatient", "issue_registration", "issue_deposit"), _BILL
    ),
}


Orders = dict[str, Any]  # of payments: number to what was asked for, in yuan


def reply_of(operation: str, body: Any, orders: Orders) -> dict[str, Any]:
    """Of `insurance.2207` with what was sent. Amounts are yuan as text."""
    name = operation.rpartition(".")[2]
    asked = body if isinstance(body, Mapping) else {}
    if name in ("2206", "2207", "2303", "2304"):
        return {"output": {"setlinfo": _settled(_data(asked), name)}}
    if name in ("2201", "2401"):
        return {"output": {"data" if name == "2201" else "result": {"mdtrt_id": "999900G0000000000001"}}}
    if name == "MP-6201":
        return {"output": {"data": {"payOrdId": "ORD99990000000001", "payToken": "TOKEN-TEST"}}}
    if name == "MP-6202":
        return {"output": {"data": _mobile(asked)}}
    if name in ("create", "created", "paid", "pay", "query"):
        return _order(asked, orders)
    if name in ("refund", "refunded"):
        return {"refund": "R0000000000000000001", "order": asked.get("order"), "amount": asked.get("amount")}
    return _MADE.get(name, {})


def _data(asked: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = asked.get("input") or {}
    data = inner.get("data", inner) if isinstance(inner, Mapping) else {}
    return data if isinstance(data, Mapping) else {}


def _parts(total: Decimal) -> tuple[Decimal, Decimal]:
    fund = (total * _FUND).quantize(_FEN)
    return fund, total - fund


def _settled(data: Mapping[str, Any], name: str) -> dict[str, str]:
    total = number(data.get("medfee_sumamt")) or Decimal(0)
    fund, cash = _parts(total)
    parts = {
        "medfee_sumamt": total,
        "fulamt_ownpay_amt": Decimal(0),
        "overlmt_selfpay": Decimal(0),
        "preselfpay_amt": Decimal(0),
        "inscp_scp_amt": total,
        "fund_pay_sumamt": fund,
        "psn_part_amt": cash,
        "acct_pay": Decimal(0),
        "psn_cash_pay": cash,
        "hosp_part_amt": Decimal(0),
    }
    made = {key: f"{value:.2f}" for key, value in parts.items()}
    return made | ({"setl_id": "999900J0000000000001"} if name in ("2207", "2304") else {})


def _mobile(asked: Mapping[str, Any]) -> dict[str, str]:
    """The mobile centre's order (医保移动支付 6202): its total is what was uploaded before."""
    total = number(asked.get("total")) or Decimal(0)
    fund, cash = _parts(total)
    amounts = {"feeSumamt": total, "fundPay": fund, "psnAcctPay": Decimal(0), "ownPayAmt": cash}
    return {"ordStas": "6"} | {key: f"{value:.2f}" for key, value in amounts.items()}


def _order(asked: Mapping[str, Any], orders: Orders) -> dict[str, Any]:
    """A payment's order; one that is not named is a new one."""
    order = asked.get("order") or f"P{len(orders) + 1:019d}"
    amount = orders.setdefault(order, asked.get("amount"))
    return {"order": order, "state": "PAID", "amount": amount, "paid": amount, "code_url": "weixin://example"}
