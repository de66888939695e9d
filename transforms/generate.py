"""From a plan to one Python function, as template engines do it.

Closures that call closures spend two thirds of their time on calling. No text of a map goes into the source:
keys, literals, paths and functions are handed over as globals named `g0`, `g1`, ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from schemas.base import Cell
from transforms.conditions import Entry
from transforms.expression import Expression, Value, add_text, failure, filled, step_of
from transforms.plans import (
    NOTHING,
    TRUTHY,
    Each,
    First,
    Fixed,
    Items,
    Join,
    Lets,
    Members,
    Part,
    Plan,
    Read,
    When,
    With,
    kinds,
)


def generate(plan: Plan) -> Value:
    """The function `(root, env) -> value` of a plan; None where there is nothing."""
    writer = _Writer()
    writer.function("make", plan, "root, env", "root")
    while writer.waiting:
        part, name = writer.waiting.pop()
        writer.function(name, part.plan, "root, env, node", "node")
    exec(compile("\n".join(writer.lines), "<map>", "exec"), writer.names)
    function: Value = writer.names["make"]
    return function


Kind = type
Then = Callable[[str, Kind], None]  # writes what is done with a value; `object` is a value of any kind

_MAX_INDENT = 40  # Python takes 100; what stands deeper gets a function of its own


def _filled(value: str) -> str:
    """What counts as something: zero and false do, None, "", [] and {} do not."""
    return f"{value} or ({value} is not None and {value} == 0)"


@dataclass(slots=True)
class _Row:
    """A variable that holds what a node is split into."""

    name: str
    make: Callable[[Any, int], list[Any]]
    width: int = 0


class _Writer:
    """Writes statements. `value` writes what finds a value and, where that is something, what is done with it:
    so nothing is built that would be thrown away, and what is absent costs one test.

    Variables are named by how deep they live: a function of thousands of lines needs some dozens of them.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: dict[str, Any] = {"add_text": add_text}
        self.waiting: list[tuple[Part, str]] = []  # parts that are called and not yet written
        self._parts: dict[int, tuple[str, Part]] = {}
        self._indent = 0
        self._live = 0
        self._known: dict[int, str] = {}
        self._rows: list[tuple[str, dict[str, _Row]]] = []  # by the nodes that are at hand
        self._rows_made = 0

    def function(self, name: str, plan: Plan, parameters: str, node: str) -> None:
        with self.block(f"def {name}({parameters}):"), self.variables(), self.rows("root"), self.rows(node):
            self.value(plan, node, lambda made, kind: self.line(f"return {made}"))
            self.line("return None")

    def line(self, text: str) -> None:
        self.lines.append("    " * self._indent + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        self.line(head)
        self._indent += 1
        before = len(self.lines)
        yield
        if len(self.lines) == before:
            self.line("pass")
        self._indent -= 1

    @contextmanager
    def variables(self) -> Iterator[None]:
        """What is named inside is free again after it."""
        before = self._live
        yield
        self._live = before

    @contextmanager
    def rows(self, node: str) -> Iterator[None]:
        """The rows that are read of a node are made where it begins, once it is known how wide they must be."""
        place, rows = len(self.lines), dict[str, _Row]()
        self._rows.append((node, rows))
        yield
        self._rows.pop()
        indent = "    " * self._indent
        self.lines[place:place] = [
            f"{indent}{row.name} = {self.give(row.make)}({node}, {row.width})" for row in rows.values()
        ]

    def item(self, cell: Cell, node: str) -> str:
        """Where a cell's item is found."""
        rows = next(rows for name, rows in reversed(self._rows) if name == node)
        if cell.key not in rows:
            self._rows_made += 1
            rows[cell.key] = _Row(f"r{self._rows_made}", cell.row)
        row = rows[cell.key]
        row.width = max(row.width, cell.index + 1)
        return f"{row.name}[{cell.index}]"

    def fresh(self) -> str:
        self._live += 1
        return f"v{self._live}"

    def give(self, thing: Any) -> str:
        """The name under which the function finds a thing."""
        if id(thing) not in self._known:
            name = self._known[id(thing)] = f"g{len(self._known)}"
            self.names[name] = thing  # which keeps it alive, and its id its own
        return self._known[id(thing)]

    def value(self, plan: Plan, node: str, then: Then) -> None:
        if self._indent > _MAX_INDENT and not isinstance(plan, Part | Fixed):
            plan = Part("", plan)
        with self.variables():
            match plan:
                case Fixed(value):
                    if filled(value):
                        then(self.give(value), type(value))
                case Read(expression):
                    self._read(expression, node, then)
                case Part():
                    self._part(plan, node, then)
                case With():
                    self._with(plan, node, then)
                case Lets(values, body):
                    for slot, let in values:
                        self._let(slot, let, node)
                    self.value(body, node, then)
                case When():
                    self._when(plan, node, then)
                case First(options):
                    self._first(options, node, then)
                case Join(parts, between):
                    self._join(parts, between, node, then)
                case Each():
                    made = self.fresh()
                    self._loop(plan, node, made, lambda: self._if(made, made, list, then))
                case Items(items):
                    self._items(items, node, then)
                case Members(members):
                    self._members(members, node, then)

    def _if(self, test: str, value: str, kind: Kind, then: Then) -> None:
        with self.block(f"if {test}:"):
            then(value, kind)

    def _set(self, place: str, value: str, kind: Kind) -> None:
        self.line(f"{place} = {value}")

    def _let(self, slot: int, plan: Plan, node: str) -> None:
        """A name's value; a read one as it came, for a pipe may tell an empty list from nothing."""
        into = f"env[{slot}]"
        if isinstance(plan, Read) and plan.expression.cell is None:
            self.line(f"{into} = {self._source(plan.expression, node)}")
            self._pipes(plan.expression, into)
        else:
            self.line(f"{into} = None")
            self.value(plan, node, partial(self._set, into))

    def _read(self, expression: Expression, node: str, then: Then) -> None:
        into, cell = self.fresh(), expression.cell
        asked_of_nothing = any(stage.asked_of_nothing for stage in expression.stages)
        if cell is None:
            self.line(f"{into} = {self._source(expression, node)}")
            self._pipes(expression, into)
            self._if(_filled(into), into, object, then)
            return
        of = "root" if expression.of_root else node
        self.line(f"{into} = {self.item(cell, of)}")
        if asked_of_nothing:
            self.line(f"if not ({self._text(cell, into)}): {into} = None")
            self._pipes(expression, into)
            self._if(_filled(into), into, object, then)
            return
        with self.block(f"if {self._text(cell, into)}:"):
            if not expression.stages:
                then(into, str)
                return
            self._pipes(expression, into)
            is_text = expression.is_text
            self._if(into if is_text else _filled(into), into, str if is_text else object, then)

    def _text(self, cell: Cell, item: str) -> str:
        """Whether an item is something, and it is then made a text."""
        if cell.text is None:
            return item
        made = f"({item} := {self.give(cell.text)}({item}, root))"
        return f"{item} and ({item}.isalnum() or {made})" if cell.plain else f"{item} and {made}"

    def _source(self, expression: Expression, node: str) -> str:
        if expression.slot is not None:
            return f"env[{expression.slot}]"
        if expression.read is None:
            return f"{self.give(expression.other)}({node}, env)"
        return f"{self.give(expression.read)}({'root' if expression.of_root else node})"

    def _pipes(self, expression: Expression, into: str) -> None:
        if not expression.stages:
            return
        is_text = expression.cell is not None
        known = is_text and not any(stage.asked_of_nothing for stage in expression.stages)
        with self.block("try:"):
            for stage in expression.stages:
                call, step = self.give(stage.call), self.give(step_of(stage))
                made = f"{step}({into})"
                if stage.takes == "text" and not stage.asked_of_nothing:
                    plain = f"{call}({into})"
                    made = plain if is_text else f"{plain} if {into}.__class__ is str else {made}"
                head = "" if known or stage.asked_of_nothing else f"if {into} is not None: "
                self.line(f"{head}{into} = {made}")
                is_text = is_text and stage.takes == "text" and stage.gives_text
                known = known and is_text and not stage.may_give_nothing
        with self.block("except (ValueError, ArithmeticError) as error:"):
            details = self.give((expression.path, expression.where, expression.stages))
            self.line(f"raise {self.give(failure)}(error, *{details}) from None")

    def _part(self, part: Part, node: str, then: Then) -> None:
        if id(part) not in self._parts:
            self._parts[id(part)] = f"part{len(self._parts)}", part
            self.waiting.append((part, self._parts[id(part)][0]))
        into, found = self.fresh(), kinds(part.plan)
        self.line(f"{into} = {self._parts[id(part)][0]}(root, env, {node})")
        kind = next(iter(found)) if len(found) == 1 else object
        self._if(into if found <= TRUTHY else _filled(into), into, kind, then)

    @contextmanager
    def _nodes(self, plan: Each | With, node: str, into: str) -> Iterator[None]:
        """What is inside is done where there are nodes."""
        of = "root" if plan.of_root else node
        cell = plan.cell
        if cell is None or cell.nodes is None:
            self.line(f"{into} = {self.give(plan.nodes)}({of})")
            test = into
        else:
            self.line(f"{into} = {self.item(cell, of)}")
            test = f"{into} and ({into} := {self.give(cell.nodes)}({into}, root))"
        with self.block(f"if {test}:"):
            yield

    def _with(self, plan: With, node: str, then: Then) -> None:
        item = self.fresh()
        with self._nodes(plan, node, item):
            self.line(f"{item} = {item}[0]")
            with self.rows(item):
                self.value(plan.body, item, then)

    def _when(self, plan: When, node: str, then: Then) -> None:
        tests = [self._entry(entry, node, self.fresh()) for entry in plan.entries]
        with self.block(f"if {' and '.join(tests)}:"):
            self.value(plan.body, node, then)
        if plan.other != NOTHING:
            with self.block("else:"):
                self.value(plan.other, node, then)

    def _entry(self, entry: Entry, node: str, into: str) -> str:
        """Whether one entry of a condition holds."""
        expression = entry.expression
        if expression is None or expression.stages or expression.cell is None:
            return f"{self.give(entry.test)}({node}, env)"
        item = self.item(expression.cell, "root" if expression.of_root else node)
        found = f"({into} := {item}) and ({self._text(expression.cell, into)})"
        if entry.exists is None:
            return f"{self.give(entry.judge)}({found} and {into} or None)"
        return f"({found})" if entry.exists else f"not ({found})"

    def _first(self, options: tuple[Plan, ...], node: str, then: Then) -> None:
        into = self.fresh()
        found: set[Kind] = set()

        def take(value: str, kind: Kind) -> None:
            found.add(kind)
            self.line(f"{into} = {value}")

        self.line(f"{into} = None")
        self.value(options[0], node, take)
        for option in options[1:]:
            with self.block(f"if {into} is None:"):
                self.value(option, node, take)
        self._if(f"{into} is not None", into, found.pop() if len(found) == 1 else object, then)

    def _loop(self, plan: Each, node: str, made: str, then: Callable[[], None] | None = None) -> None:
        """Adds what `body` makes of each node to a list; with `then` the list is made, and `then` follows."""
        nodes, item = self.fresh(), self.fresh()
        with self._nodes(plan, node, nodes):
            if then:
                self.line(f"{made} = []")
            head = f"for {item} in {nodes}:"
            if plan.slot:
                head = f"for env[{plan.slot}], {item} in enumerate({nodes}, 1):"
            with self.block(head), self.rows(item):
                self._add(made, plan.body, item)
            if then:
                then()

    def _add(self, made: str, plan: Plan, node: str) -> None:
        """One more item; a list is spread."""

        def add(value: str, kind: Kind) -> None:
            if kind is object:
                self.line(f"if {value}.__class__ is list: {made}.extend({value})")
                self.line(f"else: {made}.append({value})")
            else:
                self.line(f"{made}.{'extend' if kind is list else 'append'}({value})")

        with self.variables():
            if isinstance(plan, Each) and self._indent <= _MAX_INDENT:
                self._loop(plan, node, made)
            else:
                self.value(plan, node, add)

    def _join(self, parts: tuple[Plan, ...], between: str, node: str, then: Then) -> None:
        texts = self.fresh()

        def add(value: str, kind: Kind) -> None:
            quick = f"{texts}.append({value})"
            if kind is object:
                quick = f"{quick} if {value}.__class__ is str else add_text({texts}, {value})"
            self.line(quick if kind in (str, object) else f"add_text({texts}, {value})")

        self.line(f"{texts} = []")
        for part in parts:
            self.value(part, node, add)
        fixed = sum(isinstance(part, Fixed) and filled(part.value) for part in parts)
        test = f"len({texts}) > {fixed}" if fixed else texts
        self._if(test, f"{self.give(between)}.join({texts})", str, then)

    def _items(self, items: tuple[Plan, ...], node: str, then: Then) -> None:
        """Literals are counted: what holds no more than these is nothing."""
        if len(items) == 1:
            self.value(items[0], node, lambda value, kind: then(_listed(value, kind), list))
            return
        into = self.fresh()
        self.line(f"{into} = []")
        for item in items:
            self._add(into, item, node)
        fixed = [item.value for item in items if isinstance(item, Fixed)]
        count = sum(len(value) if isinstance(value, list) else 1 for value in fixed)
        self._if(f"len({into}) > {count}" if count else into, into, list, then)

    def _members(self, members: tuple[tuple[Any, Plan], ...], node: str, then: Then) -> None:
        made = [plan for _, plan in members if not isinstance(plan, Fixed)]
        if len(made) == 1:
            self.value(made[0], node, lambda value, kind: then(self._object(members, value), dict))
            return
        leading = next(at for at, (_, plan) in enumerate(members) if not isinstance(plan, Fixed))
        into = self.fresh()
        self.line(f"{into} = {self._object(members[:leading], '')}")
        for key, plan in members[leading:]:
            place = f"{into}[{self.give(key)}]"
            self.value(plan, node, partial(self._set, place))
        count = len(members) - len(made)
        self._if(f"len({into}) > {count}" if count else into, into, dict, then)

    def _object(self, members: tuple[tuple[Any, Plan], ...], value: str) -> str:
        """An object of literals and the one value that is none."""
        shown = (
            f"{self.give(key)}: {self.give(plan.value) if isinstance(plan, Fixed) else value}"
            for key, plan in members
        )
        return "{" + ", ".join(shown) + "}"


def _listed(value: str, kind: Kind) -> str:
    if kind is object:
        return f"([*{value}] if {value}.__class__ is list else [{value}])"
    return value if kind is list else f"[{value}]"
