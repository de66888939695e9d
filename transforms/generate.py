"""From a plan to one Python function, as template engines do it.

Closures that call closures spend two thirds of their time on calling; a generated function has only the
reads, the pipes and the building left. No text of a map goes into the source: keys, literals, paths and
functions are handed over as globals named `g0`, `g1`, ...
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transforms.expression import Expression, Value, failure, step_of, text_of
from transforms.pipes import Stage
from transforms.plans import Each, First, Fixed, Items, Join, Lets, Members, Part, Plan, Read, When, With


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


def _filled(value: str) -> str:
    """What counts as something: zero and false do, None, "", [] and {} do not."""
    return f"{value} or ({value} is not None and {value} == 0)"


def _add_text(texts: list[str], value: Any) -> None:
    texts.extend(map(text_of, value)) if isinstance(value, list) else texts.append(text_of(value))


class _Writer:
    """Writes statements. `write` names the variable that then holds a plan's value, and tests it for being any.

    Variables are named by how deep they live: a function of thousands of lines needs some dozens of them.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: dict[str, Any] = {"add_text": _add_text}
        self.waiting: list[tuple[Part, str]] = []  # parts that are called and not yet written
        self._parts: dict[int, str] = {}
        self._indent = 0
        self._live = 0
        self._known: dict[int, str] = {}

    def function(self, name: str, plan: Plan, parameters: str, node: str) -> None:
        with self.block(f"def {name}({parameters}):"), self.variables():
            made, test = self.write(plan, node)
            self.line(f"return {made} if {test} else None")

    def line(self, text: str) -> None:
        self.lines.append("    " * self._indent + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        self.line(head)
        self._indent += 1
        yield
        self._indent -= 1

    @contextmanager
    def variables(self) -> Iterator[None]:
        """What is named inside is free again after it."""
        before = self._live
        yield
        self._live = before

    def fresh(self) -> str:
        self._live += 1
        return f"v{self._live}"

    def give(self, thing: Any) -> str:
        """The name under which the function finds a thing."""
        if id(thing) not in self._known:
            name = self._known[id(thing)] = f"g{len(self._known)}"
            self.names[name] = thing  # which keeps it alive, and its id its own
        return self._known[id(thing)]

    def write(self, plan: Plan, node: str) -> tuple[str, str]:
        into = self.fresh()
        match plan:
            case Each():
                return into, self._each(plan, node, into)
            case Join(parts, between):
                return into, self._join(parts, between, node, into)
            case Items(items):
                return into, self._items(items, node, into)
            case Members(members):
                return into, self._members(members, node, into)
            case _:
                self._simple(plan, node, into)
                return into, _filled(into)

    def into(self, plan: Plan, node: str, into: str) -> None:
        """The value, or None, in a variable of the caller's."""
        if isinstance(plan, Each | Join | Items | Members):
            with self.variables():
                made, test = self.write(plan, node)
                self.line(f"{into} = {made} if {test} else None")
        else:
            self._simple(plan, node, into)

    def _simple(self, plan: Plan, node: str, into: str) -> None:
        match plan:
            case Fixed(value):
                self.line(f"{into} = {self.give(value)}")
            case Read(expression):
                self._read(expression, node, into)
            case Part():
                self.line(f"{into} = {self._part(plan)}(root, env, {node})")
            case With():
                self._with(plan, node, into)
            case Lets(values, body):
                for slot, value in values:
                    self.into(value, node, f"env[{slot}]")
                self.into(body, node, into)
            case When(test, body, other):
                with self.block(f"if {self.give(test)}({node}, env):"):
                    self.into(body, node, into)
                with self.block("else:"):
                    self.into(other, node, into)
            case First(options):
                self.into(options[0], node, into)
                for option in options[1:]:
                    with self.block(f"if not ({_filled(into)}):"):
                        self.into(option, node, into)

    def _read(self, expression: Expression, node: str, into: str) -> None:
        if expression.slot is not None:
            source = f"env[{expression.slot}]"
        elif expression.read is None:
            source = f"{self.give(expression.other)}({node}, env)"
        else:
            source = f"{self.give(expression.read)}({'root' if expression.of_root else node})"
        self.line(f"{into} = {source}")
        if expression.stages:
            with self.block("try:"):
                self._pipes(expression.stages, into)
            with self.block("except (ValueError, ArithmeticError) as error:"):
                details = self.give((expression.path, expression.where, expression.stages))
                self.line(f"raise {self.give(failure)}(error, *{details}) from None")

    def _pipes(self, stages: tuple[Stage, ...], into: str) -> None:
        is_text = False
        for stage in stages:
            call, step = self.give(stage.call), self.give(step_of(stage))
            made = f"{step}({into})"
            if stage.takes == "text":
                made = (
                    f"{call}({into})" if is_text else f"{call}({into}) if {into}.__class__ is str else {made}"
                )
            head = "" if stage.asked_of_nothing else f"if {into} is not None: "
            self.line(f"{head}{into} = {made}")
            is_text = stage.gives_text and not stage.asked_of_nothing

    def _part(self, part: Part) -> str:
        if id(part) not in self._parts:
            name = self._parts[id(part)] = f"part{len(self._parts)}"
            self.waiting.append((part, name))
        return self._parts[id(part)]

    def _nodes(self, plan: Each | With, node: str) -> str:
        return f"{self.give(plan.nodes)}({'root' if plan.of_root else node})"

    def _each(self, plan: Each, node: str, into: str) -> str:
        self.line(f"{into} = []")
        with self.variables():
            item, number = self.fresh(), self.fresh()
            nodes = self._nodes(plan, node)
            head = (
                f"for {number}, {item} in enumerate({nodes}, 1):" if plan.slot else f"for {item} in {nodes}:"
            )
            with self.block(head):
                if plan.slot:
                    self.line(f"env[{plan.slot}] = {number}")
                self._add(into, plan.body, item)
        return into

    def _add(self, made: str, plan: Plan, node: str) -> None:
        """One more item; a list is spread."""
        with self.variables():
            value, test = self.write(plan, node)
            with self.block(f"if {test}:"):
                if isinstance(plan, Members | Join):
                    self.line(f"{made}.append({value})")
                elif isinstance(plan, Each | Items):
                    self.line(f"{made}.extend({value})")
                else:
                    self.line(f"if {value}.__class__ is list: {made}.extend({value})")
                    self.line(f"else: {made}.append({value})")

    def _with(self, plan: With, node: str, into: str) -> None:
        with self.variables():
            nodes = self.fresh()
            self.line(f"{nodes} = {self._nodes(plan, node)}")
            with self.block(f"if {nodes}:"):
                self.line(f"{nodes} = {nodes}[0]")
                self.into(plan.body, nodes, into)
            with self.block("else:"):
                self.line(f"{into} = None")

    def _join(self, parts: tuple[Plan, ...], between: str, node: str, into: str) -> str:
        with self.variables():
            texts = self.fresh()
            self.line(f"{texts} = []")
            for part in parts:
                with self.variables():
                    value = self.fresh()
                    self.into(part, node, value)
                    with self.block(f"if {value}.__class__ is str:"):
                        self.line(f"if {value}: {texts}.append({value})")
                    with self.block(f"elif {value} is not None:"):
                        self.line(f"add_text({texts}, {value})")
            fixed = sum(isinstance(part, Fixed) and part.value not in (None, "") for part in parts)
            self.line(f"{into} = {self.give(between)}.join({texts}) if len({texts}) > {fixed} else None")
        return into

    def _items(self, items: tuple[Plan, ...], node: str, into: str) -> str:
        """Literals are counted: what holds no more than these is nothing."""
        self.line(f"{into} = []")
        for item in items:
            self._add(into, item, node)
        fixed = [item.value for item in items if isinstance(item, Fixed)]
        count = sum(len(value) if isinstance(value, list) else 1 for value in fixed)
        return f"len({into}) > {count}" if count else into

    def _members(self, members: tuple[tuple[Any, Plan], ...], node: str, into: str) -> str:
        leading = next(at for at, (_, plan) in enumerate(members) if not isinstance(plan, Fixed))
        fixed = {key: plan.value for key, plan in members[:leading] if isinstance(plan, Fixed)}
        self.line(f"{into} = {self.give(fixed)}.copy()" if fixed else f"{into} = {{}}")
        for key, plan in members[leading:]:
            if isinstance(plan, Fixed):
                self.line(f"{into}[{self.give(key)}] = {self.give(plan.value)}")
                continue
            with self.variables():
                value, test = self.write(plan, node)
                self.line(f"if {test}: {into}[{self.give(key)}] = {value}")
        count = sum(isinstance(plan, Fixed) for _, plan in members)
        return f"len({into}) > {count}" if count else into
