"""Tables as JSON, CSV and Excel files. What people wrote is masked, and nothing of it is ever a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from config.errors import Refused
from router.reconcile.reports import Column, Table
from schemas.statements.row import CHINA

TYPES = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
# Identity numbers, telephones, cards: what may stand in a reason.
_PERSONAL = re.compile(r"(?<!\d)(?:\d{17}[\dXx]|1[3-9]\d{9}|62\d{14,17})(?!\d)")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_WIDTHS = {"fen": 14, "count": 12, "time": 19}


class _Sheet(Protocol):
    def write_string(self, row: int, column: int, text: str, style: Any = ...) -> Any: ...
    def write_number(self, row: int, column: int, value: float, style: Any = ...) -> Any: ...


def masked(text: str) -> str:
    """
    >>> masked("of 110101199001010000, telephone 13800000000")
    'of 11**************00, telephone 13*******00'
    """
    return _PERSONAL.sub(lambda m: f"{m[0][:2]}{'*' * (len(m[0]) - 4)}{m[0][-2:]}", text)


def cell(column: Column, value: Any) -> str:
    """As text; '' where there is none."""
    if value is None:
        return ""
    if column.kind == "fen":
        return f"{Decimal(value) / 100:.2f}"
    if column.kind == "time":
        return datetime.fromtimestamp(value / 1000, CHINA).strftime("%Y-%m-%d %H:%M:%S") if value else ""
    return masked(str(value)) if column.kind == "free" else str(value)


def as_json(tables: Sequence[Table]) -> bytes:
    made = [
        {
            "name": table.name,
            "title": table.title,
            "columns": [column.title for column in table.columns],
            "rows": [_cells(table, row) for row in table.rows],
        }
        for table in tables
    ]
    return msgspec.json.encode(made)


def as_csv(table: Table) -> bytes:
    """With a byte order mark, which Excel needs to see UTF-8."""
    made = io.StringIO()
    writer = csv.writer(made)
    writer.writerow([column.title for column in table.columns])
    for row in table.rows:
        cells = zip(table.columns, _cells(table, row), strict=True)
        writer.writerow(
            [_harmless(text) if column.kind in ("text", "free") else text for column, text in cells]
        )
    return ("﻿" + made.getvalue()).encode()


def as_xlsx(tables: Sequence[Table]) -> bytes:
    """A sheet a table. Raises Refused (JL-Q036) where the extra `xlsx` is not installed."""
    try:
        import xlsxwriter
    except ImportError:
        raise Refused("JL-Q036", "Excel files need the extra `xlsx`: pip install 'jingluo[xlsx]'") from None
    made = io.BytesIO()
    said = {
        "in_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    with xlsxwriter.Workbook(made, said) as book:
        bold, yuan = book.add_format({"bold": True}), book.add_format({"num_format": "#,##0.00"})
        for table in tables:
            sheet = book.add_worksheet(table.name[:31])
            sheet.write_string(0, 0, table.title, bold)
            for at, column in enumerate(table.columns):
                sheet.write_string(1, at, column.title, bold)
                sheet.set_column(at, at, _WIDTHS.get(column.kind, 24))
            sheet.freeze_panes(2, 0)
            for line, row in enumerate(table.rows, 2):
                _line(sheet, line, table, row, yuan)
    return made.getvalue()


def _line(sheet: _Sheet, line: int, table: Table, row: tuple[Any, ...], yuan: Any) -> None:
    for at, (column, value) in enumerate(zip(table.columns, row, strict=True)):
        if value is None:
            continue
        if column.kind == "fen":
            sheet.write_number(
                line, at, float(Decimal(value) / 100), yuan
            )  # cents are exact far beyond any day's sum
        elif column.kind == "count":
            sheet.write_number(line, at, value)
        else:
            sheet.write_string(line, at, cell(column, value))


def _cells(table: Table, row: tuple[Any, ...]) -> list[str]:
    return [cell(column, value) for column, value in zip(table.columns, row, strict=True)]


def _harmless(text: str) -> str:
    """A spreadsheet reads what begins so as a formula: it gets an apostrophe before it."""
    return f"'{text}" if text.startswith(_FORMULA) else text
