"""药店: one call registers, prices and settles (2101 shows it, 2102 does it, 2103 undoes it)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from deploy.sandbox.centre import fees, settling
from deploy.sandbox.centre.books import Fee, Visit
from deploy.sandbox.centre.desk import Call, Desk, No, Output, need, serves
from deploy.sandbox.centre.telling import detail_rows, otherwise, setlinfo

_MED_TYPE = "41"  # 定点药店购药


@serves("2101")
def preview(desk: Desk, call: Call) -> Output:
    visit, lines = _sale(desk, call)
    made = settling.make(desk, call, visit, list(lines.values()), "")
    told = settling.answered(desk, made)
    told["setlinfo"]["mdtrt_id"] = ""
    return told | {"detlcutinfo": _cut(lines)}


@serves("2102")
def settle(desk: Desk, call: Call) -> Output:
    visit, lines = _sale(desk, call)
    made = settling.make(desk, call, visit, list(lines.values()), "")
    desk.books.visits[visit.mdtrt_id] = visit
    desk.books.fees |= lines
    return settling.answered(desk, settling.book(desk, made)) | {"detlcutinfo": _cut(lines)}


@serves("2103")
def cancel(desk: Desk, call: Call) -> Output:
    row = desk.node(call)
    desk.person(call, row)
    visit = desk.visit(call, row, "pharmacy")
    made = settling.cancel(desk, call, visit, need(row, "setl_id"))
    desk.books.visits[visit.mdtrt_id] = replace(visit, state="void")
    told = otherwise(setlinfo(desk, made))
    return {"setlinfo": told, "setldetail": detail_rows(made, desk.settings.fund_includes_account)}


def _sale(desk: Desk, call: Call) -> tuple[Visit, dict[tuple[str, str], Fee]]:
    """The visit and the lines that the message makes, booked nowhere."""
    if call.hospital.level:
        raise No("非定点零售药店,不能办理药店购药")
    row = desk.node(call, "druginfo")
    person = desk.person(call, row)
    if need(row, "insutype") != person.insutype:
        raise No("人员未参加该险种")
    visit = Visit(
        mdtrt_id=desk.number("G"),
        setting="pharmacy",
        psn_no=person.psn_no,
        insutype=person.insutype,
        fixmedins_code=call.hospital.code,
        ipt_otp_no="",
        med_type=str(row.get("med_type") or _MED_TYPE),
        begntime=need(row, "begntime"),
        row=row,
        serial=desk.books.serial,
        at=call.at,
        opter=call.opter,
        opter_name=call.opter_name,
    )
    lines: dict[tuple[str, str], Fee] = {}
    for line in desk.rows(call, "drugdetail"):
        fees.add(desk, visit, line, lines)
    return visit, lines


def _cut(lines: dict[tuple[str, str], Fee]) -> list[dict[str, Any]]:
    told = [fees.told(fee) for fee in lines.values()]
    for line in told:
        del line["lmt_used_flag"]
    return told
