"""Writes how a generated function reads: what a path or a name says, its pipes, and conditions on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from schemas.base import Cell
from transforms.conditions import Entry
from transforms.expression import Expression, failure, filled, pipes_of, step_of, whole
from transforms.plans import (
    TRUTHY,
    Each,
    First,
    Fixed,
    Items,
    Join,
    Members,
    Part,
    Plan,
    Read,
    When,
    With,
    inside,
)
from transforms.writer import Node, Writer

Kind = type  # of a value; `object` is any

_MAX_GUARD = 3  # items
_SMALL = 12  # plans


class Let(NamedTuple):
    """The variable of a `let`, or its literal, of which `test` is known. `sure`: what is not something is false."""

    name: str
    kind: Kind
    sure: bool
    test: str | None = None


class Found(NamedTuple):
    """Where a value is: `test` is true where it is something, and then it is `value`. No test: it is something.

    The test may be asked once: it names the value. NEVER stands for one that fails.
    """

    test: str
    value: str
    kind: Kind


NEVER = "False"


def found_of(let: Let) -> Found:
    return Found(filled_test(let.name, let.kind) if let.test is None else let.test, let.name, let.kind)


def filled_test(value: str, kind: Kind = object) -> str:
    """What counts as something: zero and false do, None, "", [] and {} do not."""
    return value if kind in TRUTHY else f"{value} or ({value} is not None and {value} == 0)"


class Reading(Writer):
    def __init__(self, names: dict[str, Any]) -> None:
        super().__init__(names)
        self.lets: dict[int, Let] = {}  # by slot: those of this function
        # The variables of texts that are there for sure, by their items and what makes them of these.
        self.held: dict[tuple[str, Any], str] = {}
        self.there: frozenset[str] = frozenset()  # the items that are something for sure
        self.guards: list[frozenset[str]] = []  # of each, one item is something
        self.read_of_env: set[int] = set()  # slots
        self.uses = Counter[int]()  # how often each part is used, by id

    def found(self, expression: Expression, node: Node) -> Found | None:
        """What an expression starts from, where that is a cell or a `let` of this function."""
        cell = expression.cell
        if expression.steps:
            return self._along(expression.steps, self.root if expression.of_root else node)
        if cell is None:
            let = self.lets.get(expression.slot or 0)
            return found_of(let) if let and let.sure else None
        item = self._item(expression, node)
        held = self.held.get((item, cell.text))
        if held:
            return Found("", held, str)
        if cell.text is None:
            return Found("" if item in self.there else item, item, str)
        into = self.fresh()
        return Found(self.also(item, f"({into} := {self._text(cell, item)})"), into, str)

    def _along(self, steps: Sequence[str | int], node: Node) -> Found:
        """From one dict or list into the next."""
        into, tests = self.fresh(), list[str]()
        name, of = node.name, node.name  # the container, and how it is named where it is asked first
        listed = ""
        if len(steps) > 1 and isinstance(steps[0], str) and isinstance(steps[1], int):
            listed = name = of = self.listed(node, steps[0])
        for number, step in enumerate(steps):
            if number == 0 and listed:
                continue
            if isinstance(step, int):
                if name != listed:
                    tests.append(f"{of}.__class__ is list")
                tests.append(f"len({name}) > {step}" if step >= 0 else f"len({name}) >= {-step}")
                of = f"({into} := {name}[{step}])"
            elif number == 0:
                of = f"({into} := {self.members(node)}.get({self.give(step)}))"
            else:
                tests.append(f"{of}.__class__ is dict")
                of = f"({into} := {name}.get({self.give(step)}))"
            name = into
        last = f"({of} or ({into} is not None and {into} == 0))"
        return Found(" and ".join([*tests, last]), into, object)

    def also(self, item: str, test: str) -> str:
        """A test that makes sense only where an item is something."""
        return test if item in self.there else f"{item} and {test}"

    def plain(self, plan: Plan, node: Node) -> str | None:
        """A plan as one Python expression that is a text, or false where there is nothing."""
        if not isinstance(plan, Read) or plan.expression.stages:
            return None
        with self.variables():
            found = self.found(plan.expression, node)
        if found is None or found.kind is not str:
            return None
        cell = plan.expression.cell
        if cell is None or cell.text is None or not found.test:
            return found.value
        item = self._item(plan.expression, node)
        return self.also(item, f"({self._text(cell, item)})")

    def _item(self, expression: Expression, node: Node) -> str:
        assert expression.cell is not None
        return self.item(expression.cell, self.root if expression.of_root else node)

    def _text(self, cell: Cell, item: str) -> str:
        text = f"{self.give(cell.text)}({item}, root)"
        return f"{item} if {item}.isalnum() else {text}" if cell.plain else text

    def kind(self, expression: Expression) -> Kind:
        """Of what an expression without a cell starts from."""
        let = self.lets.get(expression.slot or 0)
        return let.kind if let else object

    def source(self, expression: Expression, node: Node) -> str:
        if expression.slot is not None:
            let = self.lets.get(expression.slot)
            return let.name if let else self._of_env(expression.slot)
        if expression.read is None:
            return f"{self.give(expression.other)}({node.name}, env)"
        return f"{self.give(expression.read)}({'root' if expression.of_root else node.name})"

    def _of_env(self, slot: int) -> str:
        self.read_of_env.add(slot)
        return f"env[{slot}]"

    def pipes(self, expression: Expression, value: str, into: str, kind: Kind, known: bool = False) -> Kind:
        """`into` becomes what the pipes make of `value`. `known`: it is something; else it must be `into`."""
        if not expression.stages:
            return kind
        with self.block("try:"):
            for stage in expression.stages:
                call, step = self.give(stage.call), self.give(step_of(stage))
                made = f"{step}({value})"
                if stage.looks_around:
                    made = f"{step}({value}, {self.give(whole)}(env))"
                elif stage.takes == "text" and not stage.asked_of_nothing:
                    plain = f"{call}({value})"
                    made = plain if kind is str else f"{plain} if {value}.__class__ is str else {made}"
                head = "" if known or stage.asked_of_nothing else f"if {value} is not None: "
                self.line(f"{head}{into} = {made}")
                value = into
                kind = str if kind is str and stage.takes == "text" and stage.gives_text else object
                known = known and kind is str and not stage.may_give_nothing
        with self.block("except (ValueError, ArithmeticError) as error:"):
            details = self.give((expression.path, expression.where, expression.stages))
            self.line(f"raise {self.give(failure)}(error, *{details}) from None")
        return kind

    def conditions(self, entries: tuple[Entry, ...], node: Node, hold: bool = False) -> str:
        """A test of whether all entries hold; with `hold`, what they found is known from then on."""
        return " and ".join([self._entry(entry, node, hold) for entry in entries])

    def _entry(self, entry: Entry, node: Node, hold: bool) -> str:
        if entry.options:
            options = " or ".join(f"({self.conditions(option, node)})" for option in entry.options)
            return f"({options})" if entry.holds else f"not ({options})"
        expression = entry.expression
        found = self.found(expression, node) if expression else None
        if found is None and expression and expression.slot is not None:
            value = self.source(expression, node)  # as it came
            found = Found(filled_test(value), value, object)
        elif expression is None or found is None:
            return f"{self.give(entry.test)}({node.name}, env)"
        else:
            value = f"{found.value} if {found.test or True} else None"
        assert expression is not None
        if expression.stages:
            pipes, judge = pipes_of(expression), entry.judge
            assert judge is not None
            return f"{self.give(lambda value, env: judge(pipes(value, env)))}({value}, env)"
        if hold and expression.cell and (entry.exists or entry.among is not None):
            self.held[self._item(expression, node), expression.cell.text] = found.value
        if entry.exists is not None:
            return f"({found.test or True})" if entry.exists else f"not ({found.test or True})"
        if entry.among is not None and found.kind is str:
            return f"{found.test or True} and {found.value} in {self.give(entry.among)}"
        return f"{self.give(entry.judge)}({value})"

    def stands_here(self, part: Part) -> bool:
        """What is small, or used once, stands where it is used: no call, and its rows are those of the function."""
        uses = self.uses[id(part)]  # none of what got a function because it stands too deep
        return uses == 1 or (uses > 1 and part.size <= _SMALL)

    # Guards: what needs one of a few items is not begun where none of them is something.

    @contextmanager
    def guard(self, plan: Plan, node: Node) -> Iterator[None]:
        needs = self._needs(plan, node) or frozenset()
        known = any(guard <= needs for guard in self.guards)
        if known or not 0 < len(needs) <= _MAX_GUARD:
            yield
            return
        there = self.there
        self.guards.append(needs)
        with self.block(f"if {' or '.join(sorted(needs))}:"):
            if len(needs) == 1:
                self.there |= needs
            yield
        self.there = there
        self.guards.pop()

    def _needs(self, plan: Plan, node: Node) -> frozenset[str] | None:
        """The items one of which must be something where the plan is to be; None where that is not known."""
        match plan:
            case Fixed(value):
                return None if filled(value) else frozenset()
            case Read(Expression(cell=Cell() as cell) as expression):
                asked_of_nothing = any(stage.asked_of_nothing for stage in expression.stages)
                return None if asked_of_nothing else frozenset((self._item(expression, node),))
            case Each(cell=Cell() as cell) | With(cell=Cell() as cell) if cell.nodes:
                return frozenset((self.item(cell, self.root if plan.of_root else node),))
            case Part() if self.stands_here(plan):
                return self._needs(plan.plan, node)
            case When(entries, body, other) if not any(map(_may_fail, entries)):
                return self._all_need((body, other), node)
            case First(options):
                return self._all_need(options, node)
            case Join() | Items() | Members():
                return self._all_need([part for part in inside(plan) if not isinstance(part, Fixed)], node)
        return None

    def _all_need(self, plans: Sequence[Plan], node: Node) -> frozenset[str] | None:
        needs = frozenset[str]()
        for plan in plans:
            more = self._needs(plan, node)
            if more is None:
                return None
            needs |= more
        return needs


def _may_fail(entry: Entry) -> bool:
    """Whether it says something of a message that its test is not asked."""
    if entry.expression is None:
        return not entry.options or any(_may_fail(inner) for option in entry.options for inner in option)
    return bool(entry.expression.stages)
