"""Arguments of pipe functions that a message would find out about: said when a map is compiled."""

from __future__ import annotations

import re

from config.registry import nearest
from transforms.functions import absent, lists, patterns, text
from transforms.pipes import checks
from transforms.tables import CODE, Table


@checks(absent.table)
def _table(*, name: Table, from_: str = "", to: str = "", **_: object) -> str:
    """A column that is misspelt. One that a site's own table leaves out is not: there it says nothing."""
    for column in (from_, to):
        near = "" if column in ("", CODE, *name.columns) else nearest(column, (CODE, *name.columns))
        if near:
            return f"{name.name} has no column {column!r}; did you mean {near}?"
    return ""


@checks(patterns.match)
def _match(*, pattern: re.Pattern[str], group: int = 0) -> str:
    if 0 <= group <= pattern.groups:
        return ""
    return f"the pattern has no group {group}; it has {pattern.groups}, and 0 is the whole match"


@checks(text.format_)
def _format(*, text: str) -> str:
    return "" if "{}" in text else "the text has no place for the value; write {} where it goes"


@checks(text.replace)
def _replace(*, old: str, new: str = "") -> str:
    return "" if old else "nothing is to be replaced; old is the text that goes"


@checks(text.pad)
def _pad(*, width: int, **_: object) -> str:
    return "" if width > 0 else "width is less than one; it is how many characters there will be"


@checks(text.cut)
def _cut(*, start: int = 0, end: int = 0) -> str:
    empty = end != 0 and (start < 0) == (end < 0) and start >= end
    return f"nothing is left between {start} and {end}; end is a place, not a length" if empty else ""


@checks(lists.part)
def _part(*, number: int, at: str = "^") -> str:
    if number < 1:
        return "parts count from 1"
    return "" if at else "no mark to divide at; at is the text between the parts"
