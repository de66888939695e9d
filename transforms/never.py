"""Conditions that no message can meet: two parts of one condition that contradict each other.

Only what must hold together is compared, path by path: the entries of a mapping, those of its `all`, and what its
`not` forbids. Of a path that may give several values (`[]`, `*`, a pipe) nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from config.errors import Problem
from transforms.conditions import before, moment, number_of
from transforms.expression import At, is_expression, literal
from transforms.pipes import text_of

_NEEDS_SOMETHING = ("gt", "ge", "lt", "le", "before", "after", "matches", "starts", "contains", "in_table")


@dataclass
class _Wanted:
    """What is wanted of one path, with the place of each wish."""

    among: list[tuple[frozenset[str], At]] = field(default_factory=list)
    forbidden: list[tuple[frozenset[str], At]] = field(default_factory=list)
    exists: list[tuple[bool, At]] = field(default_factory=list)
    something: list[At] = field(default_factory=list)  # operators that nothing does not meet
    limits: list[tuple[str, Any, At]] = field(default_factory=list)


def contradictions(spec: Any, at: At) -> Iterator[Problem]:
    """JL-C040 for every condition in it that never holds, at the later of the two parts."""
    wanted: dict[str, _Wanted] = {}
    yield from _gather(spec, at, wanted)
    for path, wish in wanted.items():
        said = next(_against(path, wish), None)
        if said is not None:
            yield said


def _gather(spec: Any, at: At, wanted: dict[str, _Wanted]) -> Iterator[Problem]:
    """Fills `wanted`; yields what is wrong inside the options of an `any`, which stand each for itself."""
    for key, value in spec.items() if isinstance(spec, Mapping) else ():
        here = (*at, key)
        if key == "all" and isinstance(value, list):
            for number, inner in enumerate(value):
                yield from _gather(inner, (*here, number), wanted)
        elif key == "any" and isinstance(value, list):
            for number, inner in enumerate(value):
                yield from contradictions(inner, (*here, number))
        elif key == "not":
            _forbid(value, here, wanted)
        elif is_expression(key) and not any(mark in key for mark in ("[]", "*", " | ", "?")):
            _note(value, here, wanted.setdefault(key[1:].strip(), _Wanted()))


def _forbid(value: Any, at: At, wanted: dict[str, _Wanted]) -> None:
    """Of a `not` that names one path and its values: those values."""
    for number, inner in enumerate(value if isinstance(value, list) else [value]):
        if isinstance(inner, Mapping) and len(inner) == 1:
            ((path, values),) = inner.items()
            texts = _texts(values)
            if is_expression(path) and texts:
                place = (*at, number, path) if isinstance(value, list) else (*at, path)
                wanted.setdefault(path[1:].strip(), _Wanted()).forbidden.append((texts, place))


def _note(value: Any, at: At, wish: _Wanted) -> None:
    if not isinstance(value, Mapping):
        if texts := _texts(value):
            wish.among.append((texts, at))
        return
    for name, operand in value.items():
        here = (*at, name)
        if name == "exists" and isinstance(operand, bool):
            wish.exists.append((operand, here))
        elif name == "not" and (texts := _texts(operand)):
            wish.forbidden.append((texts, here))
        elif name in _NEEDS_SOMETHING:
            wish.something.append(here)
            wish.limits.append((name, operand, here))


def _texts(value: Any) -> frozenset[str]:
    """The texts that a literal or a list of them equals; none where it is anything else."""
    options = value if isinstance(value, list) else [value]
    if any(option is None or isinstance(option, Mapping | list) for option in options):
        return frozenset()
    return frozenset(text_of(literal(option)) for option in options)


def _against(path: str, wish: _Wanted) -> Iterator[Problem]:
    def never(at: At, why: str) -> Problem:
        return Problem(
            at, "JL-C040", f"this never holds: ${path} {why}", "take one of the two out", on_key=True
        )

    absent = [place for exists, place in wish.exists if not exists]
    there = [place for exists, place in wish.exists if exists]
    there += [place for _, place in wish.among] + wish.something
    if absent and there:
        yield never(there[0], "cannot be absent and be something")
    left: frozenset[str] | None = None
    for texts, place in wish.among:
        left = texts if left is None else left & texts
        if not left:
            yield never(place, "cannot equal both")
            return
    if left is not None:
        yield from (never(place, "is what is forbidden") for texts, place in wish.forbidden if left <= texts)
        for name, operand, place in wish.limits:
            if not any(_meets(text, name, operand) for text in left):
                yield never(place, f"cannot equal {', '.join(sorted(left))} and meet {name}")
    yield from (never(place, why) for place, why in _empty_range(wish))


def _meets(text: str, name: str, operand: Any) -> bool:
    """Whether a text may meet an operator; true where that is not known here."""
    number, limit = number_of(text), number_of(operand)
    if name in ("gt", "ge", "lt", "le"):
        return limit is None or (number is not None and _within(number, name, limit))
    if name == "starts":
        return text.startswith(str(operand))
    return name != "contains" or str(operand) in text


def _within(number: Decimal, name: str, limit: Decimal) -> bool:
    if name in ("gt", "ge"):
        return number > limit or (name == "ge" and number == limit)
    return number < limit or (name == "le" and number == limit)


def _empty_range(wish: _Wanted) -> Iterator[tuple[At, str]]:
    for low, above, _ in wish.limits:
        for high, below, place in wish.limits:
            if low in ("gt", "ge") and high in ("lt", "le"):
                least, most = number_of(above), number_of(below)
                if least is None or most is None:
                    continue
                if least > most or (least == most and (low, high) != ("ge", "le")):
                    yield place, f"has no number between {above} and {below}"
            elif low == "after" and high == "before":
                first, last = moment(str(above)), moment(str(below))
                if first is not None and last is not None and not before(first, last):
                    yield place, f"has no date between {above} and {below}"
