"""Excel files for tests, made where they are needed."""

from __future__ import annotations

import datetime
import io
from collections.abc import Mapping, Sequence
from typing import Any

import xlsxwriter


def workbook(sheets: Mapping[str, Sequence[Sequence[Any]]]) -> bytes:
    """Rows by sheet: a str is a text cell, a number a number, a date or datetime shown as one, None nothing."""
    made = io.BytesIO()
    with xlsxwriter.Workbook(made, {"in_memory": True}) as book:
        shown = {
            datetime.datetime: book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
            datetime.date: book.add_format({"num_format": "yyyy/m/d"}),
            datetime.time: book.add_format({"num_format": "hh:mm"}),
            datetime.timedelta: book.add_format({"num_format": "[h]:mm"}),
        }
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for at, row in enumerate(rows):
                for column, value in enumerate(row):
                    if type(value) in shown:
                        sheet.write_datetime(at, column, value, shown[type(value)])
                    elif isinstance(value, bool):
                        sheet.write_boolean(at, column, value)
                    elif isinstance(value, str):
                        sheet.write_string(at, column, value)
                    elif value is not None:
                        sheet.write_number(at, column, value)
    return made.getvalue()
