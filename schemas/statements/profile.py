"""Statements that are told by a profile: aggregators' bills, journals of terminals and cash, the HIS's charge list.

A profile says which column is what, whether money is in yuan or fen, and how the last line counts and sums.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Struct, field

from config.errors import BadMessage
from schemas.statements.checks import MOST_ROWS, of_day_and_merchant, proved, text_of, unpacked
from schemas.statements.row import Kind, Row, State, Wanted, amount, rounded_fen, time_ms, whole_fen

_MONEY = ("fen", "received_fen", "fee_fen", "fund_fen", "account_fen")
_TEXTS = (
    *("system", "number", "channel_no", "merchant", "order", "order_no", "bill", "method", "terminal"),
    *("cashier", "shift", "department", "business", "approver"),
)


class Profile(Struct, frozen=True, forbid_unknown_fields=True):
    """`columns`: what a row has (`number`, `fen`, `at`, `kind`, `state` ...) to the heading of its column."""

    columns: Mapping[str, str]
    refund_number: str = ""  # the column of a refund's own number, where `number` is its order's
    unit: Literal["yuan", "fen"] = "yuan"
    charset: str = "utf-8-sig"
    separator: str = ","
    time: str = "%Y-%m-%d %H:%M:%S"
    refunds: tuple[str, ...] = (
        "REFUND",
        "退款",
        "退费",
    )  # values of the column `kind`; amounts below 0 are too
    states: Mapping[str, State] = field(
        default_factory=dict
    )  # values of the column `state`; without it all are DONE
    end: str = ""  # regular expression of the last line: groups `count` and `sum`
    sum_of: Literal["net", "paid"] = (
        "net"  # what the sum of the last line is: payments less refunds, or payments
    )
    comment: str = "#"


def profiled(body: bytes, wanted: Wanted, profile: Profile) -> list[Row]:
    """Raises BadMessage (JL-Q001 to JL-Q008)."""
    text = text_of(unpacked(proved(body, wanted)), profile.charset)
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith(profile.comment)]
    if len(lines) > MOST_ROWS:
        raise BadMessage("JL-Q007", f"over {MOST_ROWS} rows 对账单过大")
    if not profile.end and not text.endswith("\n"):
        raise BadMessage("JL-Q003", "it is cut: its last line does not end 文件不完整")
    end = _end(lines, profile)
    if not lines:
        raise BadMessage("JL-Q003", "it is empty: not even columns 文件为空")
    table = _table(lines, profile)
    rows = [_row(cells, wanted, profile, f"row {number}") for number, cells in enumerate(table, 1)]
    if end is not None:
        _sums(end, rows, profile)
    return of_day_and_merchant(rows, wanted)


def _end(lines: list[str], profile: Profile) -> Mapping[str, str] | None:
    """The last line is taken off."""
    if not profile.end:
        return None
    found = re.search(profile.end, lines[-1]) if lines else None
    if found is None:
        raise BadMessage("JL-Q003", "it is cut: no last line 文件不完整")
    lines.pop()
    return {name: value or "" for name, value in found.groupdict().items()}


def _table(lines: Sequence[str], profile: Profile) -> list[Mapping[str, str]]:
    try:
        table = [[v.strip("\t `") for v in row] for row in csv.reader(lines, delimiter=profile.separator)]
    except csv.Error:
        raise BadMessage("JL-Q001", "no CSV 不是CSV") from None
    columns = table[0]
    needed = [*profile.columns.values(), *filter(None, [profile.refund_number])]
    if missing := [name for name in needed if name not in columns]:
        raise BadMessage("JL-Q001", f"lacks the columns {', '.join(missing)[:200]} 缺少列")
    made: list[Mapping[str, str]] = []
    for number, row in enumerate(table[1:], 1):
        if len(row) != len(columns):
            raise BadMessage("JL-Q003", f"{len(row)} values for {len(columns)} columns", f"row {number}")
        made.append(dict(zip(columns, row, strict=True)))
    return made


def _row(cells: Mapping[str, str], wanted: Wanted, profile: Profile, at: str) -> Row:
    said = {name: cells[column] for name, column in profile.columns.items()}
    money = {
        name: _fen(said[name], profile, f"{at} {profile.columns[name]}") for name in _MONEY if name in said
    }
    refund = money.get("fen", 0) < 0 or said.get("kind", "") in profile.refunds
    kind: Kind = "REFUND" if refund else "PAY"
    state: State = "DONE"
    if "state" in said:
        known = profile.states.get(said["state"])
        if known is None:
            raise BadMessage("JL-Q001", f"an unknown state {said['state'][:20]!r} 未知状态", at)
        state = known
    texts = {name: said[name][:200] for name in _TEXTS if said.get(name)}
    if refund and profile.refund_number:
        texts |= {"order": said["number"], "number": cells[profile.refund_number]}
        texts |= {"order_no": texts.pop("channel_no", "")}
    fee = money.pop("fee_fen", 0)
    return Row(
        **{"system": wanted.system, "number": ""} | texts,  # type: ignore[arg-type]
        kind=kind,
        at_ms=time_ms(said["at"], at, profile.time),
        state=state,
        fee_fen=fee,
        **{name: abs(value) for name, value in ({"fen": 0} | money).items()},  # type: ignore[arg-type]
    )


def _fen(text: str, profile: Profile, at: str) -> int:
    value = amount(text, at)
    if profile.unit == "yuan":
        return rounded_fen(value) if at.endswith("费") else whole_fen(value, at)
    return whole_fen(value / 100, at)


def _sums(end: Mapping[str, str], rows: Sequence[Row], profile: Profile) -> None:
    if "count" in end and (not end["count"].isdecimal() or int(end["count"]) != len(rows)):
        raise BadMessage("JL-Q003", f"{len(rows)} rows, its last line says {end['count'][:20]} 笔数不符")
    if "sum" not in end:
        return
    total = sum(row.signed_fen if profile.sum_of == "net" else row.fen * (row.kind == "PAY") for row in rows)
    if _fen(end["sum"], profile, "the last line") != total:
        raise BadMessage(
            "JL-Q004", f"its last line says {end['sum'][:20]}, its rows make {total} fen 合计不符"
        )


# As many aggregators give it: a line for each payment and refund, and no last line that counts them.
AGGREGATED = Profile(
    columns={
        **{"number": "商户订单号", "channel_no": "平台订单号", "method": "支付方式", "fen": "金额(分)"},
        **{"at": "时间"},
    },
    refund_number="退款单号",
    unit="fen",
    time="%Y%m%d%H%M%S",
)
# With states, fees and a last line.
AGGREGATED_WHOLE = Profile(
    columns={
        **{"number": "商户订单号", "channel_no": "平台订单号", "kind": "交易类型", "state": "交易状态"},
        **{
            "fen": "交易金额",
            "fee_fen": "手续费",
            "at": "交易时间",
            "merchant": "商户号",
            "method": "支付方式",
        },
        **{"order": "原商户订单号", "terminal": "终端号"},
    },
    unit="fen",
    states={
        "SUCCESS": "DONE",
        "成功": "DONE",
        "PROCESSING": "PENDING",
        "处理中": "PENDING",
        "FAIL": "FAILED",
    },
    end=r"^(?:合计|TOTAL),(?P<count>\d+),(?P<sum>-?\d+)",
)
# What a terminal or a cash box writes itself: sequence, order, amount, who sat there.
TERMINAL = Profile(
    columns={
        **{"number": "order", "channel_no": "trace", "kind": "kind", "fen": "amount", "at": "time"},
        **{"terminal": "terminal", "cashier": "cashier", "shift": "shift", "order": "original"},
    },
    end=r"^total,(?P<count>\d+),(?P<sum>-?[\d.]+)",
)
# The HIS's list of charges and refunds of a day (收费清单).
HIS = Profile(
    columns={
        **{
            "system": "支付渠道",
            "number": "平台订单号",
            "channel_no": "HIS流水号",
            "bill": "结算号",
            "kind": "类型",
        },
        **{"fen": "金额", "at": "收费时间", "cashier": "收费员", "shift": "班次", "terminal": "窗口"},
        **{"department": "科室", "business": "业务类型", "order": "原平台订单号", "approver": "审批人"},
        **{"fund_fen": "统筹支付", "account_fen": "个人账户"},
    },
    end=r"^合计,(?P<count>\d+),(?P<sum>-?[\d.]+)",
)
PROFILES: Mapping[str, Profile] = {
    "aggregated": AGGREGATED,
    "aggregated-whole": AGGREGATED_WHOLE,
    "terminal": TERMINAL,
    "his": HIS,
}
