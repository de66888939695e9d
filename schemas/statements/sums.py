"""Sums that another book says of a day (核对数): deposits, cash boxes, invoices, fees, the bank, the insurance's list.

    day,2026-01-05
    class,key,theirs,ours,third,text
    deposit,I1,500.00,,,
    cash-box,K1/3,1200.00,1200.00,1190.00,counted twice
    total,2

Yuan. `ours` may be empty of a deposit: the ledger says it. `third` is a third book's, where there is one.
"""

from __future__ import annotations

import csv

from msgspec import Struct

from config.errors import BadMessage
from schemas.statements.checks import MOST_ROWS, proved, text_of
from schemas.statements.row import Row, Wanted, fen_of

CLASSES = ("deposit", "cash-box", "invoice", "fee", "bank", "insurance-only", "his-only", "amount")
_COLUMNS = ["class", "key", "theirs", "ours", "third", "text"]


class Said(Struct, frozen=True):
    """Amounts in fen; None where nothing is said."""

    cls: str
    key: str
    theirs_fen: int
    ours_fen: int | None
    third_fen: int | None
    text: str


def said(body: bytes, wanted: Wanted) -> list[Said]:
    """Raises BadMessage (JL-Q001, JL-Q003, JL-Q005, JL-Q007, JL-Q008)."""
    lines = text_of(proved(body, wanted), "utf-8-sig").splitlines()
    if len(lines) > MOST_ROWS:
        raise BadMessage("JL-Q007", f"over {MOST_ROWS} rows 对账单过大")
    try:
        table = [row for row in csv.reader(lines, strict=True) if row]
    except csv.Error:
        raise BadMessage("JL-Q001", "no CSV 不是CSV") from None
    if len(table) < 2 or table[0][:1] != ["day"] or table[1] != _COLUMNS:
        raise BadMessage("JL-Q001", f"begins with its day and {','.join(_COLUMNS)} 缺少列")
    if table[0][1:] != [wanted.day]:
        raise BadMessage("JL-Q005", f"of {table[0][1:2]}, not of {wanted.day} 非当日")
    if len(table) < 3 or table[-1] != ["total", str(len(table) - 3)]:
        raise BadMessage("JL-Q003", "it is cut: the last line counts other rows 文件不完整")
    return [_said(row, f"row {number}") for number, row in enumerate(table[2:-1], 1)]


def sums(body: bytes, wanted: Wanted) -> list[Row]:
    """A form of statements that has no payments: it is only proved."""
    said(body, wanted)
    return []


def _said(row: list[str], at: str) -> Said:
    if len(row) != len(_COLUMNS) or row[0] not in CLASSES:
        raise BadMessage("JL-Q001", f"{len(row)} values, of class {row[0][:20]!r}", at)
    ours, third = (fen_of(text, at) if text else None for text in (row[3], row[4]))
    return Said(row[0], row[1][:200], fen_of(row[2] or "0", at), ours, third, row[5][:200])
