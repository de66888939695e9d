"""WeChat Pay's trade bill (微信支付交易账单, bill_type ALL): CSV, each value after a back-quote, in yuan.

Columns go by their names: there are bills of 27, and older ones of 24. A payment is dated by its success, a refund by
its acceptance, and its state is of the moment the bill was made. Source: GET /v3/bill/tradebill.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from config.errors import BadMessage
from schemas.statements.checks import MOST_ROWS, of_day_and_merchant, proved, text_of, unpacked
from schemas.statements.row import Kind, Row, State, Wanted, amount, fen_of, rounded_fen, time_ms

_NEEDED = ("交易时间", "商户号", "微信订单号", "商户订单号", "交易状态", "商户退款单号", "退款金额")
_REFUND_STATES: Mapping[str, State] = {
    "SUCCESS": "DONE",
    "": "DONE",  # a reversal (REVOKED) of older bills
    "PROCESSING": "PENDING",
    "FAIL": "FAILED",
    "CLOSED": "FAILED",
    "CHANGE": "ABNORMAL",
    "ABNORMAL": "ABNORMAL",
}
# A column of the last line, and the column of the rows that it is the sum of.
_TOTALS = (
    ("应结订单总金额", "应结订单金额"),
    ("总交易额", "总金额"),
    ("退款总金额", "退款金额"),
    ("总退款金额", "退款金额"),
    ("订单总金额", "订单金额"),
    ("申请退款总金额", "申请退款金额"),
    ("手续费总金额", "手续费"),
)

Cells = Mapping[str, str]


def wechat(body: bytes, wanted: Wanted) -> list[Row]:
    """Raises BadMessage (JL-Q001 to JL-Q008)."""
    text = text_of(unpacked(proved(body, wanted)), "utf-8-sig")
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines or not lines[0].startswith("交易时间"):
        raise BadMessage("JL-Q001", "no trade bill: its first line names no columns 不是交易账单")
    columns = lines[0].split(",")
    if missing := [name for name in _NEEDED if name not in columns]:
        raise BadMessage("JL-Q001", f"lacks the columns {', '.join(missing)} 缺少列")
    if len(lines) < 3 or not lines[-2].startswith("总交易单数"):
        raise BadMessage("JL-Q003", "it is cut: no total line 文件不完整")
    if len(lines) > MOST_ROWS:
        raise BadMessage("JL-Q007", f"over {MOST_ROWS} rows 对账单过大")
    names, last = lines[-2].split(","), _values(lines[-1])
    if len(names) != len(last):
        raise BadMessage("JL-Q003", "it is cut: the total line is not whole 文件不完整")
    total = dict(zip(names, last, strict=True))
    sums = {name: [Decimal(0), Decimal(0)] for name, column in _TOTALS if name in total and column in columns}
    rows = []
    for number, line in enumerate(lines[1:-2], 2):
        cells = _cells(line, columns, number)
        rows.append(_row(cells, wanted.system, number))
        _add(sums, cells)
    _whole(len(rows), sums, total)
    return of_day_and_merchant(rows, wanted)


def _values(line: str) -> list[str]:
    """The values of a line: a comma inside one is no end of it, only `,\\`` is."""
    return [value.strip() for value in line.strip().removeprefix("`").split(",`")]


def _cells(line: str, columns: Sequence[str], number: int) -> Cells:
    values = _values(line)
    # 费率备注, the last, may be missing altogether where it is empty.
    if not len(columns) - 1 <= len(values) <= len(columns):
        raise BadMessage("JL-Q003", f"{len(values)} values for {len(columns)} columns", f"line {number}")
    return dict(zip(columns, values, strict=False))


def _row(cells: Cells, system: str, number: int) -> Row:
    at = f"line {number}"

    def fen(*names: str) -> int:
        name = next((name for name in names if name in cells), "")
        return fen_of(cells[name], at) if name else 0

    kind: Kind = "PAY" if cells["交易状态"] == "SUCCESS" else "REFUND"
    if cells["交易状态"] not in ("SUCCESS", "REFUND", "REVOKED"):
        raise BadMessage("JL-Q001", f"an unknown state {cells['交易状态'][:20]!r} 未知交易状态", at)
    refund = kind == "REFUND"
    state: State = _REFUND_STATES.get(cells.get("退款状态", ""), "PENDING") if refund else "DONE"
    received = fen("退款金额") if refund else fen("应结订单金额", "总金额")
    gross = fen("申请退款金额", "退款金额") if refund else fen("订单金额", "应结订单金额", "总金额")
    return Row(
        system=system,
        kind=kind,
        number=_of(cells, "商户退款单号") or cells["商户订单号"] if refund else cells["商户订单号"],
        fen=abs(gross),
        at_ms=time_ms(cells["交易时间"], at),
        state=state,
        channel_no=_of(cells, "微信退款单号") if refund else cells["微信订单号"],
        received_fen=abs(received),
        fee_fen=rounded_fen(amount(cells.get("手续费", "0"), at)),
        merchant=_of(cells, "特约商户号", "子商户号") or cells["商户号"],
        order=cells["商户订单号"] if refund else "",
        order_no=cells["微信订单号"] if refund else "",
        method=cells.get("交易类型", "").lower(),
        terminal=cells.get("设备号", ""),
    )


def _of(cells: Cells, *names: str) -> str:
    """WeChat writes 0 where there is none."""
    return next((cells[name] for name in names if cells.get(name, "0") not in ("0", "")), "")


def _add(sums: Mapping[str, list[Decimal]], cells: Cells) -> None:
    """Of payments, and of all rows."""
    for name, column in _TOTALS:
        if name in sums:
            yuan = amount(cells[column], column)
            sums[name][1] += yuan
            if cells["交易状态"] == "SUCCESS":
                sums[name][0] += yuan


def _whole(count: int, sums: Mapping[str, list[Decimal]], total: Mapping[str, str]) -> None:
    """Raises BadMessage: JL-Q003 another count, JL-Q004 another sum."""
    said = total.get("总交易单数", "")
    if not said.isdecimal() or int(said) != count:
        raise BadMessage("JL-Q003", f"{count} rows, and its total line says {said[:20]} 笔数不符")
    for name, (paid, every) in sums.items():
        # Bills differ in whether refunds repeat the order's amount, and whether the total has it then.
        if amount(total[name], "the last line") not in (paid, every):
            raise BadMessage("JL-Q004", f"{name}: {total[name][:20]}, its rows make {every} 金额合计不符")
