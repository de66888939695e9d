"""A day's reports as tables, made of its rows and differences. Pure. Amounts are fen; they are written in yuan."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from msgspec import Struct

from router.reconcile.books import Item
from router.reconcile.classes import CLASSES
from schemas.statements.row import Row

Kind = Literal["text", "free", "count", "fen", "time"]


class Column(Struct, frozen=True):
    title: str
    kind: Kind = "text"  # free: people wrote it, and may have named somebody


class Table(Struct, frozen=True):
    name: str
    title: str
    columns: tuple[Column, ...]
    rows: list[tuple[Any, ...]]


class Story(Struct, frozen=True):
    """An item with when it was found and when it ended, Unix milliseconds; 0 while it has no end."""

    item: Item
    found_ms: int
    ended_ms: int = 0
    by: str = ""
    reason: str = ""


class Day(Struct, frozen=True):
    """All that the reports of one system and day are made of. None: there is no such book."""

    system: str
    day: str
    channel: Sequence[Row]
    ours: Sequence[Row]
    his: Sequence[Row] | None = None
    ledger: Sequence[Row] | None = None
    stories: Sequence[Story] = ()
    credit_fen: int | None = None  # what the bank credited for the day
    today_ms: int = 0


def _of(title: str, kind: Kind = "text") -> Column:
    return Column(title, kind)


_MOVED = (
    *(_of("payments 收款笔数", "count"), _of("paid 收款", "fen")),
    *(_of("refunds 退款笔数", "count"), _of("refunded 退款", "fen"), _of("net 净额", "fen")),
)


def channel(day: Day) -> Table:
    """What the bank should credit: payments less refunds less fees."""
    rows = [row for row in day.channel if row.state != "FAILED"]
    fee = sum(row.fee_fen for row in rows)
    count, paid, back_count, back, net = _moved(rows)
    credit = day.credit_fen
    values = (day.system, count, paid, back_count, back, net, fee, net - fee)
    columns: tuple[Column, ...] = (
        _of("channel 渠道"),
        *_MOVED,
        _of("fee 手续费", "fen"),
        _of("expected credit 应到账", "fen"),
    )
    columns = (*columns, _of("credited 实到账", "fen"), _of("difference 差额", "fen"))
    return Table(
        "channel",
        f"{day.day} {day.system}: by channel 渠道日报",
        columns,
        [(*values, credit, credit - (net - fee) if credit is not None else None)],
    )


def cashiers(day: Day) -> Table:
    """By who sat where: of the HIS's list where there is one, else of our orders."""
    columns: tuple[Column, ...] = (
        _of("cashier 收费员"),
        _of("terminal 窗口/终端"),
        _of("shift 班次"),
        *_MOVED,
    )
    grouped = _grouped(_people(day), lambda row: (row.cashier, row.terminal, row.shift))
    return Table(
        "cashiers", f"{day.day} {day.system}: by cashier, terminal and shift 收费员日报", columns, grouped
    )


def departments(day: Day) -> Table:
    columns: tuple[Column, ...] = (_of("department 科室"), *_MOVED)
    grouped = _grouped(_people(day), lambda row: (row.department,))
    return Table("departments", f"{day.day} {day.system}: by department 科室日报", columns, grouped)


def business(day: Day) -> Table:
    columns: tuple[Column, ...] = (_of("business 业务类型"), *_MOVED)
    grouped = _grouped(_people(day), lambda row: (row.business,))
    return Table("business", f"{day.day} {day.system}: by business 业务类型日报", columns, grouped)


def composition(day: Day) -> Table:
    """What bills were paid with: the insurance's parts by the HIS's list, cash by channel."""
    made = []
    his = [row for row in day.his or () if row.state == "DONE"]
    for title, part in (("fund 统筹", "fund_fen"), ("personal account 个人账户", "account_fen")):
        some = [row for row in his if getattr(row, part)]
        fens = [getattr(row, part) if row.kind == "PAY" else -getattr(row, part) for row in some]
        made.append((title, len(some), sum(fens)))
    rows = [row for row in day.ours if row.state == "DONE"]
    for method in sorted({row.method for row in rows}):
        some = [row for row in rows if row.method == method]
        made.append((f"{day.system} {method}".strip(), len(some), sum(row.signed_fen for row in some)))
    columns: tuple[Column, ...] = (
        _of("paid with 支付构成"),
        _of("count 笔数", "count"),
        _of("net 净额", "fen"),
    )
    return Table("composition", f"{day.day} {day.system}: by what it was paid with 支付构成", columns, made)


def refunds(day: Day) -> Table:
    """Each refund, with who approved it where the HIS says so."""
    approvers = {row.number: row.approver for row in day.his or () if row.kind == "REFUND" and row.number}
    made = [
        (row.number, row.order, row.channel_no, row.fen, row.state, row.at_ms, approvers.get(row.number, ""))
        for row in day.ours
        if row.kind == "REFUND"
    ]
    columns: tuple[Column, ...] = (
        _of("refund 退款单号"),
        _of("order 原单号"),
        _of("channel's no. 渠道单号"),
        _of("amount 金额", "fen"),
    )
    columns = (*columns, _of("state 状态"), _of("at 时间", "time"), _of("approver 审批人"))
    return Table("refunds", f"{day.day} {day.system}: refunds 退款明细", columns, made)


def breaks(day: Day) -> Table:
    """Each difference, its class, its end, and how long it took."""
    made = []
    for story in day.stories:
        one, until = story.item, story.ended_ms or day.today_ms
        hours = max(0, until - story.found_ms) // 3_600_000
        fens = (one.theirs_fen, one.ours_fen, one.fen)
        head = (one.id, one.book, one.cls, CLASSES[one.cls].title, one.state, *fens)
        named = (one.number, one.channel_no, one.bill)
        made.append((*head, *named, story.found_ms, hours, story.by, story.reason))
    columns: tuple[Column, ...] = (
        _of("item 编号"),
        _of("book 账"),
        _of("class 类别"),
        _of("means 说明"),
        _of("state 状态"),
    )
    columns = (*columns, _of("theirs 对方", "fen"), _of("ours 本方", "fen"), _of("difference 差额", "fen"))
    columns = (
        *columns,
        _of("number 单号"),
        _of("channel's no. 渠道单号"),
        _of("bill 结算号"),
        _of("found 发现", "time"),
    )
    columns = (*columns, _of("hours 用时(小时)", "count"), _of("signed by 签字"), _of("reason 原因", "free"))
    return Table("breaks", f"{day.day} {day.system}: differences 差异清单", columns, made)


def proof(day: Day) -> Table:
    """HIS, platform, channel and ledger side by side: the day's proof sheet."""
    books: tuple[tuple[str, Sequence[Row] | None], ...] = (
        ("channel 渠道", day.channel),
        ("platform 平台", day.ours),
        ("HIS", day.his),
        ("ledger 总账", day.ledger),
    )
    base = _moved(row for row in day.channel if row.state == "DONE")[4]
    made: list[tuple[Any, ...]] = []
    for title, rows in books:
        if rows is None:
            made.append((title, None, None, None, None, None, None))
            continue
        moved = _moved(row for row in rows if row.state == "DONE")
        made.append((title, *moved, moved[4] - base))
    columns: tuple[Column, ...] = (_of("book 账"), *_MOVED, _of("against the channel 与渠道差额", "fen"))
    return Table("proof", f"{day.day} {day.system}: proof of the day 四方核对表", columns, made)


REPORTS: dict[str, Callable[[Day], Table]] = {
    "proof": proof,
    "channel": channel,
    "cashiers": cashiers,
    "departments": departments,
    "business": business,
    "composition": composition,
    "refunds": refunds,
    "breaks": breaks,
}


def _people(day: Day) -> Iterable[Row]:
    return [row for row in (day.his if day.his is not None else day.ours) if row.state == "DONE"]


def _moved(rows: Iterable[Row]) -> tuple[int, int, int, int, int]:
    """Payments and their sum, refunds and their sum, the net."""
    count = paid = back_count = back = 0
    for row in rows:
        if row.kind == "PAY":
            count, paid = count + 1, paid + row.fen
        else:
            back_count, back = back_count + 1, back + row.fen
    return count, paid, back_count, back, paid - back


def _grouped(rows: Iterable[Row], by: Callable[[Row], tuple[str, ...]]) -> list[tuple[Any, ...]]:
    """A line a group, and one of all."""
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    every = []
    for row in rows:
        groups[by(row)].append(row)
        every.append(row)
    made: list[tuple[Any, ...]] = [(*key, *_moved(groups[key])) for key in sorted(groups)]
    if every:
        made.append(("total 合计", *[""] * (len(next(iter(groups))) - 1), *_moved(every)))
    return made
