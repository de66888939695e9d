"""What every statement must stand before it is believed (F69): its hash, its end, its count, its day, its merchant."""

from __future__ import annotations

import hashlib
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterable

from config.errors import BadMessage
from schemas.statements.row import Row, Wanted, day_of

MOST_BYTES = 200_000_000  # unpacked
MOST_ROWS = 2_000_000
_MOST_MEMBERS = 50


def proved(body: bytes, wanted: Wanted) -> bytes:
    """The body. Raises BadMessage: JL-Q002 its hash is another, JL-Q007 it is too large."""
    if len(body) > MOST_BYTES:
        raise BadMessage("JL-Q007", f"over {MOST_BYTES} bytes 对账单过大")
    if wanted.sha1 and hashlib.sha1(body, usedforsecurity=False).hexdigest() != wanted.sha1.lower():
        raise BadMessage("JL-Q002", "its SHA-1 is not the one that the channel gave 摘要不符")
    return body


def unpacked(body: bytes) -> bytes:
    """Out of gzip, where it is in one. Raises BadMessage (JL-Q003 cut, JL-Q007)."""
    if body[:2] != b"\x1f\x8b":
        return body
    inflater = zlib.decompressobj(wbits=31)
    try:
        made = inflater.decompress(body, MOST_BYTES)
    except zlib.error:
        raise BadMessage("JL-Q001", "no gzip 压缩文件损坏") from None
    if inflater.unconsumed_tail:
        raise BadMessage("JL-Q007", f"over {MOST_BYTES} bytes unpacked 对账单过大")
    if not inflater.eof:
        raise BadMessage("JL-Q003", "it is cut: the gzip does not end 文件不完整")
    return made


def members(body: bytes) -> Iterable[tuple[str, bytes]]:
    """Name and content of each file of a ZIP. Raises BadMessage (JL-Q001, JL-Q007)."""
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as packed:
            files = [one for one in packed.infolist() if not one.is_dir()]
            if len(files) > _MOST_MEMBERS or sum(one.file_size for one in files) > MOST_BYTES:
                raise BadMessage("JL-Q007", "too much in one ZIP 对账单过大")
            for one in files:
                with packed.open(one) as opened:
                    content = opened.read(MOST_BYTES + 1)
                if len(content) > MOST_BYTES:
                    raise BadMessage("JL-Q007", "too much in one ZIP 对账单过大")
                yield one.filename, content
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        RuntimeError,
        OSError,
        ValueError,
    ) as error:
        raise BadMessage("JL-Q001", f"no ZIP: {type(error).__name__} 压缩文件损坏") from None


def of_day_and_merchant(rows: list[Row], wanted: Wanted) -> list[Row]:
    """The rows. Raises BadMessage: JL-Q005 of another day, JL-Q006 of another merchant, JL-Q007 too many."""
    if len(rows) > MOST_ROWS:
        raise BadMessage("JL-Q007", f"over {MOST_ROWS} rows 对账单过大")
    for number, row in enumerate(rows, 1):
        if (day := day_of(row.at_ms, wanted.cut_h)) != wanted.day:
            raise BadMessage("JL-Q005", f"a row of {day}, not of {wanted.day} 非当日对账单", f"row {number}")
        if wanted.merchants and row.merchant not in wanted.merchants:
            raise BadMessage("JL-Q006", f"of merchant {row.merchant[:40]!r} 商户号不符", f"row {number}")
    return rows


def text_of(body: bytes, charset: str) -> str:
    """Raises BadMessage (JL-Q001)."""
    try:
        return body.decode(charset)
    except (UnicodeDecodeError, LookupError):
        raise BadMessage("JL-Q001", f"no {charset} text 编码错误") from None
