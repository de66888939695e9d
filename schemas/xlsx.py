"""Excel files (.xlsx): the rows of one sheet, each cell as the text that CSV would have.

```yaml
format: xlsx                                         # the first sheet, and its first row names the columns
format: {xlsx: {sheet: 名单, columns: [id, name]}}
```

`$.rows[0].name`, `each: $.rows` and inside it `$.name`, as in delimited text. Needs the extra `xlsx`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

from pydantic import Field, field_validator

from config import registry
from config.errors import BadMessage
from schemas.base import Path
from schemas.delimited import Delimited, DelimitedText
from schemas.rows import (
    MAX_COLUMNS,
    RowsOptions,
    built,
    check_header,
    check_names,
    check_size,
    compile_rows_path,
    rows_at,
    tree_of,
)


class XlsxText(RowsOptions):
    """The options of `xlsx`."""

    sheet: str = Field(default="", max_length=31, description="its name; without it the first one")
    columns: list[str] = Field(default=[], max_length=MAX_COLUMNS, description="their names, in order")
    header: bool | None = Field(
        default=None,
        description="whether the first row names the columns; without it, where `columns` does not",
    )

    @field_validator("columns")
    @classmethod
    def _distinct(cls, columns: list[str]) -> list[str]:
        check_names(columns)
        return columns

    @property
    def has_header(self) -> bool:
        return not self.columns if self.header is None else self.header


class Xlsx:
    """Format `xlsx`. Trees are `{"rows": [...]}`, or one row; an item is written as delimited text."""

    name = "xlsx"
    plain_items = True
    driver = ("python_calamine", "xlsx")
    Options = XlsxText

    def __init__(self, options: XlsxText | None = None) -> None:
        self.options = options or XlsxText()
        columns, header = self.options.columns, self.options.header
        self.items_as = Delimited(DelimitedText(columns=columns, header=header))
        top = () if self.options.message == "row" else ("rows",)
        self._names = frozenset((*columns, *top)) if columns else frozenset()

    def decode(self, body: bytes, charset: str = "") -> Any:
        """Raises BadMessage: JL-M061 to JL-M063, JL-M066 and JL-M120 to JL-M124, with the row of the sheet."""
        check_size(body)
        from schemas.spreadsheet.reading import rows_of_sheet

        rows = [(at, row) for at, row in enumerate(rows_of_sheet(body, self.options.sheet), 1) if any(row)]
        columns = self.options.columns
        if self.options.has_header:
            at, first = rows.pop(0) if rows else (1, [])
            columns = _without_end([name.strip() for name in first])
            check_header(columns, self.options.columns, f"row {at}")
        return tree_of([_row(row, columns, at) for at, row in rows], self.options)

    def encode(self, tree: Any, charset: str = "") -> bytes:
        """One sheet, each cell as the text that CSV would have. Raises BadMessage (JL-M065, JL-M124)."""
        from schemas.spreadsheet.writing import sheet_of

        text = self.items_as.encode(tree, "utf-8").decode()
        return sheet_of(csv.reader(io.StringIO(text)), self.options.sheet)

    def path(self, text: str) -> Path:
        return compile_rows_path(text, self._names)

    def items(self, text: str) -> Callable[[Any], list[Any]]:
        return rows_at(text, self.options)

    def build(self, made: Any, start: Any = None) -> Any:
        return built(made, start, self.options)

    def sniff(self, tree: Any) -> str:
        return ""


def _row(cells: list[str], columns: list[str], at: int) -> Any:
    """A sheet is as wide as its widest row: what is empty behind the columns is not there."""
    if not columns:
        return cells
    cells = cells if len(cells) <= len(columns) else _without_end(cells)
    if len(cells) > len(columns):
        raise BadMessage("JL-M063", f"{len(cells)} cells, and {len(columns)} columns", f"row {at}")
    return dict(zip(columns, cells + [""] * (len(columns) - len(cells)), strict=True))


def _without_end(cells: list[str]) -> list[str]:
    end = len(cells)
    while end and not cells[end - 1]:
        end -= 1
    return cells[:end]


registry.format("xlsx")(Xlsx())
