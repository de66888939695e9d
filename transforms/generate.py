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
from transforms.plans import Each, First, Fixed, Items, Join, Lets, Members, Plan, Read, When, With

# What counts as something: zero and false do, None, "", [] and {} do not.
_FILLED = "{0} or {0} == 0"


def generate(plan: Plan) -> Value:
    """The function `(root, env) -> value` of a plan; None where there is nothing."""
    writer = _Writer()
    with writer.block("def make(root, env):"):
        made = writer.write(plan, "root")
        writer.line(f"return {made} if {_FILLED.format(made)} else None")
    exec(compile("\n".join(writer.lines), "<map>", "exec"), writer.names)
    function: Value = writer.names["make"]
    return function


def _add_text(texts: list[str], value: Any) -> None:
    texts.extend(map(text_of, value)) if isinstance(value, list) else texts.append(text_of(value))


class _Writer:
    """Writes statements. `write` gives the name of the variable that then holds the plan's value."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: dict[str, Any] = {"add_text": _add_text}
        self._depth = 0
        self._count = 0
        self._known: dict[int, str] = {}

    def line(self, text: str) -> None:
        self.lines.append("    " * self._depth + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        self.line(head)
        self._depth += 1
        yield
        self._depth -= 1

    def fresh(self) -> str:
        self._count += 1
        return f"v{self._count}"

    def give(self, thing: Any) -> str:
        """The name under which the function finds a thing."""
        if id(thing) not in self._known:
            name = self._known[id(thing)] = f"g{len(self._known)}"
            self.names[name] = thing  # which keeps it alive, and its id its own
        return self._known[id(thing)]

    def write(self, plan: Plan, node: str) -> str:
        into = self.fresh()
        self.into(plan, node, into)
        return into

    def into(self, plan: Plan, node: str, into: str) -> None:
        match plan:
            case Fixed(value):
                self.line(f"{into} = {self.give(value)}")
            case Read(expression):
                self._read(expression, node, into)
            case Each():
                self._each(plan, node, into)
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
                self._first(options, node, into)
            case Join(parts, between):
                self._join(parts, between, node, into)
            case Items(items):
                self._items(items, node, into)
            case Members(members):
                self._members(members, node, into)

    def _read(self, expression: Expression, node: str, into: str) -> None:
        if expression.slot is not None:
            source = f"env[{expression.slot}]"
        elif expression.read is None:
            source = f"{self.give(expression.other)}({node}, env)"
        else:
            source = f"{self.give(expression.read)}({'root' if expression.of_root else node})"
        self.line(f"{into} = {source}")
        if not expression.stages:
            return
        with self.block("try:"):
            is_text = False
            for stage in expression.stages:
                call, step = self.give(stage.call), self.give(step_of(stage))
                made = f"{step}({into})"
                if stage.takes == "text":
                    made = (
                        f"{call}({into})"
                        if is_text
                        else f"{call}({into}) if {into}.__class__ is str else {made}"
                    )
                head = "" if stage.asked_of_nothing else f"if {into} is not None: "
                self.line(f"{head}{into} = {made}")
                is_text = stage.gives_text and not stage.asked_of_nothing
        with self.block("except (ValueError, ArithmeticError) as error:"):
            details = self.give((expression.path, expression.where, expression.stages))
            self.line(f"raise {self.give(failure)}(error, *{details}) from None")

    def _each(self, plan: Each, node: str, into: str) -> None:
        made, item, number = self.fresh(), self.fresh(), self.fresh()
        self.line(f"{made} = []")
        nodes = f"{self.give(plan.nodes)}({'root' if plan.of_root else node})"
        with self.block(f"for {number}, {item} in enumerate({nodes}, 1):"):
            self.line(f"env[{plan.slot}] = {number}")
            value = self.write(plan.body, item)
            self._add(made, value, plan.body)
        self.line(f"{into} = {made}")

    def _with(self, plan: With, node: str, into: str) -> None:
        nodes, item = self.fresh(), self.fresh()
        self.line(f"{nodes} = {self.give(plan.nodes)}({'root' if plan.of_root else node})")
        with self.block(f"if {nodes}:"):
            self.line(f"{item} = {nodes}[0]")
            self.into(plan.body, item, into)
        with self.block("else:"):
            self.line(f"{into} = None")

    def _first(self, options: tuple[Plan, ...], node: str, into: str) -> None:
        self.into(options[0], node, into)
        for option in options[1:]:
            with self.block(f"if not ({_FILLED.format(into)}):"):
                self.into(option, node, into)

    def _join(self, parts: tuple[Plan, ...], between: str, node: str, into: str) -> None:
        texts = self.fresh()
        self.line(f"{texts} = []")
        for part in parts:
            value = self.write(part, node)
            with self.block(f"if {value}.__class__ is str:"):
                self.line(f"if {value}: {texts}.append({value})")
            with self.block(f"elif {value} is not None:"):
                self.line(f"add_text({texts}, {value})")
        fixed = sum(isinstance(part, Fixed) and part.value not in (None, "") for part in parts)
        self.line(f"{into} = {self.give(between)}.join({texts}) if len({texts}) > {fixed} else None")

    def _items(self, items: tuple[Plan, ...], node: str, into: str) -> None:
        made = self.fresh()
        self.line(f"{made} = []")
        fixed = 0
        for item in items:
            value = self.write(item, node)
            if isinstance(item, Fixed):
                fixed += len(item.value) if isinstance(item.value, list) else 1
            self._add(made, value, item)
        self.line(f"{into} = {made} if len({made}) > {fixed} else None")

    def _add(self, made: str, value: str, plan: Plan) -> None:
        """One more item; a list is spread."""
        with self.block(f"if {_FILLED.format(value)}:"):
            if isinstance(plan, Members):
                self.line(f"{made}.append({value})")
            else:
                self.line(f"if {value}.__class__ is list: {made}.extend({value})")
                self.line(f"else: {made}.append({value})")

    def _members(self, members: tuple[tuple[Any, Plan], ...], node: str, into: str) -> None:
        """Constants are counted: what holds no more than these is nothing."""
        made = self.fresh()
        leading = next(at for at, (_, plan) in enumerate(members) if not isinstance(plan, Fixed))
        fixed = {key: plan.value for key, plan in members[:leading] if isinstance(plan, Fixed)}
        self.line(f"{made} = {self.give(fixed)}.copy()" if fixed else f"{made} = {{}}")
        count = leading
        for key, plan in members[leading:]:
            if isinstance(plan, Fixed):
                self.line(f"{made}[{self.give(key)}] = {self.give(plan.value)}")
                count += 1
                continue
            value = self.write(plan, node)
            with self.block(f"if {_FILLED.format(value)}:"):
                self.line(f"{made}[{self.give(key)}] = {value}")
        self.line(f"{into} = {made} if len({made}) > {count} else None")
