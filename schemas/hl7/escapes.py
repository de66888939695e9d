r"""Escape sequences (HL7 v2.5.1 section 2.7): `\F\ \S\ \T\ \R\ \E\ \P\`, `\Xhh\`, `\.br\`, highlighting.

`\.br\` and its kin become line ends, `\H\` and `\N\` vanish, hexadecimal data are bytes of the message's
charset. What has no plain meaning (`\Cxxyy\`, `\Mxxyyzz\`, `\Zdd\`, unknown or unclosed) stays as it stands.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

# Stands for a delimiter that the message does not have: no field of a segment can hold a carriage return.
ABSENT = "\r"


class Marks(NamedTuple):
    """A message's delimiters, MSH-1 and MSH-2."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    sub: str = "&"
    truncation: str = ABSENT


STANDARD = Marks()

_CONTROLS = {"\n": ".br", "\r": "X0D", "\x0b": "X0B", "\x1c": "X1C"}
_MAX_SPACES = 100


@lru_cache(maxsize=64)
def _pattern(escape: str) -> re.Pattern[str]:
    e = re.escape(escape)
    known = r"[FSTREPHN]|X(?:[0-9A-Fa-f]{2})+|\.(?:br|ce|fi|nf|(?:sp|in|ti|sk)\s?[-+]?\d{0,3})"
    return re.compile(f"{e}({known}){e}")


def unescape(text: str, marks: Marks = STANDARD, codec: str = "utf-8") -> str:
    r"""Text as it stands in a field to text as people mean it.

    >>> unescape(r"A\T\B \X4142\ \Z01\ C:\temp")
    'A&B AB \\Z01\\ C:\\temp'
    """
    if marks.escape not in text:
        return text

    def meant(match: re.Match[str]) -> str:
        code: str = match[1]
        if code[0] == "X":
            return bytes.fromhex(code[1:]).decode(codec, "replace")
        if code[0] == ".":
            return _formatting(code)
        found = _letters(marks).get(code, "")
        return found if found != ABSENT else match[0]

    return _pattern(marks.escape).sub(meant, text)


def _formatting(code: str) -> str:
    """Line and space commands of formatted text (FT, section 2.7.7)."""
    command, count = code[1:3], code[3:].strip()
    if command in ("br", "ce"):
        return "\n"
    if command == "sp":
        return "\n" * min(int(count or 1), _MAX_SPACES) if count.lstrip("+").isdigit() or not count else "\n"
    if command == "sk":
        return " " * min(int(count), _MAX_SPACES) if count.lstrip("+").isdigit() else " "
    return ""


@lru_cache(maxsize=64)
def _letters(marks: Marks) -> dict[str, str]:
    return {
        "F": marks.field,
        "S": marks.component,
        "T": marks.sub,
        "R": marks.repetition,
        "E": marks.escape,
        "P": marks.truncation,
    }


@lru_cache(maxsize=64)
def _special(marks: Marks) -> tuple[re.Pattern[str], dict[str, str]]:
    """What must be escaped in a message with these delimiters, and how."""
    codes = {mark: letter for letter, mark in _letters(marks).items() if mark != ABSENT}
    codes |= _CONTROLS
    return re.compile("[" + re.escape("".join(codes)) + "]"), codes


def escape(text: str, marks: Marks = STANDARD) -> str:
    r"""Plain text to what may stand in a field; `unescape` gives it back.

    Without an escape character in MSH-2 a delimiter cannot be written: it becomes a space.

    >>> escape("A&B|C\n")
    'A\\T\\B\\F\\C\\.br\\'
    """
    special, codes = _special(marks)
    if not special.search(text):
        return text
    e = marks.escape
    if e == ABSENT:
        return special.sub(" ", text)
    return special.sub(lambda match: f"{e}{codes[match[0]]}{e}", text)
