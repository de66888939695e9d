"""Delimited text (CSV, TSV, pipes): a row a line, cells between separators, quotes around what holds one (RFC 4180).

```yaml
format: delimited                                             # commas, and the first row names the columns
format: {delimited: {separator: "|", columns: [id, name], charset: GB18030}}
```

`$.rows[0].name`, `each: $.rows` and inside it `$.name`. Without header and columns a row is a list: `$.rows[0][2]`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from typing import Any, Literal

from pydantic import Field, field_validator

from config import registry
from config.errors import BadMessage
from schemas import charsets
from schemas.base import Gather, Path, one_way
from schemas.rows import (
    LINE_ENDS,
    MAX_COLUMNS,
    MAX_ROWS,
    RowsText,
    built,
    cell_text,
    check_columns,
    check_header,
    check_names,
    check_size,
    compile_rows_path,
    gathered,
    rows_at,
    rows_of,
    too_many_rows,
    tree_of,
)

_MAX_CUTS = 100  # of line ends tried for the beginning of a large body


class DelimitedText(RowsText):
    """The options of `delimited`."""

    separator: str = Field(
        default=",", min_length=1, max_length=1, description='between cells: ",", "|", "\\t"'
    )
    quote: str = Field(
        default='"', max_length=1, description='around a cell that holds a separator; "": none'
    )
    columns: list[str] = Field(default=[], max_length=MAX_COLUMNS, description="their names, in order")
    header: bool | None = Field(
        default=None,
        description="whether the first row names the columns; without it, where `columns` does not",
    )
    short_rows: bool = Field(default=False, description="a row may end before its last columns")
    line_end: Literal["crlf", "lf"] = Field(default="crlf", description="what is written; any is read")

    @field_validator("columns")
    @classmethod
    def _distinct(cls, columns: list[str]) -> list[str]:
        check_names(columns)
        return columns

    @field_validator("separator", "quote")
    @classmethod
    def _no_line_end(cls, mark: str) -> str:
        if mark and mark in "\r\n\0 ":
            raise ValueError("cannot be a space or a line end")
        return mark

    @property
    def has_header(self) -> bool:
        return not self.columns if self.header is None else self.header


class Delimited:
    """Format `delimited`. Trees are `{"rows": [...]}`, or one row."""

    name = "delimited"
    plain_items = True
    Options = DelimitedText

    def __init__(self, options: DelimitedText | None = None) -> None:
        self.options = options or DelimitedText()
        self.charset = self.options.charset
        top = () if self.options.message == "row" else ("rows",)
        self._names = frozenset((*self.options.columns, *top)) if self.options.columns else frozenset()

    def decode(self, body: bytes, charset: str = "") -> Any:
        """Raises BadMessage: JL-M060 to JL-M063 and JL-M066, with line or row."""
        check_size(body)
        mark, marked = charsets.byte_order_mark(body)
        declared = [marked] if marked else []
        text = charsets.decode(body[len(mark) :], declared, charset or self.charset).text
        if "\0" in text:
            raise BadMessage("JL-M060", "not text: it holds a null character")
        lines = self._lines(text)
        columns = self._header(lines) if self.options.has_header else self.options.columns
        return tree_of([self._row(row, columns, line) for line, row in lines], self.options)

    def beginning(self, head: bytes) -> bytes:
        """The rows that are there whole: up to a line end with no quote open."""
        end, quote = len(head), self.options.quote.encode() or b'"'
        for _ in range(_MAX_CUTS):
            end = head.rfind(b"\n", 0, end)
            if end < 0 or not self.options.quote or head.count(quote, 0, end) % 2 == 0:
                break
        return head[: end + 1] or head

    def encode(self, tree: Any, charset: str = "") -> bytes:
        """Raises BadMessage: JL-M064 a letter that the charset lacks, JL-M065 what are no rows."""
        rows, made = rows_of(tree), io.StringIO()
        columns = self.options.columns or _columns_of(rows)
        writer = csv.writer(made, lineterminator=LINE_ENDS[self.options.line_end], **self._dialect())
        try:
            if columns and self.options.has_header:
                writer.writerow(columns)
            for number, row in enumerate(rows):
                writer.writerow(self._cells(row, columns, f"$.rows[{number}]"))
        except csv.Error:
            text = "a value holds the separator or a line end, and there are no quotes to put it in"
            raise BadMessage("JL-M065", text, f"$.rows[{number}]") from None
        text, codec = made.getvalue(), charsets.codec(charset or self.charset) or "utf-8"
        try:
            return text.encode(codec)
        except UnicodeEncodeError as error:
            line = text.count("\n", 0, error.start) + 1
            raise BadMessage("JL-M064", f"a character that {codec} does not have", f"line {line}") from None

    def path(self, text: str) -> Path:
        return compile_rows_path(text, self._names)

    def items(self, text: str) -> Callable[[Any], list[Any]]:
        return rows_at(text, self.options)

    def gathers(self, text: str) -> Gather:
        """A file of all rows."""
        return one_way(text, lambda trees, charset: self.encode(gathered(trees), charset))

    def build(self, made: Any, start: Any = None) -> Any:
        return built(made, start, self.options)

    def sniff(self, tree: Any) -> str:
        return ""

    def _dialect(self) -> dict[str, Any]:
        options = self.options
        if not options.quote:
            return {"delimiter": options.separator, "quoting": csv.QUOTE_NONE, "quotechar": None}
        return {"delimiter": options.separator, "quotechar": options.quote}

    def _lines(self, text: str) -> Iterator[tuple[int, list[str]]]:
        """Rows with the number of the line that they end on; empty lines are none."""
        reader = csv.reader(io.StringIO(text, newline=""), strict=True, **self._dialect())
        count = 0
        try:
            for row in reader:
                if not row:
                    continue
                count += 1
                if count > MAX_ROWS:
                    raise too_many_rows(count)
                if len(row) > MAX_COLUMNS:
                    raise BadMessage("JL-M061", f"more than {MAX_COLUMNS} cells", f"line {reader.line_num}")
                yield reader.line_num, row
        except csv.Error as error:
            code = "JL-M061" if "limit" in str(error) else "JL-M060"
            raise BadMessage(code, f"not delimited text: {error}", f"line {reader.line_num}") from None

    def _header(self, lines: Iterator[tuple[int, list[str]]]) -> list[str]:
        line, row = next(lines, (1, []))
        names = [name.strip() for name in row]
        check_header(names, self.options.columns, f"line {line}")
        return names

    def _row(self, cells: list[str], columns: list[str], line: int) -> Any:
        if not columns:
            return cells
        short = len(cells) < len(columns)
        if len(cells) > len(columns) or (short and not self.options.short_rows):
            raise BadMessage("JL-M063", f"{len(cells)} cells, and {len(columns)} columns", f"line {line}")
        return dict(zip(columns, cells, strict=False))

    def _cells(self, row: Any, columns: list[str], at: str) -> list[str]:
        if not columns and isinstance(row, list):
            return [cell_text(value, f"{at}[{number}]") for number, value in enumerate(row)]
        check_columns(row, columns, at)
        return [cell_text(row.get(name), f"{at}.{name}") for name in columns]


def _columns_of(rows: list[Any]) -> list[str]:
    """The names that rows have, in the order in which they come."""
    return list(dict.fromkeys(str(name) for row in rows if isinstance(row, dict) for name in row))


registry.format("delimited")(Delimited())
