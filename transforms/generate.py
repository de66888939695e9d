"""From a plan to one Python function, as template engines do it.

Closures that call closures spend two thirds of their time on calling. No text of a map goes into the source:
keys, literals, paths and functions are handed over as globals named `g0`, `g1`, ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from transforms.expression import KEPT, Expression, Value, add_text, filled
from transforms.plans import (
    NOTHING,
    TRUTHY,
    Each,
    First,
    Fixed,
    Items,
    Join,
    Keep,
    Kept,
    Lets,
    Members,
    Part,
    Plan,
    Read,
    Seen,
    When,
    With,
    of_cells,
    uses,
    values_of,
)
from transforms.reading import NEVER, Kind, Let, Reading, filled_test, found_of
from transforms.writer import Node


def generate(plan: Plan) -> Value:
    """The function `(root, env) -> value` of a plan; None where there is nothing."""
    made = _Generator({"add_text": add_text})
    uses(plan, made.uses)
    made.function("make", plan, "root, env", made.root)
    while made.waiting:
        part, name, bare = made.waiting.pop()
        made.function(name, part.plan, "root, env, node", Node("node", bare))
    exec(compile("\n".join(made.needed()), "<map>", "exec"), made.names)
    function: Value = made.names["make"]
    return function


Then = Callable[[str, Kind], None]  # writes what is done with a value

_MAX_INDENT = 40  # Python takes 100; what stands deeper gets a function of its own


class _Generator(Reading):
    """Writes statements. `value` writes what finds a value and, where that is something, what is done with it:
    so nothing is built that would be thrown away, and what is absent costs one test.
    """

    def __init__(self, names: dict[str, Any]) -> None:
        super().__init__(names)
        self.stored: set[int] = set()  # slots of `env`
        self.waiting: list[tuple[Part, str, bool]] = []  # parts that are called and not yet written
        self._parts: dict[tuple[int, bool], tuple[str, Part]] = {}

    def function(self, name: str, plan: Plan, parameters: str, node: Node) -> None:
        self.root = node if node.name == "root" else Node("root")
        self.lets, self.held, self.there, self.guards = {}, {}, frozenset(), []
        nodes = [self.root] if node is self.root else [self.root, node]
        with self.block(f"def {name}({parameters}):"), self.variables(), self.at(*nodes):
            self.value(plan, node, lambda made, kind: self.line(f"return {made}"))
            self.line("return None")

    def needed(self) -> list[str]:
        """The lines without the stores that nobody reads."""
        needless = tuple(f"env[{slot}] = " for slot in self.stored - self.read_of_env)
        return [line for line in self.lines if not line.lstrip().startswith(needless)]

    def value(self, plan: Plan, node: Node, then: Then) -> None:
        if self.indent > _MAX_INDENT and not isinstance(plan, Part | Fixed):
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
                case Seen(body, tell):
                    self.value(body, node, partial(self._seen, tell, then))
                case Lets(values, body):
                    before = self.lets.copy()
                    for slot, let in values:
                        self._let(slot, let, node)
                    self.value(body, node, then)
                    self.lets = before
                case Keep():
                    self._keep(plan, node, then)
                case Kept():
                    made = self.fresh()
                    self.line(f"{made} = [*env[{KEPT}].values()]")
                    self._if(made, made, list, then)
                case When():
                    self._when(plan, node, then)
                case First(options):
                    with self.guard(plan, node):
                        self._first(options, node, then)
                case Join(parts, between):
                    with self.guard(plan, node):
                        self._join(parts, between, node, then)
                case Each():
                    made = self.fresh()
                    self._loop(plan, node, made, lambda: self._if(made, made, list, then))
                case Items(items):
                    with self.guard(plan, node):
                        self._items(items, node, then)
                case Members(members):
                    with self.guard(plan, node):
                        self._members(members, node, then)

    def _seen(self, tell: Callable[[], None], then: Then, value: str, kind: Kind) -> None:
        self.line(f"{self.give(tell)}()")
        then(value, kind)

    def _if(self, test: str, value: str, kind: Kind, then: Then) -> None:
        if test != NEVER:
            with self.block(test and f"if {test}:"):
                then(value, kind)

    def _set(self, place: str, value: str, kind: Kind) -> None:
        self.line(f"{place} = {value}")

    def _chosen(self, into: str, plan: Plan, node: Node, kinds: set[Kind]) -> None:
        """A plan's value to a variable, where it is something."""

        def take(value: str, kind: Kind) -> None:
            kinds.add(kind)
            self.line(f"{into} = {value}")

        self.value(plan, node, take)

    def _let(self, slot: int, plan: Plan, node: Node) -> None:
        if isinstance(plan, Seen):
            self._let(slot, plan.body, node)
            tell = f"{self.give(plan.tell)}()"
            self._if(found_of(self.lets[slot]).test, "", object, lambda *_: self.line(tell))
            return
        let = self.lets[slot] = self._named(plan, node)
        # For fragments; what none of them reads goes in the end.
        self.line(f"env[{slot}] = {let.name}" + (" or None" if let.kind is str else ""))
        self.stored.add(slot)

    def _named(self, plan: Plan, node: Node) -> Let:
        """A value in a variable; a read one as it came, for a pipe may tell an empty list from nothing."""
        if isinstance(plan, Fixed):
            return Let(self.give(plan.value), type(plan.value), True, "" if filled(plan.value) else NEVER)
        into, kinds = self.fresh(), set[Kind]()
        texts = self._all_plain(plan.options if isinstance(plan, First) else (plan,), node)
        if None not in texts:
            self.line(f"{into} = {' or '.join(map(str, texts))}")
            return Let(into, str, True)
        if isinstance(plan, Read) and self.found(plan.expression, node) is None:
            self.line(f"{into} = {self.source(plan.expression, node)}")
            kind = self.pipes(plan.expression, into, into, self.kind(plan.expression))
            return Let(into, kind, plan.expression.is_sure)
        if isinstance(plan, First):
            self._choose(into, plan.options, node, kinds)
        else:
            self.line(f"{into} = None")
            self._chosen(into, plan, node, kinds)
        return Let(into, _only(kinds), True)

    def _keep(self, plan: Keep, node: Node, then: Then) -> None:
        def keep(key: str, _: Kind) -> None:
            with self.block(f"if {key} not in env[{KEPT}]:"):
                self.value(plan.kept, node, lambda made, _: self.line(f"env[{KEPT}][{key}] = {made}"))

        self.value(plan.key, node, keep)
        self.value(plan.body, node, then)

    def _read(self, expression: Expression, node: Node, then: Then) -> None:
        into, found = self.fresh(), self.found(expression, node)
        if found and found.test == NEVER and not any(stage.asked_of_nothing for stage in expression.stages):
            return
        if found is None:
            self.line(f"{into} = {self.source(expression, node)}")
            kind = self.pipes(expression, into, into, self.kind(expression))
            self._if(filled_test(into, kind), into, kind, then)
        elif any(stage.asked_of_nothing for stage in expression.stages):
            self.line(f"{into} = {found.value}" + (found.test and f" if {found.test} else None"))
            kind = self.pipes(expression, into, into, found.kind)
            self._if(filled_test(into, kind), into, kind, then)
        elif not expression.stages:
            self._if(found.test, found.value, found.kind, then)
        else:
            with self.block(found.test and f"if {found.test}:"):
                kind = self.pipes(expression, found.value, into, found.kind, known=True)
                self._if(filled_test(into, kind), into, kind, then)

    # Fragments, nodes and choices.

    def _part(self, part: Part, node: Node, then: Then) -> None:
        if self.stands_here(part):
            self.value(part.plan, node, then)
            return
        key = id(part), node.bare
        if key not in self._parts:
            self._parts[key] = f"part{len(self._parts)}", part
            self.waiting.append((part, self._parts[key][0], node.bare))
        into = self.fresh()
        self.line(f"{into} = {self._parts[key][0]}(root, env, {node.name})")
        test = into if part.kinds <= TRUTHY else filled_test(into)
        self._if(test, into, _only(part.kinds), then)

    @contextmanager
    def _nodes(self, plan: Each | With, node: Node, into: str) -> Iterator[bool]:
        """What is inside is done where there are nodes, which are then in `into`; of a `With` the first of them.
        Tells whether they are bare.
        """
        of, cell = self.root if plan.of_root else node, plan.cell
        if isinstance(plan.nodes, Expression):
            self.line(f"{into} = None")
            self._chosen(into, Read(plan.nodes), node, set())
            self.line(f"{into} = {into} is not None and {self.give(values_of)}({into})")
            test, bare = into, False
        elif cell is None or cell.nodes is None:
            self.line(f"{into} = {self.give(plan.nodes)}({of.name})")
            test, bare = into, False
        else:
            item = self.item(cell, of)
            bare = cell.bare is not None and of_cells(plan.body)
            nodes = f"{self.give(cell.bare if bare else cell.nodes)}({item}, root)"
            if bare and cell.mark:
                nodes = f"{nodes} if {self.mark(cell)} in {item} else ({item},)"
            test = self.also(item, f"({into} := {nodes})")
        with self.block(f"if {test}:"):
            if isinstance(plan, With):
                self.line(f"{into} = {into}[0]")
            yield bare

    def _with(self, plan: With, node: Node, then: Then) -> None:
        into = self.fresh()
        with self._nodes(plan, node, into) as bare:
            item = Node(into, bare)
            with self.at(item):
                self.value(plan.body, item, then)

    def _when(self, plan: When, node: Node, then: Then) -> None:
        before = self.held.copy()
        with self.block(f"if {self.conditions(plan.entries, node, hold=True)}:"):
            self.value(plan.body, node, then)
        self.held = before
        if plan.other != NOTHING:
            with self.block("else:"):
                self.value(plan.other, node, then)

    def _first(self, options: tuple[Plan, ...], node: Node, then: Then) -> None:
        """Texts that need no more than a look are one expression: `a or b`."""
        into, kinds = self.fresh(), set[Kind]()
        plain = self._all_plain(options, node)
        if None not in plain:
            self._if(f"({into} := {' or '.join(map(str, plain))})", into, str, then)
            return
        self._choose(into, options, node, kinds)
        self._if(f"{into} is not None", into, _only(kinds), then)

    def _choose(self, into: str, options: tuple[Plan, ...], node: Node, kinds: set[Kind]) -> None:
        """The first of several to a variable, or None."""
        self.line(f"{into} = None")
        self._chosen(into, options[0], node, kinds)
        for option in options[1:]:
            with self.block(f"if {into} is None:"):
                self._chosen(into, option, node, kinds)

    # Lists, texts and objects.

    def _loop(self, plan: Each, node: Node, made: str, then: Callable[[], None] | None = None) -> None:
        """Adds what `body` makes of each node to a list; with `then` the list is made, and `then` follows."""
        nodes, item = self.fresh(), self.fresh()
        with self._nodes(plan, node, nodes) as bare:
            if then:
                self.line(f"{made} = []")
            head = f"for {item} in {nodes}:"
            if plan.slot:
                head = f"for env[{plan.slot}], {item} in enumerate({nodes}, 1):"
            inner = Node(item, bare)
            with self.block(head), self.at(inner):
                self._add(made, plan.body, inner)
            if then:
                then()

    def _add(self, made: str, plan: Plan, node: Node) -> None:
        """One more item; a list is spread."""

        def add(value: str, kind: Kind) -> None:
            if kind is object:
                self.line(f"if {value}.__class__ is list: {made}.extend({value})")
                self.line(f"else: {made}.append({value})")
            else:
                self.line(f"{made}.{'extend' if kind is list else 'append'}({value})")

        with self.variables():
            if isinstance(plan, Each) and self.indent <= _MAX_INDENT:
                self._loop(plan, node, made)
            else:
                self.value(plan, node, add)

    def _all_plain(self, plans: tuple[Plan, ...], node: Node) -> list[str | None]:
        return [self.plain(plan, node) for plan in plans]

    def _plain(self, plans: tuple[Plan, ...], node: Node) -> str:
        """Those of several texts that are something, where they need no more than a look; else ''."""
        plain = self._all_plain(plans, node)
        return "" if None in plain or len(plain) < 2 else f"filter(None, ({', '.join(map(str, plain))}))"

    def _join(self, parts: tuple[Plan, ...], between: str, node: Node, then: Then) -> None:
        into, plain = self.fresh(), self._plain(parts, node)
        if plain:
            self._if(f"({into} := {self.give(between)}.join({plain}))", into, str, then)
            return

        def add(value: str, kind: Kind) -> None:
            quick = f"{into}.append({value})"
            if kind is object:
                quick = f"{quick} if {value}.__class__ is str else add_text({into}, {value})"
            self.line(quick if kind in (str, object) else f"add_text({into}, {value})")

        self.line(f"{into} = []")
        for part in parts:
            self.value(part, node, add)
        fixed = sum(isinstance(part, Fixed) and filled(part.value) for part in parts)
        test = f"len({into}) > {fixed}" if fixed else into
        self._if(test, f"{self.give(between)}.join({into})", str, then)

    def _items(self, items: tuple[Plan, ...], node: Node, then: Then) -> None:
        """Literals are counted: what holds no more than these is nothing."""
        if len(items) == 1:
            self.value(items[0], node, lambda value, kind: then(_listed(value, kind), list))
            return
        into, plain = self.fresh(), self._plain(items, node)
        if plain:
            self._if(f"({into} := [*{plain}])", into, list, then)
            return
        self.line(f"{into} = []")
        for item in items:
            self._add(into, item, node)
        fixed = [item.value for item in items if isinstance(item, Fixed)]
        count = sum(len(value) if isinstance(value, list) else 1 for value in fixed)
        self._if(f"len({into}) > {count}" if count else into, into, list, then)

    def _members(self, members: tuple[tuple[Any, Plan], ...], node: Node, then: Then) -> None:
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


def _only(kinds: set[Kind] | frozenset[Kind]) -> Kind:
    return next(iter(kinds)) if len(kinds) == 1 else object


def _listed(value: str, kind: Kind) -> str:
    if kind is object:
        return f"([*{value}] if {value}.__class__ is list else [{value}])"
    return value if kind is list else f"[{value}]"
