"""清算: a month's application (3203, 3204), and the share of other places (3260..3262)."""

from __future__ import annotations

from typing import Any

from deploy.sandbox.centre.books import holds
from deploy.sandbox.centre.desk import Call, Desk, No, Output, amount, need, serves, when, yuan
from deploy.sandbox.centre.rules import fen


@serves("3203")
def apply(desk: Desk, call: Call) -> Output:
    """Only for what the books have: the month's sum of this kind."""
    row = desk.node(call)
    kind, begin, end = need(row, "clr_type"), need(row, "begndate"), need(row, "enddate")
    total = 0
    for one in desk.books.settlements.values():
        mine = one.fixmedins_code == call.hospital.code and one.clr_type == kind and one.state != "reversed"
        if mine and begin <= f"{one.at:%Y-%m-%d}" <= end:
            total += one.split.medfee * (-1 if one.refd_setl_flag == "1" else 1)
    if fen(amount(row, "medfee_sumamt")) != total:
        raise No("清算申请金额与中心结算数据不一致")
    for old in desk.books.rows("3203"):
        if (old["clr_type"], old["setlym"], old["hospital"]) == (
            kind,
            need(row, "setlym"),
            call.hospital.code,
        ):
            raise No("该清算期已申请")
    number = desk.number("Q")
    desk.books.put("3203", number, {**row, "hospital": call.hospital.code})
    return {"clr_appy_evt_id": number}


@serves("3204")
def withdraw(desk: Desk, call: Call) -> Output:
    number = need(desk.node(call), "clr_appy_evt_id")
    old = desk.books.kept.get("3203", {}).get(number)
    if old is None or old["hospital"] != call.hospital.code:
        raise No("未查询到清算申请")
    del desk.books.kept["3203"][number]
    return None


@serves("3260")
def of_other_places(desk: Desk, call: Call) -> Output:
    """The row of the month that `startrow` asks for: of those insured elsewhere."""
    month = f"{need(call.input, 'trt_year')}-{int(amount(call.input, 'trt_month')):02d}"
    start = int(amount(call.input, "startrow"))
    rows: list[dict[str, Any]] = []
    for one in desk.books.settlements.values():
        person = desk.books.persons[one.psn_no]
        away = person.insuplc_admdvs[:4] != call.hospital.admvs[:4]
        if away and holds(one) and f"{one.at:%Y-%m}" == month and one.fixmedins_code == call.hospital.code:
            rows.append(
                {
                    "seqno": len(rows) + 1,
                    "mdtrtarea": call.hospital.admvs,
                    "medins_no": call.hospital.code,
                    "certno": person.certno,
                    "mdtrt_id": one.mdtrt_id,
                    "mdtrt_setl_time": when(one.at),
                    "setl_sn": one.setl_id,
                    "fulamt_advpay_flag": "0",
                    "medfee_sumamt": yuan(one.split.medfee),
                    "optins_pay_sumamt": yuan(one.split.funds),
                }
            )
    if len(rows) < max(start, 1):
        raise No("没有更多的异地清分明细")
    return rows[max(start, 1) - 1]


@serves("3261")
def confirm(desk: Desk, call: Call) -> Output:
    row = desk.node(call)
    key = f"{call.hospital.code}/{need(row, 'trt_year')}/{need(row, 'trt_month')}"
    if key in desk.books.kept.get("3261", {}):
        raise No("该月清分结果已确认")
    desk.books.put("3261", key, {**row, "msgid": call.msgid})
    return None


@serves("3262")
def unconfirm(desk: Desk, call: Call) -> Output:
    key = f"{call.hospital.code}/{need(call.input, 'trt_year')}/{need(call.input, 'trt_month')}"
    old = desk.books.kept.get("3261", {}).get(key)
    if old is None or old["msgid"] != need(call.input, "otransid"):
        raise No("未查询到清分确认信息")
    del desk.books.kept["3261"][key]
    return None
