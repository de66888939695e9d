"""Regular expressions. A pattern cannot run away: see `transforms.pipes.pattern`."""

from __future__ import annotations

import re
from collections.abc import Callable

from config.registry import function
from transforms.pipes import Unusable, prepares, reach


@function
def match(value: str, *, pattern: re.Pattern[str], group: int = 0) -> str | None:
    """The first part that matches a regular expression, or one group of it; nothing where nothing matches.

    >>> match("ADT^A01", pattern=re.compile("[A-Z][0-9]+"))
    'A01'
    """
    return _prepared_match(pattern=pattern, group=group)(value)


@prepares(match)
def _prepared_match(*, pattern: re.Pattern[str], group: int = 0) -> Callable[[str], str | None]:
    limit, search, has_group = reach(pattern, whole=False), pattern.search, 0 <= group <= pattern.groups

    def first(value: str) -> str | None:
        found = search(value if len(value) <= limit else _short(value, pattern))
        return found[group] if found and has_group else None

    return first


@function
def matches(value: str, *, pattern: re.Pattern[str]) -> bool:
    """Whether the whole text matches.

    >>> matches("A01", pattern=re.compile("[A-Z][0-9]+")), matches("A01!", pattern=re.compile("[A-Z][0-9]+"))
    (True, False)
    """
    return len(value) <= reach(pattern) and pattern.fullmatch(value) is not None


@function
def match_all(value: str, *, pattern: re.Pattern[str]) -> list[str]:
    """Every part that matches, as a list.

    >>> match_all("WBC 6.1, HGB 140", pattern=re.compile("[A-Z]+"))
    ['WBC', 'HGB']
    """
    return [found[0] for found in pattern.finditer(_short(value, pattern))]


@function
def replace_match(value: str, *, pattern: re.Pattern[str], new: str = "") -> str:
    """Every part that matches replaced by `new`, in which `$1` is the pattern's first group.

    >>> replace_match("床号:12", pattern=re.compile("床号:([0-9]+)"), new="$1床")
    '12床'
    """
    return pattern.sub(lambda found: _filled(new, found), _short(value, pattern))


@function
def split_match(value: str, *, pattern: re.Pattern[str]) -> list[str]:
    """A text cut where the pattern matches; empty pieces are left out.

    >>> split_match("头孢过敏；青霉素过敏,花粉", pattern=re.compile("[;；,，、]"))
    ['头孢过敏', '青霉素过敏', '花粉']
    """
    pieces, start = [], 0
    for found in pattern.finditer(_short(value, pattern)):
        pieces.append(value[start : found.start()])
        start = found.end()
    return [piece for piece in (*pieces, value[start:]) if piece]


def _short(value: str, pattern: re.Pattern[str]) -> str:
    """Raises Unusable where a search could take long."""
    if len(value) > reach(pattern, whole=False):
        raise Unusable("longer than what this pattern may look at")
    return value


def _filled(new: str, found: re.Match[str]) -> str:
    return _GROUP.sub(
        lambda mark: (found[int(mark[1])] or "") if int(mark[1]) <= found.re.groups else "", new
    )


_GROUP = re.compile(r"\$([0-9])")
