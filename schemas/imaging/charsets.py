"""What DICOM calls a charset: defined terms of Specific Character Set (PS3.3 C.12.1.1.2), and Python's codecs."""

from __future__ import annotations

from schemas import charsets

UTF_8, GB18030 = "ISO_IR 192", "GB18030"
# Those that we write. All of them are read, and those with code extensions too, by pydicom.
CODECS = {
    "": "ascii",
    "ISO_IR 6": "ascii",
    "ISO_IR 100": "latin-1",
    UTF_8: "utf-8",
    GB18030: "gb18030",
    "GBK": "gbk",
}


def term_of(charset: str) -> str:
    """The defined term for what a channel or a caller calls a charset; '' for one that DICOM does not have.

    >>> term_of("UTF-8"), term_of("gb2312"), term_of("ISO_IR 192"), term_of("ISO-8859-1"), term_of("Big5")
    ('ISO_IR 192', 'GB18030', 'ISO_IR 192', 'ISO_IR 100', '')
    """
    if charset in CODECS:
        return charset
    known = {"utf-8": UTF_8, "gb18030": GB18030, "gbk": GB18030, "gb2312": GB18030, "iso8859-1": "ISO_IR 100"}
    return known.get(charsets.codec(charset), "")


def guessed(text: bytes) -> str:
    """The codec of letters that no charset was named for: UTF-8 where they fit it, GB18030 else; '' for ASCII."""
    if text.isascii():
        return ""
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return "gb18030"
    return "utf8"
