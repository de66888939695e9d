"""The pipe functions for lists: all matches of a path, or what `split` made."""

from __future__ import annotations

from typing import Any

from config.registry import function


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
    parts = value.split(at) if at else list(value)
    return parts[number - 1] if 0 < number <= len(parts) else None


@function
def join(values: list[Any], *, with_: str = "") -> str:
    """Every match of the path as one text: `$PID-5[] | join with=", "`.

    >>> join(["a", "b"], with_="; ")
    'a; b'
    """
    return with_.join(map(str, values))


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
def sort(values: list[Any]) -> list[Any]:
    """In the order of their text.

    >>> sort(["b", "a"])
    ['a', 'b']
    """
    return sorted(values, key=str)


@function
def length(value: str) -> int:
    """How many characters.

    >>> length("张三")
    2
    """
    return len(value)
