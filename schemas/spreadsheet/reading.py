"""The cells of a sheet as text, by calamine: numbers, dates and times as CSV would have them."""

from __future__ import annotations

import datetime
import io
from decimal import Decimal
from typing import Any

from config.errors import BadMessage
from schemas.rows import MAX_COLUMNS, MAX_ROWS
from schemas.spreadsheet.archive import checked

_EXACT = 10**15  # Excel keeps 15 digits of a number


def rows_of_sheet(body: bytes, name: str) -> list[list[str]]:
    """All rows from the sheet's first, each as wide as the sheet. Raises BadMessage (JL-M120 to JL-M124)."""
    try:
        import python_calamine as calamine
    except ImportError as error:
        raise BadMessage("JL-M124", f"Excel files need the package extra jingluo[xlsx]: {error}") from None
    packed = checked(body)
    try:
        found = _rows(calamine, packed, name)
    except BadMessage:
        raise
    except Exception as error:
        raise BadMessage("JL-M120", f"not an Excel file (.xlsx): {type(error).__name__}") from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # pyo3 makes it of a panic in Rust: no Exception
            raise
        raise BadMessage("JL-M120", "not an Excel file (.xlsx): it cannot be read") from None
    if len(found) > MAX_ROWS or (found and len(found[0]) > MAX_COLUMNS):
        raise BadMessage("JL-M061", f"more than {MAX_ROWS} rows or {MAX_COLUMNS} columns")
    return [
        [_text(value, row, at) for at, value in enumerate(cells, 1)] for row, cells in enumerate(found, 1)
    ]


def _rows(calamine: Any, packed: io.BytesIO, name: str) -> list[list[Any]]:
    with calamine.CalamineWorkbook.from_filelike(packed) as book:
        sheets = [one.name for one in book.sheets_metadata if one.typ == calamine.SheetTypeEnum.WorkSheet]
        if not sheets or (name and name not in sheets):
            what = (
                f"no sheet is called {name!r}; there are {', '.join(sheets)}"
                if sheets
                else "there is no sheet"
            )
            raise BadMessage("JL-M122", what)
        made: list[list[Any]] = book.get_sheet_by_name(name or sheets[0]).to_python(skip_empty_area=False)
        return made


def _text(value: Any, row: int, column: int) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return _number(value, row, column)
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ", "milliseconds" if value.microsecond else "seconds")
    if isinstance(value, datetime.time):
        return value.isoformat("milliseconds" if value.microsecond else "seconds")
    if isinstance(value, datetime.timedelta):
        return _duration(value)
    return value.isoformat() if isinstance(value, datetime.date) else ""


def _number(value: float, row: int, column: int) -> str:
    """A whole number without a point, else 15 digits, as Excel computes."""
    if not abs(value) < _EXACT:  # nor infinite, nor none
        what = "a number of more than 15 digits, the last of which Excel does not keep: write it as text"
        raise BadMessage("JL-M123", what, f"row {row}, column {column}")
    if value == int(value):
        return str(int(value))
    return format(Decimal(format(value, ".15g")), "f")


def _duration(value: datetime.timedelta) -> str:
    """Hours, minutes and seconds: 36:00:00.

    >>> _duration(datetime.timedelta(days=1, hours=12))
    '36:00:00'
    """
    seconds = round(value.total_seconds())
    minutes, second = divmod(abs(seconds), 60)
    return f"{'-' if seconds < 0 else ''}{minutes // 60:02}:{minutes % 60:02}:{second:02}"
