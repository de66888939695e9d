"""The rows of a platform's text file: tab between columns, a row a line, no header, `null` for empty.

Columns are read by position. A later version of the interface appends columns, so more of them are taken; fewer are a
fault of that row, since nobody can say which one is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec import Struct

from config.errors import BadMessage
from endpoints.insurance.zipped import LIMITS, Limits, Readable

NULL = "null"
_PIECE = 1 << 20
_BOM = b"\xef\xbb\xbf"

Value = str | None  # None where the file says null


class Row(Struct, frozen=True, gc=False):
    """`number` counts lines from 1. `values` are as many as there are names, or more."""

    number: int
    values: Sequence[Value]


class RowFault(Struct, frozen=True):
    """Why a row cannot be taken. Says no value of it: files hold patients, too."""

    number: int
    code: str
    text: str


def refuse(fault: RowFault) -> None:
    """What is done with a fault where nobody counts them: the file is refused. Raises BadMessage."""
    raise BadMessage(fault.code, fault.text, path=f"row {fault.number}")


def rows(
    text: Readable,
    columns: int,
    *,
    skip: int = 0,
    faulty: Callable[[RowFault], None] = refuse,
    limits: Limits = LIMITS,
) -> Iterator[Row]:
    """All rows with at least so many columns, after `skip` lines. Lines without anything are passed over.

    `faulty` hears of the others (JL-N102 too few columns, JL-N103 no known charset), and may raise. A row over the
    limit ends it (BadMessage JL-N101). UTF-8, or GB18030 where the first text beyond ASCII is not UTF-8.
    """
    read = _Letters()
    least = columns - 1
    for number, line in enumerate(_lines(text, limits.line), 1):
        if number <= skip:
            if not read.charset and not line.isascii():
                read.text(line)  # the charset is the file's, not what is left of it
            continue
        if not line:
            continue
        if line.count(b"\t") < least:
            found = line.count(b"\t") + 1
            faulty(RowFault(number, "JL-N102", f"{found} columns 列; {columns} are agreed 约定"))
            continue
        decoded = read.text(line)
        if decoded is None:
            faulty(
                RowFault(
                    number, "JL-N103", f"neither {read.charset} nor another charset that is known 编码错误"
                )
            )
            continue
        values = decoded.split("\t")
        yield Row(
            number, [None if value == NULL else value for value in values] if NULL in values else values
        )


class _Letters:
    """The charset of a file, known from its first letter beyond ASCII."""

    def __init__(self) -> None:
        self.charset = ""

    def text(self, line: bytes) -> str | None:
        if line.isascii():
            return line.decode("ascii")
        for charset in (self.charset,) if self.charset else ("utf-8", "gb18030"):
            try:
                decoded = line.decode(charset)
            except UnicodeDecodeError:
                continue
            self.charset = charset
            return decoded
        return None


def _lines(text: Readable, longest: int) -> Iterator[bytes]:
    r"""Without \n, or \r\n. The last one may lack it."""
    rest, first = b"", True
    while piece := text.read(_PIECE):
        if first:
            piece, first = piece.removeprefix(_BOM), False
        lines = (rest + piece).split(b"\n") if rest else piece.split(b"\n")
        rest = lines.pop()
        if len(rest) > longest:
            raise BadMessage("JL-N101", f"a row has more than {longest:,} bytes: this is no such file")
        for line in lines:
            yield line.removesuffix(b"\r")
    if rest:
        yield rest.removesuffix(b"\r")


def written(rows: Iterable[Sequence[object]], batch: int = 2_000) -> Iterator[bytes]:
    """Rows as the platform reads them: UTF-8, `null` for None and for an empty text, in pieces of some rows.

    A tab or an end of line within a value becomes a blank: it would be read as another column, or another row.
    """
    lines: list[str] = []
    for row in rows:
        lines.append("\t".join(_cell(value) for value in row) + "\n")
        if len(lines) >= batch:
            yield "".join(lines).encode()
            lines.clear()
    if lines:
        yield "".join(lines).encode()


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return " ".join(text.replace("\t", "\n").splitlines()) if text else NULL
