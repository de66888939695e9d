"""对账: totals by groups (3201), the institution's list against the books (3202), the same as a task (3211, 3212)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any

from deploy.sandbox.centre import files
from deploy.sandbox.centre.books import Row, Settlement
from deploy.sandbox.centre.desk import Call, Desk, No, Output, amount, need, serves, when, yuan
from deploy.sandbox.centre.rules import fen
from deploy.sandbox.centre.telling import money

_AMOUNTS = ("medfee_sumamt", "fund_pay_sumamt", "acct_pay")
_WORDS = {"0": "平", "1": "中心多", "2": "医药机构多", "3": "数据不一致"}


@serves("3201")
def totals(desk: Desk, call: Call) -> Output:
    """Without refd_setl_flag cancels are subtracted, in the count too; with it they are a group of their own."""
    row = desk.node(call)
    for name in ("insutype", "clr_type"):
        need(row, name)
    flag = _flag(desk, row)
    found = _of(desk, call, row)
    if flag:
        found = [one for one in found if one.refd_setl_flag == flag]
    signs = [-1 if one.refd_setl_flag == "1" and not flag else 1 for one in found]
    ours = [
        sum(sign * part[n] for sign, part in zip(signs, _parts(desk, found), strict=True)) for n in range(3)
    ]
    theirs = [fen(amount(row, name)) for name in _AMOUNTS]
    count, told = sum(signs), int(amount(row, "fixmedins_setl_cnt"))
    rslt = "1" if count > told else "2" if count < told else "0" if ours == theirs else "3"
    said = f"中心:笔数{count},总额{yuan(ours[0])},基金{yuan(ours[1])},账户{yuan(ours[2])}"
    described = "" if rslt == "0" else f"{_WORDS[rslt]};{said}"
    info = {"setl_optins": need(row, "setl_optins"), "stmt_rslt": rslt, "stmt_rslt_dscr": described}
    return {"stmtinfo": info}


@serves("3202")
def details(desk: Desk, call: Call) -> Output:
    row = desk.node(call)
    rows = _listed(desk, call, need(row, "file_qury_no"))
    if int(amount(row, "fixmedins_setl_cnt")) != len(rows):
        raise No("定点医药机构结算笔数与对账文件行数不一致")
    flag = _flag(desk, row)
    found = [one for one in _of(desk, call, row) if flag in ("", one.refd_setl_flag)]
    text = "".join(_lines(desk, rows, found))
    number = f"stmt_{call.at:%Y%m%d%H%M%S}.zip"
    kept = files.keep(desk, call, number, call.hospital.code, files.zipped("result.txt", text))
    told = {"file_qury_no": kept.number, "filename": number, "dld_endtime": when(kept.until)}
    return {"fileinfo": told}


@serves("3211")
def task(desk: Desk, call: Call) -> Output:
    row = desk.node(call)
    dates = {"stmt_begndate": need(row, "clr_begin_ymd"), "stmt_enddate": need(row, "clr_end_ymd")}
    rows = _listed(desk, call, need(row, "file_qury_no"))
    text = "".join(_lines(desk, rows, _of(desk, call, dates)))
    name = f"task_{call.at:%Y%m%d%H%M%S}.zip"
    kept = files.keep(desk, call, name, call.hospital.code, files.zipped("result.txt", text))
    key = desk.number("T")
    desk.books.put("3211", key, {"task_key": key, "file": kept.number, "rows": len(text.splitlines())})
    return {"task_key": key}


@serves("3212")
def task_result(desk: Desk, call: Call) -> Output:
    found = desk.books.kept.get("3211", {}).get(need(desk.node(call), "task_key"))
    if found is None:
        raise No("未查询到对账任务")
    told = {"check_state": "1" if found["rows"] else "0", "task_status": "2", "file_qury_no1": found["file"]}
    return {"data": [{**told, "file_qury_no2": "", "file_qury_no3": ""}]}


def _flag(desk: Desk, row: Row) -> str:
    flag = str(row.get("refd_setl_flag") or row.get("REFD_SETL_FLAG") or "")
    if desk.settings.refund_flag_required and not flag:
        raise No("[refd_setl_flag]不能为空")
    return flag


def _of(desk: Desk, call: Call, row: Row) -> list[Settlement]:
    """Settlements and cancels of the institution in these days; of an insurance, a kind, an office where it says so."""
    begin, end = need(row, "stmt_begndate"), need(row, "stmt_enddate")
    found = []
    for one in desk.books.settlements.values():
        mine = (
            one.fixmedins_code == call.hospital.code and one.state != "reversed" and one.serial < call.blind
        )
        if not mine or not begin <= f"{one.at:%Y-%m-%d}" <= end:
            continue
        asked = (("insutype", one.insutype), ("clr_type", one.clr_type), ("setl_optins", one.clr_optins))
        if all(row.get(name) in (None, "", value) for name, value in asked):
            found.append(one)
    return found


def _parts(desk: Desk, found: Iterable[Settlement]) -> list[list[int]]:
    """The three amounts as the settlement told them, fen."""
    told = [money(desk, one.split) for one in found]
    return [[fen(one[name]) for name in _AMOUNTS] for one in told]


def _listed(desk: Desk, call: Call, number: str) -> list[dict[str, str]]:
    """The rows of the file that the institution has uploaded."""
    stored = desk.books.files.get(number)
    if stored is None or stored.owner != call.hospital.code or not isinstance(stored.data, bytes):
        raise No("未查询到对账文件")
    names = desk.settings.statement_upload
    rows = []
    for at, line in enumerate(files.text_of(stored.data).split("\n"), 1):
        if not line.strip():
            continue
        cells = ["" if cell == "null" else cell for cell in line.rstrip("\r").split("\t")]
        if len(cells) < len(names):
            raise No(f"对账文件第{at}行的列数不足")
        rows.append(dict(zip(names, cells, strict=False)))
    return rows


def _lines(desk: Desk, rows: list[dict[str, str]], found: list[Settlement]) -> Iterable[str]:
    """Ours that they have not (1), theirs that we have not (2), both with other amounts (3)."""
    ours = {(one.setl_id, one.refd_setl_flag): one for one in found}
    flags = "refd_setl_flag" in desk.settings.statement_upload
    for row in rows:
        flag = row.get("refd_setl_flag") or "0"
        one = ours.pop((row["setl_id"], flag), None) or (
            None if flags else ours.pop((row["setl_id"], "1"), None)
        )
        if one is None:
            yield _line(desk, {**row, "msgid": "", "stmt_rslt": "2", "memo": _WORDS["2"]})
            continue
        (parts,) = _parts(desk, [one])
        same = [abs(_fen(row.get(name, ""))) for name in _AMOUNTS] == parts
        if not same or desk.settings.statement_lists_equal:
            yield _line(desk, _told(one, parts, "0" if same else "3"))
    for one in ours.values():
        (parts,) = _parts(desk, [one])
        yield _line(desk, _told(one, parts, "1"))


def _told(one: Settlement, parts: list[int], rslt: str) -> dict[str, Any]:
    amounts = {name: str(yuan(part)) for name, part in zip(_AMOUNTS, parts, strict=True)}
    return {
        "psn_no": one.psn_no,
        "mdtrt_id": one.mdtrt_id,
        "setl_id": one.setl_id,
        "msgid": one.msgid,
        "stmt_rslt": rslt,
        "refd_setl_flag": one.refd_setl_flag,
        "memo": _WORDS[rslt],
        **amounts,
    }


def _line(desk: Desk, told: dict[str, Any]) -> str:
    names = desk.settings.statement_result
    cells = [str(told.get(name) or "null") for name in names]
    if desk.settings.statement_memo_moves and told.get("refd_setl_flag") != "1":
        cells.insert(names.index("memo"), "null")
    return "\t".join(cells) + "\n"


def _fen(text: str) -> int:
    try:
        return fen(Decimal(text))
    except (InvalidOperation, ValueError):
        raise No("对账文件中的金额格式错误") from None
