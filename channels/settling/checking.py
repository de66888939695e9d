"""What must hold between facts: `{$settle.fund: $preset.fund}`, `{$preset.total: {sum: [...]}}`, or a condition.

Amounts are compared as decimal numbers: 50.4 is 50.40.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol

from channels.settling.model import Check, Facts, Read, Test
from config.errors import Problem
from config.text import At
from transforms.expression import is_expression


class Maker(Protocol):
    """What compiles expressions and conditions."""

    problems: list[Problem]

    def value(self, said: Any, at: At) -> Read | None: ...
    def values(self, said: str, at: At) -> Read: ...
    def test(self, said: Any, at: At) -> Test | None: ...


def compile_check(said: Any, maker: Maker, at: At) -> Check | None:
    """None where it is wrong. Beside what must hold stand `else: undo` (all is undone where it does not) and `text`,
    what a caller reads then.
    """
    if not isinstance(said, Mapping) or not said:
        maker.problems.append(
            Problem(at, "JL-C206", "a check is a mapping: an expression and what it must be")
        )
        return None
    otherwise = said.get("else", "suspend")
    if otherwise not in ("suspend", "undo"):
        maker.problems.append(
            Problem((*at, "else"), "JL-C206", "else is `suspend` (a person looks) or `undo`")
        )
        return None
    pairs = {left: right for left, right in said.items() if left not in ("else", "text")}
    parts = [_part(left, right, maker, (*at, left)) for left, right in pairs.items()]
    held = [part for part in parts if part is not None]
    if len(held) < len(parts):
        return None
    name = ", ".join(map(str, pairs))
    return Check(name, lambda facts: all(part(facts) for part in held), otherwise, str(said.get("text", "")))


def _part(left: Any, right: Any, maker: Maker, at: At) -> Test | None:
    if not is_expression(right) and not _is_sum(right):
        return maker.test({left: right}, at)
    of, wanted = maker.value(left, at), _wanted(right, maker, at)
    if of is None or wanted is None:
        return None
    return lambda facts: alike(of(facts), wanted(facts))


def _is_sum(said: Any) -> bool:
    return isinstance(said, Mapping) and set(said) == {"sum"}


def _wanted(said: Any, maker: Maker, at: At) -> Read | None:
    if not _is_sum(said):
        return maker.value(said, at)
    terms = said["sum"] if isinstance(said["sum"], list) else [said["sum"]]
    reads = [maker.values(term, (*at, "sum")) for term in terms]
    return lambda facts: total(facts, reads)


def total(facts: Facts, reads: list[Read]) -> Decimal | None:
    """None where one of the terms is no number."""
    values = [value for read in reads for value in read(facts)]
    numbers = [number(value) for value in values]
    return None if None in numbers else sum((one for one in numbers if one is not None), Decimal(0))


def number(value: Any) -> Decimal | None:
    """Of a JSON number or a text; None where it is none, or not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        made = Decimal(str(value))
    except InvalidOperation:
        return None
    return made if made.is_finite() else None


def alike(one: Any, other: Any) -> bool:
    """The same number, or the same value. Nothing is like what is not there."""
    if one is None or other is None:
        return False
    first, second = number(one), number(other)
    return first == second if first is not None and second is not None else bool(one == other)
