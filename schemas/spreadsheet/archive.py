"""The archive that an Excel file is: unpacked within limits, looked at, and packed anew without compression.

calamine sees nothing but this. What it would make of a file is known before: it allocates a sheet as a rectangle
around its cells, and gives each cell a text of its own.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator

from config.errors import BadMessage
from schemas.rows import MAX_COLUMNS, MAX_ROWS

MAX_UNPACKED = 200_000_000  # bytes
MAX_PARTS = 1_000
MAX_CELLS = 2_000_000  # of the rectangle around the cells of a sheet
MAX_TEXT = 1_000_000_000  # bytes, were each text cell as long as the longest
_PIECE = 1_000_000
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # of .xls, and of an .xlsx with a password (MS-CFB 2.2)
_PART = re.compile(r"(\[Content_Types\]\.xml|.*\.rels|xl/.*\.xml|/xl/.*\.xml)", re.IGNORECASE)
_UNREAD = re.compile(r".*/(drawings|charts|media|theme|externalLinks|printerSettings|comments\d*)[/.]", re.I)
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_PLACE = re.compile(rb"""\br\s*=\s*["']([A-Za-z]*)(\d*)["']""")
_MARK = re.compile(rb"<(?:[^<>\s:]+:)?(row|c)[\s/>]")
_SHARED = re.compile(rb"""\bt\s*=\s*["']s["']""")
_TEXT_ENDS = re.compile(rb"</(?:[^<>\s:]+:)?si\s*>")


def checked(body: bytes) -> io.BytesIO:
    """Raises BadMessage: JL-M120 for what is no .xlsx, JL-M121 for what is too large."""
    if body.startswith(_OLE):
        raise BadMessage("JL-M120", "an old Excel file (.xls), or one with a password; save it as .xlsx")
    made = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as packed:
            parts = dict(_unpacked(packed))
    except BadMessage:
        raise
    except Exception as error:  # of a damaged archive zipfile raises whatever it happens on, struct.error say
        what = str(error) if isinstance(error, zipfile.BadZipFile) else type(error).__name__
        raise BadMessage("JL-M120", f"not an Excel file (.xlsx): {what}") from None
    _check(parts)
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as anew:
        for name, content in parts.items():
            anew.writestr(zipfile.ZipInfo(name), content)
    made.seek(0)
    return made


def _unpacked(packed: zipfile.ZipFile) -> Iterator[tuple[str, bytes]]:
    """The parts with cells, texts and formats; what they say of their size is not believed."""
    listed = packed.infolist()
    if len(listed) > MAX_PARTS:
        raise BadMessage("JL-M121", f"more than {MAX_PARTS} parts")
    wanted = [one for one in listed if _PART.fullmatch(one.filename) and not _UNREAD.match(one.filename)]
    if sum(one.file_size for one in wanted) > MAX_UNPACKED:
        raise BadMessage("JL-M121", f"larger than {MAX_UNPACKED} bytes when unpacked")
    left = MAX_UNPACKED
    for one in wanted:
        made = bytearray()
        with packed.open(one) as part:
            while piece := part.read(_PIECE):
                left -= len(piece)
                if left < 0:
                    raise BadMessage("JL-M121", f"larger than {MAX_UNPACKED} bytes when unpacked")
                made += piece
        yield one.filename, bytes(made)


def _check(parts: dict[str, bytes]) -> None:
    names = {name.lower().lstrip("/") for name in parts}
    if "xl/workbook.xml" not in names:
        raise BadMessage("JL-M120", "not an Excel file (.xlsx): it has no workbook")
    longest = max(
        (_longest(one) for name, one in parts.items() if name.lower().endswith("strings.xml")), default=0
    )
    for name, content in parts.items():
        # In other encodings (UTF-16, those with escapes) what is looked for below would look otherwise.
        if _CONTROL.search(content) or b"<!DOCTYPE" in content:
            raise BadMessage("JL-M120", "not an Excel file (.xlsx): its XML is not UTF-8, or has a DTD", name)
        if not name.lower().endswith(".rels"):
            _check_sheet(name, content, longest)


def _check_sheet(name: str, content: bytes, longest: int) -> None:
    """Of any part, as the relationships say what is a sheet.

    Rows and cells without a place follow those before them, so a sheet reaches at most so far behind the last
    place as it has rows, and cells in one row.
    """
    cells = rows = run = widest = 0
    for found in _MARK.finditer(content):
        if found[1] == b"c":
            cells, run = cells + 1, run + 1
            widest = max(widest, run)
        else:
            rows, run = rows + 1, 0
    if not cells:
        return
    letters: set[bytes] = set()
    numbers: set[bytes] = set()
    for found in _PLACE.finditer(content):
        letters.add(found[1])
        numbers.add(found[2])
    last_column = max(map(_column, letters), default=0)
    last_row = max((int(number[-20:] or 0) for number in numbers), default=0)
    if max(last_row, rows) > MAX_ROWS or max(last_column, widest) > MAX_COLUMNS:
        raise BadMessage("JL-M121", f"more than {MAX_ROWS} rows or {MAX_COLUMNS} columns", name)
    if (last_row + rows) * (last_column + widest) > 4 * MAX_CELLS or cells > MAX_CELLS:
        raise BadMessage("JL-M121", f"more than {MAX_CELLS} cells", name)
    if longest * sum(1 for _ in _SHARED.finditer(content)) > MAX_TEXT:
        raise BadMessage("JL-M121", f"more than {MAX_TEXT} bytes of text", name)


def _column(letters: bytes) -> int:
    """The number of a column.

    >>> _column(b"A"), _column(b"aa"), _column(b"XFD")
    (1, 27, 16384)
    """
    number = 0
    for letter in letters.upper()[:7]:
        number = number * 26 + letter - 64
    return number


def _longest(content: bytes) -> int:
    """Bytes of the longest text of a table of texts, with its marks."""
    before = longest = 0
    for found in _TEXT_ENDS.finditer(content):
        before, longest = found.end(), max(longest, found.end() - before)
    return max(longest, len(content) - before)
