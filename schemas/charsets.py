"""Which letters the bytes stand for: the names that messages use for charsets, and what to do when they lie.

The names are those of HL7 table 0211 (MSH-18), of XML declarations, and what Chinese systems write instead.
GB2312 and GBK are read and written as GB18030, which holds both: a rare name must not stop a message.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

_NAMES = {
    "ascii": "ASCII USASCII ISOIR6 ISO646",
    "utf-8": "UNICODEUTF8 UTF8 UNICODE UTF ISO10646",
    "utf-16": "UNICODEUTF16 UTF16",
    "utf-16-le": "UTF16LE",
    "utf-16-be": "UTF16BE",
    "utf-32": "UNICODEUTF32 UTF32",
    "gb18030": "GB18030 GB180302000 GB180302005 GB180302022 GB2312 GB231280 GBK GB CP936 936 ISOIR58 EUCCN",
    "big5hkscs": "BIG5 BIG5HKSCS CP950",
    "iso2022_jp": "ISOIR87 ISO2022JP",
    "iso2022_jp_2": "ISOIR159",
    "shift_jis": "ISOIR14 SHIFTJIS SJIS",
    "euc_jp": "EUCJP",
    "euc_kr": "KSX1001 EUCKR",
    "cp1252": "WINDOWS1252 CP1252 1252",
    "cp1250": "WINDOWS1250 CP1250",
    "cp1251": "WINDOWS1251 CP1251",
}
_CODECS = {name: codec for codec, names in _NAMES.items() for name in names.split()}
for _part in (*range(1, 12), 13, 14, 15, 16):
    for _form in ("8859{}", "ISO8859{}", "ISOIEC8859{}"):
        _CODECS[_form.format(_part)] = f"iso8859-{_part}"
_CODECS["LATIN1"] = "iso8859-1"

_HL7_NAMES = {"ascii": "ASCII", "utf-8": "UNICODE UTF-8", "gb18030": "GB 18030-2000", "big5hkscs": "BIG-5"}
_NO_LETTER = re.compile(r"[^A-Z0-9]")
_BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))


class Decoded(NamedTuple):
    """Text, the codec that gave it, and whether that codec is another than was declared (or none was)."""

    text: str
    codec: str
    guessed: bool


@lru_cache(maxsize=256)
def codec(name: str) -> str:
    """The Python codec of a charset's name in any spelling, or '' when nobody knows it.

    >>> codec("GB 18030-2000"), codec("8859/1"), codec("UNICODE UTF-8"), codec("Klingon")
    ('gb18030', 'iso8859-1', 'utf-8', '')
    """
    return _CODECS.get(_NO_LETTER.sub("", name.upper()), "")


def hl7_name(name: str) -> str:
    """What MSH-18 calls a codec (HL7 table 0211).

    >>> hl7_name("gb18030"), hl7_name("iso8859-1")
    ('GB 18030-2000', '8859/1')
    """
    known = codec(name) or name
    if known.startswith("iso8859-"):
        return "8859/" + known.removeprefix("iso8859-")
    if known.startswith("utf-"):
        return "UNICODE " + known[:6].upper().rstrip("-")
    return _HL7_NAMES.get(known, known.upper())


def byte_order_mark(body: bytes) -> tuple[bytes, str]:
    """The mark that the bytes begin with and the codec it stands for; (b'', '') when there is none."""
    for mark, meant in _BYTE_ORDER_MARKS:
        if body.startswith(mark):
            return mark, meant
    return b"", ""


def decode(body: bytes, declared: Iterable[str] = (), hint: str = "") -> Decoded:
    """Bytes to text; never fails. `declared` are names found in the message, `hint` what the channel says.

    What does not decode as declared is tried with the hint, as UTF-8 (which hardly fits by chance), as
    GB18030, and at last as Latin-1, which keeps every byte. What is called GB18030, fits UTF-8 too, and makes
    more sense so, is UTF-8: much software writes `encoding="gb2312"` before what it sends as UTF-8.
    """
    claims = [known for name in (*declared, hint) if (known := codec(name))]
    if claims[:1] == ["gb18030"] and not body.isascii() and (text := _utf8_all_the_same(body)):
        return Decoded(text, "utf-8", True)
    for attempt in (*claims, "utf-8", "gb18030"):
        try:
            return Decoded(body.decode(attempt), attempt, attempt not in claims[:1])
        except UnicodeError:
            continue
    return Decoded(body.decode("latin-1"), "iso8859-1", True)


def _utf8_all_the_same(body: bytes) -> str:
    """The text in UTF-8, where it has a larger share of everyday Chinese than in GB18030; else ''."""
    try:
        text = body.decode()
    except UnicodeError:
        return ""
    try:
        other = body.decode("gb18030")
    except UnicodeError:
        return text
    return text if _everyday(text) > _everyday(other) else ""


def _everyday(text: str) -> float:
    """Which share of the characters beyond ASCII is in GB2312: 6,763 everyday ones of 27,000 and more."""
    plain = len(text.encode("ascii", "ignore"))
    return (len(text.encode("gb2312", "ignore")) - plain) / 2 / max(len(text) - plain, 1)
