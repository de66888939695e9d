"""What formats of rows have in common (delimited text, fixed width, Excel): their trees, paths, letters and limits.

A tree is `{"rows": [row, ...]}`, a row a dict of texts by column; where a message is one row, it is that row.
Paths are those of JSON, and a name that no column has is found when they are compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from config.errors import BadMessage
from config.registry import nearest
from schemas import charsets
from schemas.base import BadPath, Path
from schemas.json import compile_path, items_at, laid_over, names_of

MAX_BYTES = 100_000_000
MAX_ROWS = 1_000_000
MAX_COLUMNS = 1_000
LINE_ENDS = {"crlf": "\r\n", "lf": "\n", "none": ""}
Row = dict[str, Any]


class RowsOptions(BaseModel):
    """The option that all have."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    message: Literal["file", "row"] = Field(default="file", description="what one message is")


class RowsText(RowsOptions):
    """The options of rows in text."""

    charset: str = Field(
        default="", description="what it is written in, where the source does not say; else UTF-8"
    )

    @field_validator("charset")
    @classmethod
    def _known(cls, charset: str) -> str:
        if charset and not charsets.codec(charset):
            raise ValueError(f"no charset is called {charset!r}; GB18030, UTF-8, ISO-8859-1 ...")
        return charset


def compile_rows_path(text: str, names: Collection[str]) -> Path:
    """A JSON path. Where the columns are known, every name in a path of names and indexes is one of `names`."""
    path = compile_path(text)
    for name in names_of(text) if names else ():
        if name not in names:
            near = nearest(name, names)
            raise BadPath(f"no column is called {name!r}", text.replace(name, near) if near else "")
    return path


def rows_at(text: str, options: RowsOptions) -> Callable[[Any], list[Any]]:
    """What makes a tree of each row. Raises BadPath for what are no rows; it raises BadMessage (JL-M090)."""
    if options.message == "row":
        raise BadPath("a message is one row here: there is nothing to divide")
    if names_of(text) not in ([], ["rows"]):
        raise BadPath(f"{text!r} are no rows", ".rows[]")
    items = items_at(text)
    return lambda tree: [{"rows": [row]} for row in items(tree)]


def gathered(trees: list[Any]) -> Any:
    """The rows of all, one after the other."""
    return {"rows": [row for tree in trees for row in rows_of(tree)]}


def check_size(body: bytes) -> None:
    if len(body) > MAX_BYTES:
        raise BadMessage("JL-M061", f"larger than {MAX_BYTES} bytes")


def too_many_rows(row: int) -> BadMessage:
    return BadMessage("JL-M061", f"more than {MAX_ROWS} rows", f"row {row}")


def tree_of(rows: list[Any], options: RowsOptions) -> Any:
    """All rows as a tree, or the only one where a message is a row."""
    if options.message == "file":
        return {"rows": rows}
    if len(rows) != 1:
        raise BadMessage("JL-M066", f"a message is one row here, and there are {len(rows)}", "row 2")
    return rows[0]


def check_names(names: list[str]) -> None:
    """Raises ValueError for what cannot name columns."""
    seen: set[str] = set()
    for number, name in enumerate(names, 1):
        if not name or name in seen:
            raise ValueError(f"column {number} {'has the name of another' if name else 'has no name'}")
        seen.add(name)


def check_header(names: list[str], wanted: Collection[str], at: str) -> None:
    """Raises BadMessage (JL-M062) for names of a header that are none, or lack one that is declared."""
    try:
        check_names(names)
    except ValueError as error:
        raise BadMessage("JL-M062", str(error), at) from None
    missing = next((name for name in wanted if name not in names), "")
    if missing or not names:
        what = f"no column is called {missing!r} in the header" if missing else "there is no header"
        raise BadMessage("JL-M062", what, at)


def rows_of(tree: Any) -> list[Any]:
    """The rows of what a map or a sender made: all of a tree, a list of rows, or one row."""
    rows = tree.get("rows", [tree]) if isinstance(tree, Mapping) else tree
    if not isinstance(rows, list):
        raise BadMessage("JL-M065", "rows are a list: {rows: [{column: value}, ...]}", "$.rows")
    return rows


def built(made: Any, start: Any, options: RowsOptions) -> Any:
    """What a map made as a tree; laid over `start` as JSON is."""
    made = {"rows": made} if isinstance(made, list) and options.message == "file" else made
    return made if start is None else laid_over(start, made)


def cell_text(value: Any, at: str) -> str:
    """A value as a cell shows it; nothing is the empty text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, str | int):
        return str(value)
    raise BadMessage("JL-M065", f"a {type(value).__name__} cannot stand in a column", at)


def check_columns(row: Any, columns: Collection[str], at: str) -> None:
    """What a map makes must have its place."""
    if not isinstance(row, Mapping):
        raise BadMessage("JL-M065", "a row is an object: {column: value}", at)
    for name in row:
        if name not in columns:
            near = nearest(str(name), columns)
            said = f"; did you mean {near}?" if near else ""
            raise BadMessage("JL-M065", f"there is no such column{said}", f"{at}.{name}")
