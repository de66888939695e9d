"""What a shape of a map comes to once its YAML is understood. Code is generated from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from schemas.base import Cell
from transforms.conditions import Entry
from transforms.expression import ROOT, Env, Expression, filled

Nodes = Callable[[Any], list[Any]]


@dataclass(frozen=True, slots=True)
class Fixed:
    value: Any


@dataclass(frozen=True, slots=True)
class Read:
    expression: Expression


@dataclass(frozen=True, slots=True)
class Each:
    """`body` for every node; the number of the item goes to `slot`, unless that is 0.

    The nodes are those of a path, or the values of an expression.
    """

    nodes: Nodes | Expression
    cell: Cell | None
    of_root: bool
    slot: int
    body: Plan


@dataclass(frozen=True, slots=True)
class With:
    """`body` at the first node."""

    nodes: Nodes | Expression
    cell: Cell | None
    of_root: bool
    body: Plan


@dataclass(frozen=True, slots=True)
class Lets:
    values: tuple[tuple[int, Plan], ...]
    body: Plan


@dataclass(frozen=True, slots=True)
class Keep:
    """`body`, and `kept` put aside, once for each value of `key`."""

    key: Plan
    kept: Plan
    body: Plan


@dataclass(frozen=True, slots=True)
class Kept:
    """All that was put aside so far."""


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


@dataclass(frozen=True)
class Part:
    """What a fragment makes: generated once, however often it is used."""

    name: str
    plan: Plan

    @cached_property
    def kinds(self) -> frozenset[type]:
        return kinds(self.plan)

    @cached_property
    def of_cells(self) -> bool:
        return of_cells(self.plan)

    @cached_property
    def size(self) -> int:
        return size(self.plan)


@dataclass(frozen=True, slots=True)
class Seen:
    """`body`, and a call of `tell` where it is something: only where a map's tests are to show what they reach."""

    body: Plan
    tell: Callable[[], None]


Plan = Fixed | Read | Each | With | Lets | Keep | Kept | When | First | Join | Items | Members | Part | Seen
NOTHING = Fixed(None)
TRUTHY = frozenset((str, list, dict))  # kinds of values that are something exactly where they are true


def values_of(found: Any) -> list[Any]:
    """What an expression gave as nodes: each item of a list, or the one value."""
    return [value for value in (found if isinstance(found, list) else [found]) if filled(value)]


def nodes_of(plan: Each | With, node: Any, env: Env) -> list[Any]:
    if isinstance(plan.nodes, Expression):
        return values_of(plan.nodes.closure()(node, env))
    return plan.nodes(env[ROOT] if plan.of_root else node)


def kinds(plan: Plan) -> frozenset[type]:
    """What a plan's value can be, where it is something. `object`: anything."""
    match plan:
        case Fixed(value):
            return frozenset() if value is None else frozenset((type(value),))
        case Read(expression):
            return frozenset((str if expression.is_text else object,))
        case Each() | Items() | Kept():
            return frozenset((list,))
        case Join():
            return frozenset((str,))
        case Members():
            return frozenset((dict,))
        case With() | Lets() | Keep() | Seen():
            return kinds(plan.body)
        case When(_, body, other):
            return kinds(body) | kinds(other)
        case First(options):
            return frozenset().union(*map(kinds, options))
        case Part():
            return plan.kinds


def may_give(plan: Plan) -> bool:
    """Whether it can be something: a list of what only keeps things for later never is."""
    match plan:
        case Fixed(value):
            return value is not None
        case Read() | Join():
            return True
        case (
            Keep(body=body)
            | Each(body=body)
            | With(body=body)
            | Lets(body=body)
            | Part(plan=body)
            | Seen(body=body)
        ):
            return may_give(body)
        case When(_, body, other):
            return may_give(body) or may_give(other)
        case First(plans):
            return any(map(may_give, plans))
        case Items() | Members():  # its literals alone are nothing
            return any(may_give(part) for part in inside(plan) if not isinstance(part, Fixed))
    return True


def inside(plan: Plan) -> tuple[Plan, ...]:
    """The plans that stand in a plan."""
    match plan:
        case Fixed() | Read() | Kept():
            return ()
        case Each(body=body) | With(body=body) | Part(plan=body) | Seen(body=body):
            return (body,)
        case Lets(values, body):
            return (*(value for _, value in values), body)
        case When(_, body, other):
            return body, other
        case Keep(key, kept, body):
            return key, kept, body
        case First(plans) | Join(plans) | Items(plans):
            return plans
        case Members(members):
            return tuple(value for _, value in members)


def uses(plan: Plan, found: Counter[int]) -> None:
    """Counts at how many places each part (by its id) is used."""
    if isinstance(plan, Part):
        found[id(plan)] += 1
        if found[id(plan)] > 1:
            return
    for inner in inside(plan):
        uses(inner, found)


def holds(plan: Plan, kind: type) -> bool:
    """Whether a plan of a kind stands in a plan."""
    waiting, seen = [plan], set[int]()  # a part is looked into once, however often it is used
    while waiting:
        one = waiting.pop()
        if isinstance(one, kind):
            return True
        if not isinstance(one, Part) or id(one) not in seen:
            seen.add(id(one))
            waiting += inside(one)
    return False


def size(plan: Plan) -> int:
    """How many plans stand in a plan, itself included."""
    return 1 + sum(map(size, inside(plan)))


def of_cells(plan: Plan) -> bool:
    """Whether nothing is read of the node at hand but by cells that take it bare."""
    match plan:
        case Read(expression):
            return _of_cells(expression)
        case Each() | With():
            return plan.of_root
        case Part():
            return plan.of_cells
        case When(entries) if not all(map(_asks_cells, entries)):
            return False
    return all(map(of_cells, inside(plan)))


def _of_cells(expression: Expression) -> bool:
    if expression.read is None or expression.of_root:
        return True
    return expression.cell is not None and expression.cell.bare_row is not None


def _asks_cells(entry: Entry) -> bool:
    if entry.expression is not None:
        return _of_cells(entry.expression)
    return all(_asks_cells(inner) for option in entry.options for inner in option)
