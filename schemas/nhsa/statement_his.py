"""The HIS's own list of a day's settlements: the third book beside ours and the centre's."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from config.errors import BadMessage
from schemas.json import Json
from schemas.nhsa.statement import CANCELLED_BY, Row, amounts_of, fen
from schemas.nhsa.statement_files import MAX_ROWS, text_of

# What a HIS calls its columns, besides the names of the interface.
_ALIASES: Mapping[str, tuple[str, ...]] = {
    "setl_id": ("结算ID", "结算id", "医保结算ID"),
    "mdtrt_id": ("就诊ID", "就诊id", "医保就诊ID"),
    "psn_no": ("人员编号", "医保人员编号"),
    "medfee_sumamt": ("医疗费总额", "总金额", "医疗费用总额"),
    "fund_pay_sumamt": ("基金支付总额", "统筹支付", "基金支付"),
    "acct_pay": ("个人账户支出", "个人账户支付金额", "账户支付"),
    "psn_cash_pay": ("cash_payamt", "现金支付金额", "个人现金支出", "现金支付"),
    "refd_setl_flag": ("REFD_SETL_FLAG", "退费结算标志", "退费标志"),
    "setl_optins": ("clr_optins", "结算经办机构", "清算经办机构"),
    "insutype": ("险种", "险种类型"),
    "clr_type": ("清算类别",),
    "setl_time": ("结算时间", "结算日期"),
    "msgid": ("medins_setl_id", "发送方报文ID", "报文ID"),
    "infno": ("交易编号",),
}


def his_rows(body: bytes) -> list[Row]:
    """The HIS's own list of settlements: CSV with a header (or with tabs), or a JSON list of objects.

    Columns by the names of the interface (setl_id, medfee_sumamt ...) or by their Chinese names; at least setl_id and
    the three amounts. Raises BadMessage: JL-N203 not such a list, with the line; JL-N200 an amount.
    """
    text = text_of(body)
    records = _json_records(body) if text.lstrip()[:1] in ("[", "{") else _csv_records(text)
    rows: list[Row] = []
    for place, record in records:
        if len(rows) >= MAX_ROWS:
            raise BadMessage("JL-N203", f"more than {MAX_ROWS} rows")
        rows.append(_his_row(record, place))
    return rows


def _json_records(body: bytes) -> Iterable[tuple[str, Mapping[str, Any]]]:
    tree = Json().decode(body)
    if isinstance(tree, Mapping):
        lists = [value for value in tree.values() if isinstance(value, list)]
        tree = lists[0] if len(lists) == 1 else None
    if not isinstance(tree, list) or not all(isinstance(item, Mapping) for item in tree):
        raise BadMessage("JL-N203", "not a list of objects")
    return [(f"$[{number}]", item) for number, item in enumerate(tree)]


def _csv_records(text: str) -> Iterable[tuple[str, Mapping[str, Any]]]:
    head = text.split("\n", 1)[0]
    reader = csv.DictReader(io.StringIO(text), delimiter="\t" if "\t" in head else ",", strict=True)
    try:
        return [(f"line {reader.line_num}", record) for record in reader]
    except csv.Error as error:
        raise BadMessage("JL-N203", f"not a table: {error}", f"line {reader.line_num}") from None


def _his_row(record: Mapping[str, Any], place: str) -> Row:
    said = {name: value for name in _ALIASES if (value := _named(record, name)) not in (None, "", "null")}
    if "setl_id" not in said:
        raise BadMessage("JL-N203", "no setl_id (结算ID)", place)
    text = {name: str(value).strip() for name, value in said.items()}
    try:
        amounts = amounts_of(said)
        negative = fen(said["medfee_sumamt"]) < 0
    except BadMessage as error:
        raise BadMessage(error.code, error.text, f"{place}, {error.path}") from None
    infno = text.get("infno", "")
    flag = text.get("refd_setl_flag", "")
    return Row(
        setl_id=text["setl_id"],
        mdtrt_id=text.get("mdtrt_id", ""),
        psn_no=text.get("psn_no", ""),
        amounts=amounts,
        cancel=flag == "1" or infno in CANCELLED_BY or (not flag and negative),
        setl_optins=text.get("setl_optins", ""),
        insutype=text.get("insutype", ""),
        clr_type=text.get("clr_type", ""),
        day=_day(text.get("setl_time", "")),
        msgid=text.get("msgid", ""),
        infno=infno,
    )


def _named(record: Mapping[str, Any], name: str) -> Any:
    for known in (name, *_ALIASES[name]):
        if known in record and record[known] is not None:
            value = record[known]
            return value.strip() if isinstance(value, str) else value
    return None


def _day(text: str) -> str:
    """yyyy-MM-dd of the ways in which a HIS writes a time; '' where it is none of them.

    >>> _day("2026/01/15 08:00"), _day("20260115080000"), _day("2026-01-15T08:00:00")
    ('2026-01-15', '2026-01-15', '2026-01-15')
    """
    digits = "".join(mark for mark in text[:10] if mark.isdigit())[:8]
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:]}" if len(digits) == 8 else ""


def completed(rows: Iterable[Row], ours: Callable[[str], Row | None]) -> list[Row]:
    """What a HIS's list leaves out (insurance, office, msgid) from our own record of the same settlement."""
    made = []
    for row in rows:
        known = ours(row.setl_id)
        made.append(row if known is None else _filled(row, known))
    return made


def _filled(row: Row, known: Row) -> Row:
    amounts = row.amounts
    if amounts.cash_fen is None:
        amounts = replace(amounts, cash_fen=known.amounts.cash_fen)
    return replace(
        row,
        mdtrt_id=row.mdtrt_id or known.mdtrt_id,
        psn_no=row.psn_no or known.psn_no,
        amounts=amounts,
        cancel=row.cancel or known.cancel,
        setl_optins=row.setl_optins or known.setl_optins,
        insutype=row.insutype or known.insutype,
        clr_type=row.clr_type or known.clr_type,
        day=row.day or known.day,
        msgid=row.msgid or known.msgid,
        infno=row.infno or known.infno,
        cancels=row.cancels or known.cancels,
        insuplc=row.insuplc or known.insuplc,
        clr_way=row.clr_way or known.clr_way,
        recognised_fen=known.recognised_fen if row.recognised_fen is None else row.recognised_fen,
    )
