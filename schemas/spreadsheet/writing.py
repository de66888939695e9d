"""Rows to an Excel file: one sheet, each cell as the text that it is, never a formula."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

from config.errors import BadMessage


def sheet_of(rows: Iterable[Sequence[str]], name: str = "") -> bytes:
    """Raises BadMessage (JL-M124) where the extra is not installed."""
    try:
        import xlsxwriter
    except ImportError as error:
        raise BadMessage("JL-M124", f"Excel files need the package extra jingluo[xlsx]: {error}") from None
    made = io.BytesIO()
    with xlsxwriter.Workbook(made, {"in_memory": True}) as book:
        sheet = book.add_worksheet(name or None)
        for at, row in enumerate(rows):
            for column, cell in enumerate(row):
                if cell:
                    sheet.write_string(at, column, cell)
    return made.getvalue()
