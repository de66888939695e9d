"""Other forms of dates. By a pattern: `yyyy-MM-dd HH:mm:ss`, `yyyy年M月d日`, `dd/MM/yyyy`."""

from __future__ import annotations

import functools
import re

from config.registry import function
from transforms.functions.dates import Stamp, read
from transforms.pipes import Unusable, Word

# What stands for a part: its place in a stamp, how it is read, and whether it is written without a zero before it.
_PARTS = {
    "yyyy": (0, r"(\d{4})", False),
    "MM": (1, r"(\d\d)", False),
    "M": (1, r"(\d{1,2})", True),
    "dd": (2, r"(\d\d)", False),
    "d": (2, r"(\d{1,2})", True),
    "HH": (3, r"(\d\d)", False),
    "H": (3, r"(\d{1,2})", True),
    "mm": (4, r"(\d\d)", False),
    "ss": (5, r"(\d\d)", False),
}
_LONGEST = 60  # characters
_PART = re.compile("(" + "|".join(_PARTS) + ")")


class DatePattern(Word):
    """`yyyy` year, `MM` month, `dd` day, `HH` hour, `mm` minute, `ss` second; `M`, `d`, `H` without a zero before
    it. All else stands for itself.
    """

    __slots__ = ()

    @classmethod
    def check(cls, text: str) -> None:
        places = [_PARTS[piece][0] for piece in _PART.split(text)[1::2]]
        if len(text) > _LONGEST:
            raise ValueError(f"a pattern of a date has at most {_LONGEST} characters")
        if 0 not in places or len(set(places)) < len(places):
            raise ValueError(
                f"{text!r} is no pattern of a date: yyyy-MM-dd HH:mm:ss; each part once, and yyyy"
            )


@function
def date_format(value: str, *, pattern: DatePattern) -> str | None:
    """A date or time in the form that a pattern shows: `yyyy`, `MM`, `dd`, `HH`, `mm`, `ss`, and `M`, `d`, `H`
    without a zero before it. Nothing where it is less precise than the pattern.

    >>> date_format("20260205", pattern="yyyy年M月d日"), date_format("20260205143000", pattern="yyyy/MM/dd HH:mm")
    ('2026年2月5日', '2026/02/05 14:30')
    >>> date_format("202602", pattern="yyyy-MM-dd")
    """
    at, made = read(value), []
    for number, piece in enumerate(_PART.split(pattern)):
        if number % 2:
            place, _, short = _PARTS[piece]
            if not at[place]:
                return None
            piece = at[place].lstrip("0") or "0" if short else at[place]
        made.append(piece)
    return "".join(made)


@function
def date_parse(value: str, *, pattern: DatePattern) -> str:
    """A date or time that is written as a pattern shows, in ISO 8601; what the pattern does not hold is not
    there. What `date` reads needs no pattern.

    >>> date_parse("05/02/2026", pattern="dd/MM/yyyy"), date_parse("2026.2.5 9-30", pattern="yyyy.M.d H-mm")
    ('2026-02-05', '2026-02-05T09:30')
    """
    expression, places = _compiled(pattern)
    found = expression.fullmatch(value.strip())
    if found is None:
        raise Unusable("not a date of this form")
    parts = dict(zip(places, found.groups(), strict=True))
    year, month, day, hour, minute, second = (
        parts.get(place, "").zfill(2) * (place in parts) for place in range(6)
    )
    full = [year]
    for before, part, mark in ((year, month, "-"), (month, day, "-"), (day, hour, "T"), (hour, minute, ":")):
        if part and not before:
            raise Unusable("a part of a date without the one before it")
        full.append(mark + part if part else "")
    return _checked("".join(full) + (f":{second}" if second and minute else ""))


def _checked(text: str) -> str:
    at: Stamp = read(text)
    return at.iso


@functools.lru_cache(maxsize=100)
def _compiled(pattern: str) -> tuple[re.Pattern[str], tuple[int, ...]]:
    pieces = _PART.split(pattern)
    written = (_PARTS[piece][1] if at % 2 else re.escape(piece) for at, piece in enumerate(pieces))
    return re.compile("".join(written), re.ASCII), tuple(_PARTS[piece][0] for piece in pieces[1::2])
