"""Fixed width: what a column holds is where it stands in the line, in bytes or in characters.

```yaml
format:
  fixed:
    charset: GB18030                # and `by: bytes`, as such records are cut: a Chinese letter takes two of them
    columns: {id: 10, name: 20, amount: {width: 12, align: right, pad: "0"}}
format:
  fixed:
    records:                        # several kinds of record, told apart by what each begins with
      H: {date: 8, count: {width: 6, align: right}}
      D: {id: 10, name: 20}
```

`$.rows[0].name`, `each: $.rows`; where there are kinds, `$.record` is the row's: `$.rows[?record=='D'].name`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

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
    check_size,
    compile_rows_path,
    gathered,
    rows_at,
    rows_of,
    too_many_rows,
    tree_of,
)

MAX_WIDTH = 100_000
_WIDE = (
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "utf-32",
    "iso2022_jp",
    "iso2022_jp_2",
)  # a byte alone says nothing


class ColumnText(BaseModel):
    """Where a column stands; of a plain number that is its width."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    width: int = Field(ge=1, le=MAX_WIDTH)
    at: int | None = Field(
        default=None, ge=1, le=MAX_WIDTH, description="from 1; without it, after the one before"
    )
    align: Literal["left", "right"] = "left"
    pad: str = Field(default=" ", pattern=r"^[ -~]$", description="what fills it up: one ASCII character")


def _of_width(value: Any) -> Any:
    return {"width": value} if isinstance(value, int) and not isinstance(value, bool) else value


Columns = dict[str, Annotated[ColumnText, BeforeValidator(_of_width)]]


class FixedText(RowsText):
    """The options of `fixed`."""

    by: Literal["bytes", "characters"] = Field(default="bytes", description="what widths count")
    columns: Columns = Field(default={}, max_length=MAX_COLUMNS, description="of every line: name to width")
    records: dict[str, Columns] = Field(
        default={}, max_length=MAX_COLUMNS, description="by what a line begins with"
    )
    line_end: Literal["crlf", "lf", "none"] = Field(
        default="crlf", description="what is written; `none`: read, too"
    )

    @field_validator("columns", "records")
    @classmethod
    def _placed(cls, columns: Any) -> Any:
        for tag, inner in columns.items():
            if isinstance(inner, dict):
                if not tag or not tag.isascii() or "record" in inner:
                    raise ValueError("a record begins with ASCII letters, and `record` is no column of it")
                _layout(tag, inner)
        if columns and not any(isinstance(inner, dict) for inner in columns.values()):
            _layout("", columns)
        return columns

    @model_validator(mode="after")
    def _whole(self) -> FixedText:
        if bool(self.columns) == bool(self.records):
            raise ValueError("say either columns or records; columns: {id: 10, name: 20}")
        if charsets.codec(self.charset) in _WIDE:
            raise ValueError(f"charset {self.charset} cannot be cut in columns; GB18030, UTF-8 ...")
        return self


class Column(NamedTuple):
    name: str
    start: int
    end: int
    right: bool
    pad: str

    @property
    def place(self) -> str:
        return f"{self.name} ({self.start + 1} to {self.end})"


class Layout(NamedTuple):
    """One kind of record: what it begins with, its columns in order, and where the last ends."""

    tag: str
    columns: tuple[Column, ...]
    width: int


class Fixed:
    """Format `fixed`. Trees are `{"rows": [...]}`, or one row."""

    name = "fixed"
    plain_items = True
    Options = FixedText

    def __init__(self, options: FixedText | None = None) -> None:
        self.options = options or FixedText.model_construct()
        self.lacks = "" if options else "columns or records"
        self.charset = self.options.charset
        kinds = self.options.records or {"": self.options.columns}
        layouts = [_layout(tag, columns) for tag, columns in kinds.items()] if options else []
        self._layouts = sorted(layouts, key=lambda kind: -len(kind.tag))  # the longest that fits is meant
        self._by_tag = {kind.tag: kind for kind in layouts}
        self._longest_tag = max((len(kind.tag) for kind in layouts), default=0)
        self._names = {column.name for kind in layouts for column in kind.columns}
        if options:
            self._names |= {"record"} if options.records else set()
            self._names |= {"rows"} if options.message == "file" else set()

    def decode(self, body: bytes, charset: str = "") -> Any:
        """Raises BadMessage: JL-M060, JL-M061, JL-M063, JL-M066 with row and column, JL-M068."""
        self._check_declared()
        check_size(body)
        mark, marked = charsets.byte_order_mark(body)
        body = body[len(mark) :]
        codec = marked or charsets.codec(charset or self.charset) or charsets.decode(body).codec
        if self.options.by == "characters":
            text = charsets.decode(body, [codec]).text
            return tree_of(
                [self._row(line, row, "") for row, line in self._lines(text, "\n", "\r")], self.options
            )
        if codec in _WIDE:
            raise BadMessage("JL-M060", f"{codec} cannot be cut by bytes")
        lines = self._lines(body, b"\n", b"\r")
        return tree_of([self._row(line, row, codec) for row, line in lines], self.options)

    def beginning(self, head: bytes) -> bytes:
        """The rows that are there whole."""
        if self.options.line_end != "none" or self.options.by != "bytes":
            return head[: head.rfind(b"\n") + 1] or head
        end = 0
        while kind := next((k for k in self._layouts if head.startswith(k.tag.encode(), end)), None):
            if end + kind.width > len(head):
                break
            end += kind.width
        return head[:end] or head

    def encode(self, tree: Any, charset: str = "") -> bytes:
        """Raises BadMessage: JL-M064 to JL-M067 with row and column. Nothing is ever cut off."""
        self._check_declared()
        codec = charsets.codec(charset or self.charset) or "utf-8"
        if codec in _WIDE:
            raise BadMessage("JL-M064", f"{codec} cannot be cut in columns")
        lines: list[bytes] = []
        for number, row in enumerate(rows_of(tree)):
            at = f"$.rows[{number}]"
            lines.append(self._line(self._kind_of(row, at), row, at, codec))
        return LINE_ENDS[self.options.line_end].encode().join([*lines, b""])

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
        """The kind of the first record."""
        rows = tree.get("rows", [tree]) if isinstance(tree, dict) else []
        return str(rows[0].get("record", "")) if rows and isinstance(rows[0], dict) else ""

    def _check_declared(self) -> None:
        if self.lacks:
            raise BadMessage("JL-M068", "nobody has said where its columns stand")

    def _lines(self, whole: Any, end: Any, before_end: Any) -> Iterator[tuple[int, Any]]:
        """Lines that are not empty, as text or bytes, numbered from 1."""
        lines = (
            self._by_width(whole.strip(before_end + end))
            if self.options.line_end == "none"
            else whole.split(end)
        )
        count = 0
        for line in lines:
            line = line.removesuffix(before_end)
            if line:
                count += 1
                if count > MAX_ROWS:
                    raise too_many_rows(count)
                yield count, line

    def _by_width(self, whole: Any) -> Iterator[Any]:
        """Records one directly after the other."""
        at = row = 0
        while at < len(whole):
            row += 1
            width = self._kind(whole[at : at + self._longest_tag], row).width
            yield whole[at : at + width]
            at += width

    def _kind(self, line: Any, row: int) -> Layout:
        for kind in self._layouts:
            if line.startswith(kind.tag if isinstance(line, str) else kind.tag.encode()):
                return kind
        raise BadMessage("JL-M063", "it begins like no kind of record", f"row {row}")

    def _row(self, line: Any, row: int, codec: str) -> dict[str, Any]:
        kind = self._kind(line, row)
        found: dict[str, Any] = {"record": kind.tag} if kind.tag else {}
        for column in kind.columns:
            cell = line[column.start : column.end]
            if 0 < len(cell) < column.end - column.start and column.right:
                raise BadMessage("JL-M063", "the row ends inside it", f"row {row}, {column.place}")
            if codec:
                try:
                    cell = cell.decode(codec)
                except UnicodeDecodeError:
                    text = f"a character is cut in two, or is none of {codec}"
                    raise BadMessage("JL-M063", text, f"row {row}, {column.place}") from None
            found[column.name] = _value(cell, column)
        if line[kind.width :].strip():
            text = f"{len(line)} {self.options.by}, and its columns end at {kind.width}"
            raise BadMessage("JL-M063", text, f"row {row}")
        return found

    def _kind_of(self, row: Any, at: str) -> Layout:
        tag = row.get("record", "") if isinstance(row, dict) and self.options.records else ""
        if tag not in self._by_tag:
            known = ", ".join(self._by_tag)
            raise BadMessage("JL-M065", f"`record` says which kind of record it is: {known}", f"{at}.record")
        kind = self._by_tag[tag]
        check_columns(row, [column.name for column in kind.columns] + ["record"] * bool(tag), at)
        return kind

    def _line(self, kind: Layout, row: dict[str, Any], at: str, codec: str) -> bytes:
        pieces, there = [kind.tag.encode()], len(kind.tag)
        for column in sorted(kind.columns, key=lambda column: column.start):
            pieces += [b" " * (column.start - there), self._cell(column, row, f"{at}.{column.name}", codec)]
            there = column.end
        return b"".join(pieces)

    def _cell(self, column: Column, row: dict[str, Any], at: str, codec: str) -> bytes:
        text, width = cell_text(row.get(column.name), at), column.end - column.start
        if "\n" in text or "\r" in text:
            raise BadMessage("JL-M065", "a line end cannot stand in a column", at)
        try:
            cell, pad = text.encode(codec), column.pad.encode(codec)
        except UnicodeEncodeError:
            raise BadMessage("JL-M064", f"a character that {codec} does not have", at) from None
        length = len(cell) if self.options.by == "bytes" else len(text)
        if length > width:
            raise BadMessage("JL-M067", f"{length} {self.options.by}, and the column has {width}", at)
        fill = pad * (width - length)
        return fill + cell if column.right else cell + fill


def _value(cell: str, column: Column) -> str:
    """What is left without its padding; of noughts alone one nought."""
    bare = cell.lstrip(column.pad) if column.right else cell.rstrip(column.pad)
    return bare.strip() or ("0" if "0" in cell and column.pad == "0" else "")


def _layout(tag: str, columns: dict[str, ColumnText]) -> Layout:
    """Raises ValueError for columns that stand one in the other."""
    made: list[Column] = []
    there = len(tag)
    for name, text in columns.items():
        start = there if text.at is None else text.at - 1
        made.append(Column(name, start, start + text.width, text.align == "right", text.pad))
        there = start + text.width
    if not made:
        raise ValueError(f"no columns of {tag!r}" if tag else "no columns")
    ordered = sorted(made, key=lambda column: column.start)
    if ordered[0].start < len(tag):
        raise ValueError(f"{ordered[0].name} stands where the record says its kind")
    for one, other in itertools.pairwise(ordered):
        if other.start < one.end:
            raise ValueError(f"{other.name} begins in {one.name}, which ends at {one.end}")
    return Layout(tag, tuple(made), ordered[-1].end)


registry.format("fixed")(Fixed())
