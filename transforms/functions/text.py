"""Text.

Everything counts characters; what counts bytes is in `bytes.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from config.registry import function
from transforms.pipes import prepares

_MAX_WIDTH = 1_000


@function
def trim(value: str) -> str:
    """Without white space around it, the Chinese wide space included.

    >>> trim(" 张三\u3000")
    '张三'
    """
    return value.strip()


@prepares(trim)
def _trim() -> Callable[[str], str]:
    return str.strip


@function
def upper(value: str) -> str:
    """Capital letters.

    >>> upper("a01")
    'A01'
    """
    return value.upper()


@function
def lower(value: str) -> str:
    """Small letters.

    >>> lower("A01")
    'a01'
    """
    return value.lower()


@function
def title(value: str) -> str:
    """A capital at the beginning of each word.

    >>> title("EVERYMAN ADAM")
    'Everyman Adam'
    """
    return value.title()


@function
def replace(value: str, *, old: str, new: str = "") -> str:
    """Every `old` replaced by `new`.

    >>> replace("010-5555", old="-")
    '0105555'
    """
    return value.replace(old, new)


@function
def prefix(value: str, *, text: str) -> str:
    """The text before it.

    >>> prefix("P0001", text="Patient/")
    'Patient/P0001'
    """
    return text + value


@prepares(prefix)
def _prefix(*, text: str) -> Callable[[str], str]:
    return text.__add__


@function
def suffix(value: str, *, text: str) -> str:
    """The text after it.

    >>> suffix("37.2", text=" ℃")
    '37.2 ℃'
    """
    return value + text


@function
def format_(value: str, *, text: str) -> str:
    """The text, with `{}` standing for the value.

    >>> format_("P0001", text="Patient?identifier={}")
    'Patient?identifier=P0001'
    """
    return text.replace("{}", value)


@function
def cut(value: str, *, start: int = 0, end: int = 0) -> str:
    """Characters from `start` (0 is the first) up to but without `end` (0: to the last); negative counts
    from behind.

    >>> cut("20260105", end=4), cut("20260105", start=-2)
    ('2026', '05')
    """
    return value[start : end or None]


@function
def pad(value: str, *, width: int, with_: str = "0", side: Literal["left", "right"] = "left") -> str:
    """Filled up to `width` characters: `| pad 8`, `| pad 20 with=" " side=right`.

    >>> pad("42", width=8)
    '00000042'
    """
    width = min(width, _MAX_WIDTH)
    return value.rjust(width, with_[:1] or "0") if side == "left" else value.ljust(width, with_[:1] or "0")


@function
def digits(value: str) -> str:
    """Only its digits.

    >>> digits("(555) 123-4567")
    '5551234567'
    """
    return "".join(char for char in value if "0" <= char <= "9")


@function
def unprefix(value: str, *, text: str) -> str:
    """Without the text before it, where it stands there.

    >>> unprefix("Patient/P0001", text="Patient/"), unprefix("P0001", text="Patient/")
    ('P0001', 'P0001')
    """
    return value.removeprefix(text)


@function
def length(value: str) -> int:
    """How many characters.

    >>> length("张三")
    2
    """
    return len(value)


@function
def squeeze(value: str) -> str:
    """White space of any length, line ends too, becomes one space; none is left around the text.

    >>> squeeze("  血  常规\\n检查 ")
    '血 常规 检查'
    """
    return " ".join(value.split())


@function
def halfwidth(value: str) -> str:
    """Full-width letters, digits and marks as the usual ones, and the wide space as a space.

    >>> halfwidth("ＡＢ１２（３）　℃")
    'AB12(3) ℃'
    """
    return value.translate(_TO_HALF)


@function
def fullwidth(value: str) -> str:
    """Letters, digits and marks of ASCII in full width, as some forms and old systems want them.

    >>> fullwidth("AB12 (3)")
    'ＡＢ１２　（３）'
    """
    return value.translate(_TO_FULL)


_TO_HALF = {0xFF01 + at: 0x21 + at for at in range(94)} | {0x3000: 0x20}
_TO_FULL = {half: full for full, half in _TO_HALF.items()}


@function
def printable(value: str) -> str:
    """Without control characters, which XML cannot hold; tabs and line ends stay.

    >>> printable("CBC\\x00\\x1f 血常规")
    'CBC 血常规'
    """
    return value.translate(_UNPRINTABLE)


_UNPRINTABLE = dict.fromkeys({*range(32), *range(127, 160), 0xFFFE, 0xFFFF} - {9, 10, 13})
