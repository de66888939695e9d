"""Fee lines (2204, 2301): each is priced, split and kept; all of a message or none."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from deploy.sandbox.centre.books import Fee, Row, Visit
from deploy.sandbox.centre.desk import Call, Desk, No, amount, need, yuan
from deploy.sandbox.centre.prices import Price, price_of
from deploy.sandbox.centre.rules import Line, Setting, fen, split_line

_MOST = 1000  # lines a message
_NEEDED = ("fee_ocur_time", "medins_list_codg")
_DEPARTMENT = ("bilg_dept_codg", "bilg_dept_name", "bilg_dr_codg", "bilg_dr_name")


def book(desk: Desk, call: Call, rows: Sequence[Row], setting: Setting) -> list[dict[str, Any]]:
    """The answer's lines. Refuses all for one."""
    if len(rows) > _MOST:
        raise No(f"单次上传费用明细不能超过{_MOST}条")
    made: dict[tuple[str, str], Fee] = {}
    for row in rows:
        desk.person(call, row)
        visit = desk.visit(call, row, setting)
        add(desk, visit, row, made)
    desk.books.fees |= made
    return [told(fee) for fee in made.values()]


def add(desk: Desk, visit: Visit, row: Row, beside: dict[tuple[str, str], Fee]) -> None:
    """Puts the line beside the others of its message."""
    fee = _fee(desk, visit, row, beside)
    key = (visit.mdtrt_id, fee.feedetl_sn)
    if key in beside or key in desk.books.fees:
        raise No(f"费用明细流水号[{fee.feedetl_sn}]重复")
    beside[key] = fee


def _fee(desk: Desk, visit: Visit, row: Row, beside: dict[tuple[str, str], Fee]) -> Fee:
    sn = need(row, "feedetl_sn")
    if visit.state == "discharged":
        raise No("该就诊已办理出院,不能上传费用明细")
    for name in _NEEDED if visit.setting == "pharmacy" else _NEEDED + _DEPARTMENT:
        need(row, name)
    batch = need(row, "chrg_bchno") if visit.setting == "otp" else ""
    if visit.setting == "otp":
        need(row, "rx_circ_flag")
        need(row, "hosp_appr_flag")
    code = need(row, "med_list_codg")
    cnt, pric, total = amount(row, "cnt"), amount(row, "pric"), amount(row, "det_item_fee_sumamt")
    if fen(cnt * pric) != fen(total):
        raise No(f"费用明细[{sn}]的明细项目费用总额与数量乘以单价不一致")
    if pric < 0 or not cnt:
        raise No(f"费用明细[{sn}]的数量或单价有误")
    init = str(row.get("init_feedetl_sn") or "")
    if cnt < 0:
        _returned(desk, visit, sn, init, code, cnt, pric, beside)
    elif init:
        raise No(f"费用明细[{sn}]不是退费,不能填写原费用流水号")
    line = split_line(cnt, pric, price_of(code), str(row.get("hosp_appr_flag") or ""))
    return Fee(
        feedetl_sn=sn,
        mdtrt_id=visit.mdtrt_id,
        psn_no=visit.psn_no,
        batch=batch,
        code=code,
        cnt=cnt,
        pric=pric,
        line=line,
        row=row,
        serial=desk.books.next(),
        init_sn=init,
    )


def _returned(
    desk: Desk,
    visit: Visit,
    sn: str,
    init: str,
    code: str,
    cnt: Decimal,
    pric: Decimal,
    beside: dict[tuple[str, str], Fee],
) -> None:
    """A return names a line of the visit, of the same item and price, and returns no more than there was."""
    first = beside.get((visit.mdtrt_id, init)) or desk.books.fees.get((visit.mdtrt_id, init))
    if first is None or first.cnt < 0:
        raise No(f"退费明细[{sn}]的原费用流水号不存在")
    if (first.code, first.pric) != (code, pric):
        raise No(f"退费明细[{sn}]与原费用明细的项目或单价不一致")
    back = [f.cnt for f in (*desk.books.lines(visit.mdtrt_id), *beside.values()) if f.init_sn == init]
    if first.cnt + sum(back) + cnt < 0:
        raise No(f"退费明细[{sn}]的退费数量大于原费用数量")


def told(fee: Fee) -> dict[str, Any]:
    """A line of the answer's `result`."""
    price = price_of(fee.code)
    return {
        "feedetl_sn": fee.feedetl_sn,
        "det_item_fee_sumamt": yuan(fee.line.total_fen),
        "cnt": fee.cnt,
        "pric": fee.pric,
        **parts(fee.line, price),
        **flags(price),
        "lmt_used_flag": "1" if price.restricted else "0",
        "memo": "",
    }


def parts(line: Line, price: Price) -> dict[str, Any]:
    return {
        "pric_uplmt_amt": yuan(price.limit_fen),
        "selfpay_prop": Decimal(price.prop_bp).scaleb(-4),
        "fulamt_ownpay_amt": yuan(line.fulamt_ownpay),
        "overlmt_amt": yuan(line.overlmt),
        "preselfpay_amt": yuan(line.preselfpay),
        "inscp_scp_amt": yuan(line.inscp_scp),
    }


def flags(price: Price) -> dict[str, str]:
    return {
        "chrgitm_lv": price.level,
        "med_chrgitm_type": price.kind,
        "bas_medn_flag": "1" if price.basic else "0",
        "hi_nego_drug_flag": "0",
        "chld_medc_flag": "0",
        "list_sp_item_flag": "0",
        "drt_reim_flag": "0",
    }
