"""Alipay's trade bill (支付宝业务明细): a ZIP of GBK CSVs, comment lines before `#`, values with tabs and spaces, yuan.

The detail begins after its line of columns and ends at `#---业务明细列表结束---`; its last lines count and sum it.
Refunds are below 0. Source: alipay.data.dataservice.bill.downloadurl.query.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from config.errors import BadMessage
from schemas.statements.checks import MOST_ROWS, members, of_day_and_merchant, proved, text_of
from schemas.statements.row import Kind, Row, Wanted, amount, rounded_fen, time_ms, whole_fen

_NEEDED = ("支付宝交易号", "商户订单号", "业务类型", "完成时间", "订单金额", "商家实收")
_END = "业务明细列表结束"
_ACCOUNT = re.compile(r"账号[：:]\s*\[?(\d{16})")
_TRADES = re.compile(r"交易合计[：:]\s*(\d+)\s*笔.*?商家实收共\s*(-?[\d.]+)\s*元")
_REFUNDS = re.compile(r"退款合计[：:]\s*(\d+)\s*笔.*?商家实收(?:退款)?共\s*(-?[\d.]+)\s*元")

Cells = Mapping[str, str]


def alipay(body: bytes, wanted: Wanted) -> list[Row]:
    """Raises BadMessage (JL-Q001 to JL-Q008). One ZIP has one detail: it is known by its columns, not by its name."""
    details = [
        text for text in _texts(proved(body, wanted)) if "支付宝交易号" in text and "商户订单号" in text
    ]
    if len(details) != 1:
        raise BadMessage("JL-Q001", f"{len(details)} files of trade details in it 应有一份业务明细")
    lines = details[0].splitlines()
    first = next((n for n, line in enumerate(lines) if _clean(line).startswith("支付宝交易号")), None)
    last = next((n for n, line in enumerate(lines) if line.startswith("#") and _END in line), None)
    if first is None or last is None or last < first:
        raise BadMessage("JL-Q003", "it is cut: no end of the details 文件不完整")
    if last - first > MOST_ROWS:
        raise BadMessage("JL-Q007", f"over {MOST_ROWS} rows 对账单过大")
    account = next((m[1] for line in lines[:first] for m in [_ACCOUNT.search(line)] if m), "")
    cells = _cells(lines[first:last], first + 1)
    rows = [_row(one, wanted.system, account, f"row {number}") for number, one in enumerate(cells, 1)]
    _sums(lines[last + 1 :], cells)
    return of_day_and_merchant(rows, wanted)


def _texts(body: bytes) -> list[str]:
    return [text_of(content, "gb18030") for _, content in members(body)]


def _clean(value: str) -> str:
    return value.strip("\t \ufeff")


def _cells(lines: Sequence[str], start: int) -> list[Cells]:
    reader = csv.reader(lines, strict=False)
    try:
        table = [[_clean(value) for value in row] for row in reader if row and not row[0].startswith("#")]
    except csv.Error:
        raise BadMessage("JL-Q001", "its details are no CSV 不是CSV", f"line {start}") from None
    # 订单金额（元） and 订单金额(元) are one column.
    columns = [re.sub(r"[（(]元[）)]$", "", name) for name in table[0]]
    if missing := [name for name in _NEEDED if name not in columns]:
        raise BadMessage("JL-Q001", f"lacks the columns {', '.join(missing)} 缺少列")
    made: list[Cells] = []
    for number, row in enumerate(table[1:], 1):
        # A comma may follow the last value.
        if len(row) < len(columns) or any(row[len(columns) :]):
            raise BadMessage("JL-Q003", f"{len(row)} values for {len(columns)} columns", f"row {number}")
        made.append(dict(zip(columns, row, strict=False)))
    return made


def _row(cells: Cells, system: str, account: str, at: str) -> Row:
    kinds: Mapping[str, Kind] = {"交易": "PAY", "退款": "REFUND"}
    kind = kinds.get(cells["业务类型"])
    if kind is None:
        raise BadMessage("JL-Q001", f"an unknown kind {cells['业务类型'][:20]!r} 未知业务类型", at)
    refund = kind == "REFUND"
    gross, received = _fen(cells, "订单金额", at), _fen(cells, "商家实收", at)
    if (gross < 0) != refund and gross:
        raise BadMessage("JL-Q008", f"{kind} of {cells['订单金额']} 金额符号不符", at)
    return Row(
        system=system,
        kind=kind,
        number=cells.get("退款批次号/请求号", "") or cells["商户订单号"] if refund else cells["商户订单号"],
        fen=abs(gross),
        at_ms=time_ms(cells["完成时间"], at),
        # A refund has no number of its own at Alipay: it is known by the trade's and ours.
        channel_no="" if refund else cells["支付宝交易号"],
        received_fen=abs(received),
        # The bill has the service fee below 0 for a payment.
        fee_fen=-rounded_fen(amount(cells.get("服务费", "0"), at)),
        merchant=account,
        order=cells["商户订单号"] if refund else "",
        order_no=cells["支付宝交易号"] if refund else "",
        method="alipay",
        terminal=cells.get("终端号", ""),
        cashier=cells.get("操作员", ""),
    )


def _fen(cells: Cells, name: str, at: str) -> int:
    return whole_fen(amount(cells[name], f"{at} {name}"), f"{at} {name}")


def _sums(after: Sequence[str], cells: Sequence[Cells]) -> None:
    """Raises BadMessage: JL-Q003 another count or none, JL-Q004 another sum."""
    text = "\n".join(after)
    for pattern, kind in ((_TRADES, "交易"), (_REFUNDS, "退款")):
        rows = [one for one in cells if one["业务类型"] == kind]
        said = pattern.search(text)
        if said is None:
            raise BadMessage("JL-Q003", f"it is cut: no line of {kind}合计 文件不完整")
        if int(said[1]) != len(rows):
            raise BadMessage("JL-Q003", f"{kind}: {len(rows)} rows, it says {said[1][:20]} 笔数不符")
        total = sum((amount(one["商家实收"], "商家实收") for one in rows), Decimal(0))
        if abs(amount(said[2], f"{kind}合计")) != abs(total):
            raise BadMessage("JL-Q004", f"{kind}: {said[2][:20]}, its rows make {total} 金额合计不符")
