"""What a shape of a map comes to once its YAML is understood. Code is generated from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from schemas.base import Cell
from transforms.conditions import Entry
from transforms.expression import Expression

Nodes = Callable[[Any], list[Any]]


@dataclass(frozen=True, slots=True)
class Fixed:
    value: Any


@dataclass(frozen=True, slots=True)
class Read:
    expression: Expression


@dataclass(frozen=True, slots=True)
class Each:
    """`body` for every node; the number of the item goes to `slot`, unless that is 0."""

    nodes: Nodes
    cell: Cell | None
    of_root: bool
    slot: int
    body: Plan


@dataclass(frozen=True, slots=True)
class With:
    """`body` at the first node."""

    nodes: Nodes
    cell: Cell | None
    of_root: bool
    body: Plan


@dataclass(frozen=True, slots=True)
class Lets:
    values: tuple[tuple[int, Plan], ...]
    body: Plan


@dataclass(frozen=True, slots=True)
class When:
    entries: tuple[Entry, ...]
    body: Plan
    other: Plan


@dataclass(frozen=True, slots=True)
class First:
    options: tuple[Plan, ...]


@dataclass(frozen=True, slots=True)
class Join:
    parts: tuple[Plan, ...]
    between: str


@dataclass(frozen=True, slots=True)
class Items:
    items: tuple[Plan, ...]


@dataclass(frozen=True, slots=True)
class Members:
    members: tuple[tuple[Any, Plan], ...]


@dataclass(frozen=True, slots=True)
class Part:
    """What a fragment makes: generated once, however often it is used."""

    name: str
    plan: Plan


Plan = Fixed | Read | Each | With | Lets | When | First | Join | Items | Members | Part
NOTHING = Fixed(None)
TRUTHY = frozenset((str, list, dict))  # kinds of values that are something exactly where they are true


def kinds(plan: Plan) -> frozenset[type]:
    """What a plan's value can be, where it is something. `object`: anything."""
    match plan:
        case Fixed(value):
            return frozenset() if value is None else frozenset((type(value),))
        case Read(expression):
            return frozenset((str if expression.is_text else object,))
        case Each() | Items():
            return frozenset((list,))
        case Join():
            return frozenset((str,))
        case Members():
            return frozenset((dict,))
        case With() | Lets():
            return kinds(plan.body)
        case When(_, body, other):
            return kinds(body) | kinds(other)
        case First(options):
            return frozenset().union(*map(kinds, options))
        case Part():
            return kinds(plan.plan)
