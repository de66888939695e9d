"""Lists. All matches of a path, or what `split` made."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from operator import itemgetter
from typing import Any

from config.registry import function
from transforms.functions.patterns import matches
from transforms.pipes import Unusable, prepares, text_of


@function
def split(value: str, *, at: str = ",") -> list[str]:
    """A text cut into a list.

    >>> split("a,b")
    ['a', 'b']
    """
    return value.split(at) if at else list(value)


@function
def part(value: str, *, number: int, at: str = "^") -> str | None:
    """One part of a text that marks divide, counted from 1.

    >>> part("3W^301^02", number=2)
    '301'
    """
    return _prepared_part(number=number, at=at)(value)


@prepares(part)
def _prepared_part(*, number: int, at: str = "^") -> Callable[[str], str | None]:
    def one(value: str) -> str | None:
        parts = value.split(at) if at else list(value)
        return parts[number - 1] if 0 < number <= len(parts) else None

    return one


@function
def join(values: list[Any], *, with_: str = "") -> str:
    """Every match of the path as one text: `$PID-5[] | join with=", "`.

    >>> join(["a", "b"], with_="; ")
    'a; b'
    """
    return with_.join(map(text_of, values))


@function
def count(values: list[Any] | None) -> int:
    """How many matches the path has; 0 where it has none.

    >>> count(["a", "b"])
    2
    """
    return len(values or [])


@function
def first(values: list[Any]) -> Any:
    """The first of a list.

    >>> first(["a", "b"])
    'a'
    """
    return values[0] if values else None


@function
def last(values: list[Any]) -> Any:
    """The last of a list.

    >>> last(["a", "b"])
    'b'
    """
    return values[-1] if values else None


@function
def unique(values: list[Any]) -> list[Any]:
    """Without repetition, in the order of first appearance.

    >>> unique(["a", "b", "a"])
    ['a', 'b']
    """
    found: dict[str, Any] = {}
    for value in values:
        found.setdefault(repr(value), value)
    return list(found.values())


@function
def same(values: list[Any]) -> Any:
    """What all of a list say: `$.entry[].resource.requester.reference | same`. Refuses the message where they do
    not all say the same.

    >>> same(["D01", "D01"])
    'D01'
    """
    found = unique(values)
    if len(found) > 1:
        raise Unusable("several that do not say the same, where there can be one")
    return found[0] if found else None


@function
def sort(values: list[Any], *, by: str = "", numbers: bool = False, descending: bool = False) -> list[Any]:
    """In the order of their text, or of the numbers in it; objects by a member. What is no number, or has no
    such member, comes last.

    >>> sort(["b", "a"]), sort(["10", "9"]), sort(["10", "9"], numbers=True)
    (['a', 'b'], ['10', '9'], ['9', '10'])
    >>> sort([{"no": 2}, {"no": 1}], by="no", descending=True)
    [{'no': 2}, {'no': 1}]
    """
    keyed, last = [], []
    for value in values:
        key = _order(member(value, name=by) if by else value, numbers)
        last.append(value) if key is None else keyed.append((key, value))
    keyed.sort(key=itemgetter(0), reverse=descending)
    return [value for _, value in keyed] + last


def _order(value: Any, numbers: bool) -> Any:
    text = None if value is None else text_of(value)
    if not numbers or text is None:
        return text
    try:
        made = Decimal(text)
    except InvalidOperation:
        return None
    return made if made.is_finite() else None


@function
def reverse(values: list[Any]) -> list[Any]:
    """From the last to the first.

    >>> reverse(["a", "b"])
    ['b', 'a']
    """
    return values[::-1]


@function
def slice_(values: list[Any], *, start: int = 1, end: int = 0) -> list[Any]:
    """Items from number `start` up to and with number `end` (0: the last). Negative numbers count from behind.

    >>> slice_(["a", "b", "c"], end=2), slice_(["a", "b", "c"], start=-2)
    (['a', 'b'], ['b', 'c'])
    """
    first = start - 1 if start > 0 else start or None
    last = end if end >= 0 else end + 1
    return values[first : last or None]


@function
def item(values: list[Any], *, number: int) -> Any:
    """One item, counted from 1; -1 is the last. Nothing where there are fewer.

    >>> item(["a", "b"], number=2), item(["a", "b"], number=-1), item(["a", "b"], number=3)
    ('b', 'b', None)
    """
    at = number - 1 if number > 0 else number
    return values[at] if number and -len(values) <= at < len(values) else None


@function
def flat(values: list[Any]) -> list[Any]:
    """One list of what stands in lists inside it.

    >>> flat([["a", "b"], "c", []])
    ['a', 'b', 'c']
    """
    found: list[Any] = []
    for value in values:
        found.extend(value) if isinstance(value, list) else found.append(value)
    return found


@function
def zip_(values: list[Any], *, names: str) -> list[dict[str, Any]]:
    """Lists side by side as a list of objects: `$.[codes, fees] | zip code,fee`. What a shorter list does not
    have is left out.

    >>> zip_([["A", "B"], [1, 2]], names="code,fee")
    [{'code': 'A', 'fee': 1}, {'code': 'B', 'fee': 2}]
    """
    columns = [value if isinstance(value, list) else [value] for value in values]
    keys = [name.strip() for name in names.split(",")]
    if len(columns) > len(keys):
        raise Unusable("more lists than names")
    rows: list[dict[str, Any]] = [{} for _ in range(max(map(len, columns), default=0))]
    for key, column in zip(keys, columns, strict=False):
        for row, value in zip(rows, column, strict=False):
            row[key] = value
    return rows


@function
def group(values: list[Any], *, by: str) -> list[Any]:
    """A list of lists of the objects that say the same at a member, in the order of first appearance:
    `each: $.rows | group order`. What does not say it is left out.

    >>> group([{"order": "A", "no": 1}, {"order": "B", "no": 2}, {"order": "A", "no": 3}], by="order")
    [[{'order': 'A', 'no': 1}, {'order': 'A', 'no': 3}], [{'order': 'B', 'no': 2}]]
    """
    found: dict[str, list[Any]] = {}
    for value in values:
        said = member(value, name=by)
        if said is not None:
            found.setdefault(said if isinstance(said, str) else repr(said), []).append(value)
    return list(found.values())


@function
def chunk(values: list[Any], *, size: int) -> list[Any]:
    """A list of lists of `size` items each, the last of what is left: for receivers that take so many at once.

    >>> chunk(["a", "b", "c"], size=2)
    [['a', 'b'], ['c']]
    """
    size = max(size, 1)
    return [values[at : at + size] for at in range(0, len(values), size)]


# Choosing.


@function
def where(values: list[Any], *, member: str, is_: str = "") -> list[Any]:
    """The objects whose member says this, or that have it: `$.name[] | where use official | first`.

    >>> where([{"use": "old", "text": "A"}, {"use": "official", "text": "B"}], member="use", is_="official")
    [{'use': 'official', 'text': 'B'}]
    """
    found = []
    for value in values:
        said = value.get(member) if isinstance(value, dict) else None
        if said not in (None, "", [], {}) and (not is_ or text_of(said) == is_):
            found.append(value)
    return found


@function
def member(value: Any, *, name: str) -> Any:
    """A member of an object, or of each object of a list.

    >>> member({"use": "official", "text": "B"}, name="text"), member([{"id": 1}, {"id": 2}], name="id")
    ('B', [1, 2])
    """
    if isinstance(value, list):
        return [found for item in value if (found := member(item, name=name)) is not None]
    return value.get(name) if isinstance(value, dict) else None


@function
def only(values: list[Any], *, pattern: re.Pattern[str]) -> list[Any]:
    """The texts that match a regular expression as a whole.

    >>> only(["A01", "B1", "A08"], pattern=re.compile("A.*"))
    ['A01', 'A08']
    """
    return [value for value in values if matches(text_of(value), pattern=pattern)]


@function
def without(values: list[Any], *, pattern: re.Pattern[str]) -> list[Any]:
    """The texts that do not match a regular expression as a whole.

    >>> without(["阿司匹林", "无", "碘"], pattern=re.compile("无|没有"))
    ['阿司匹林', '碘']
    """
    return [value for value in values if not matches(text_of(value), pattern=pattern)]


@function
def lines(value: str) -> list[str]:
    """The lines of a text, without white space at their ends; empty ones are left out.

    >>> lines("所见：双肺纹理清晰。\\n\\n印象：未见异常。")
    ['所见：双肺纹理清晰。', '印象：未见异常。']
    """
    return [line.rstrip() for line in value.splitlines() if line.strip()]
