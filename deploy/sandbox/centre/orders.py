"""移动支付: orders in a ledger of their own (6201, 6202, 6203, 6301, 6401 of the payment centre).

An order is a batch of fees that waits for its patient: paid it is a settlement in the same books as 2207's. All is
idempotent by payOrdId and appRefdSn.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from deploy.sandbox.centre import fees, settling
from deploy.sandbox.centre.books import Order, Refund, Row, Settlement, Visit
from deploy.sandbox.centre.desk import Call, Desk, No, amount, need, yuan
from deploy.sandbox.centre.insured import Insured
from deploy.sandbox.centre.rules import fen

# ordStas, of the groups that one project knows: 0-2 open, 3-6 paid, 7-13 cancelled or refunded, 14-16 failed.
STATES = {"open": "1", "paying": "2", "paid": "6", "revoked": "7", "refunded": "8"}
_NAMES = re.compile(r"(?<!^)([A-Z])")


def upload(desk: Desk, call: Call) -> Row:
    """6201: the visit where there is none yet, the fees, and a number to pay by."""
    row = call.input
    person = _person(desk, need(row, "psnNo"))
    number = need(row, "medOrgOrd")
    for old in desk.books.orders.values():
        if (old.hospital, old.med_org_ord) == (call.hospital.code, number) and old.state != "revoked":
            raise No("医药机构订单号重复")
    _payer(row, person)
    visit = _visit(desk, call, row, person)
    batch = need(row, "chrgBchno")
    lines: dict[tuple[str, str], Any] = {}
    for line in row.get("feedetailList") or []:
        told = {"mdtrt_id": visit.mdtrt_id, "psn_no": person.psn_no, "chrg_bchno": batch, **_snake(line)}
        fees.add(desk, visit, {**told, "chrg_bchno": batch}, lines)
    if not lines:
        raise No("费用明细不能为空")
    total = sum(fee.line.total_fen for fee in lines.values())
    if fen(amount(row, "medfeeSumamt")) != total:
        raise No("医疗费总额与费用明细合计金额不一致")
    desk.books.visits[visit.mdtrt_id] = visit
    desk.books.fees |= lines
    order = Order(
        pay_ord_id=desk.number("O"),
        pay_token=f"PT{desk.books.next():020d}",
        med_org_ord=number,
        hospital=call.hospital.code,
        psn_no=person.psn_no,
        mdtrt_id=visit.mdtrt_id,
        batch=batch,
        row=row,
        total_fen=total,
        serial=desk.books.serial,
        at=call.at,
    )
    desk.books.orders[order.pay_ord_id] = order
    return {"payOrdId": order.pay_ord_id, "payToken": order.pay_token, "extData": {}}


def pay(desk: Desk, call: Call) -> Row:
    """6202: a settlement. A second call of the same order answers the first's result."""
    row = call.input
    order = _order(desk, call, row)
    need(row, "payAuthNo")
    need(row, "orgBizSer")
    if order.state == "open":
        made = settling.book(desk, reckoned(desk, call, order))
        order = replace(order, state="paid", setl_id=made.setl_id)
        desk.books.orders[order.pay_ord_id] = order
    if order.state == "revoked":
        raise No("订单已撤销")
    return {"payOrdId": order.pay_ord_id, **_amounts(desk, order), "extData": {}}


def reckoned(desk: Desk, call: Call, order: Order) -> Settlement:
    """What paying it would book."""
    visit = desk.books.visits[order.mdtrt_id]
    person = desk.books.persons[order.psn_no]
    told = {
        "medfee_sumamt": str(yuan(order.total_fen)),
        "insutype": visit.insutype,
        "mdtrt_cert_type": "01",
        "mdtrt_cert_no": person.token,
        "med_type": str(order.row.get("medType") or visit.med_type),
        "acct_used_flag": str(call.input.get("acctUsedFlag") or order.row.get("acctUsedFlag") or "0"),
        "invono": str(order.row.get("invono") or ""),
    }
    found = desk.books.unsettled(order.mdtrt_id, order.batch)
    paying = replace(call, infno="MP-6202", input={"data": told})
    return settling.make(desk, paying, visit, found, order.batch)


def refund(desk: Desk, call: Call) -> Row:
    """6203: ALL, CASH or HI, in amounts that are those of the parts; once by appRefdSn."""
    row = call.input
    order = _order(desk, call, row, token=False)
    number, kind = need(row, "appRefdSn"), need(row, "refdType")
    known = next((one for one in order.refunds if one.number == number), None)
    if known is not None:
        return {"refStatus": known.status}
    status = "SUCC" if _may(desk, order, kind, row) else "FAIL"
    made = Refund(number, kind, status, fen(amount(row, "totlRefdAmt")))
    if status == "SUCC" and kind in ("ALL", "HI"):
        visit = desk.books.visits[order.mdtrt_id]
        settling.cancel(desk, replace(call, infno="MP-6203"), visit, order.setl_id)
        order = replace(order, state="refunded")
    desk.books.orders[order.pay_ord_id] = replace(order, refunds=(*order.refunds, made))
    return {"refStatus": status}


def query(desk: Desk, call: Call) -> Row:
    """6301: what became of an order. A lagging query sees it as it was before it was paid."""
    row = call.input
    order = _order(desk, call, row)
    _payer(row, desk.books.persons[order.psn_no])
    seen = order
    if order.setl_id and desk.books.settlements[order.setl_id].serial >= call.blind:
        seen = replace(order, state="open", setl_id="")
    return notice(desk, seen)


def revoke(desk: Desk, call: Call) -> Row | None:
    """6401: the fees go, as long as nothing is paid."""
    row = call.input
    order = _order(desk, call, row)
    _payer(row, desk.books.persons[order.psn_no])
    if order.state == "revoked":
        return None
    if order.state != "open":
        raise No("订单已支付,不能撤销,请使用医保退费")
    for fee in desk.books.unsettled(order.mdtrt_id, order.batch):
        del desk.books.fees[fee.mdtrt_id, fee.feedetl_sn]
    desk.books.orders[order.pay_ord_id] = replace(order, state="revoked")
    return None


def notice(desk: Desk, order: Order) -> Row:
    """The fields of 6301's answer and of the notice 6302."""
    return {
        "payOrdId": order.pay_ord_id,
        "callType": "SETL",
        "medOrgOrd": order.med_org_ord,
        "traceTime": f"{order.at:%Y%m%d%H%M%S}",
        **_amounts(desk, order),
        "setlType": "ALL",
        "revsToken": f"RT{order.serial:020d}",
    }


HANDLERS: dict[str, Callable[[Desk, Call], Row | None]] = {
    "6201": upload,
    "6202": pay,
    "6203": refund,
    "6301": query,
    "6401": revoke,
}


def _may(desk: Desk, order: Order, kind: str, row: Row) -> bool:
    if kind not in ("ALL", "CASH", "HI"):
        raise No("退费类型无效")
    parts = {
        name: fen(amount(row, name))
        for name in ("cashRefdAmt", "psnAcctRefdAmt", "fundRefdAmt")
        if row.get(name)
    }
    if sum(parts.values()) != fen(amount(row, "totlRefdAmt")):
        raise No("退费总额与各部分合计不一致")
    if order.state not in (("paid", "refunded") if kind == "CASH" else ("paid",)):
        return False
    split = desk.books.settlements[order.setl_id].split
    given = [one.amount_fen for one in order.refunds if (one.kind, one.status) == ("CASH", "SUCC")]
    cash_left = split.psn_cash - sum(given)
    cash = parts.get("cashRefdAmt", 0)
    insured = (parts.get("psnAcctRefdAmt", 0), parts.get("fundRefdAmt", 0))
    whole = insured == (split.own_acct + split.family_acct, split.funds)
    if kind == "CASH":
        return 0 < cash <= cash_left and insured == (0, 0)
    return whole and cash == (cash_left if kind == "ALL" else 0)


def _amounts(desk: Desk, order: Order) -> dict[str, Any]:
    state = desk.settings.order_status.get(order.state) or STATES[order.state]
    if not order.setl_id:
        zero = {name: yuan(0) for name in ("ownPayAmt", "psnAcctPay", "fundPay")}
        return {
            "ordStas": state,
            "feeSumamt": yuan(order.total_fen),
            **zero,
            "ownPayAmt": yuan(order.total_fen),
        }
    split = desk.books.settlements[order.setl_id].split
    return {
        "ordStas": state,
        "feeSumamt": yuan(split.medfee),
        "ownPayAmt": yuan(split.psn_cash),
        "psnAcctPay": yuan(split.own_acct + split.family_acct),
        "fundPay": yuan(split.funds),
    }


def _order(desk: Desk, call: Call, row: Row, token: bool = True) -> Order:
    found = desk.books.orders.get(need(row, "payOrdId"))
    if found is None or found.hospital != call.hospital.code:
        raise No("未查询到支付订单")
    if token and need(row, "payToken") != found.pay_token:
        raise No("支付订单号与令牌不一致")
    return found


def _person(desk: Desk, psn_no: str) -> Insured:
    found = desk.books.persons.get(psn_no)
    if found is None:
        raise No("未查询到参保人员信息")
    return found


def _payer(row: Row, person: Insured) -> None:
    need(row, "idType")
    if (need(row, "idNo"), need(row, "userName")) != (person.certno, person.psn_name):
        raise No("证件号码或姓名与参保信息不一致")


def _visit(desk: Desk, call: Call, row: Row, person: Insured) -> Visit:
    """The one that was registered with 2201, or one that the order makes."""
    med_type = need(row, "medType")
    mdtrt_id = str(row.get("mdtrtId") or "")
    if mdtrt_id:
        known = desk.visit(call, {"mdtrt_id": mdtrt_id, "psn_no": person.psn_no}, "otp")
        return replace(known, med_type=med_type)
    return Visit(
        mdtrt_id=desk.number("G"),
        setting="otp",
        psn_no=person.psn_no,
        insutype=need(row, "insutype"),
        fixmedins_code=call.hospital.code,
        ipt_otp_no=need(row, "iptOtpNo"),
        med_type=med_type,
        begntime=need(row, "begntime"),
        row=_snake(row),
        serial=desk.books.serial,
        at=call.at,
        opter=call.opter,
        opter_name=call.opter_name,
    )


def _snake(row: Row) -> dict[str, Any]:
    """camelCase names as those of the institution interface."""
    plain = {name: value for name, value in row.items() if not isinstance(value, list | Mapping)}
    return {_NAMES.sub(r"_\1", name).lower(): value for name, value in plain.items()}
