"""What made what: a map's plan gone through step by step, noting for each value where in the map it stands.

Generated code says what a map makes; this says the same more slowly, with the line and the input of every value. It
holds the meaning of plans once more, in plain steps, so that one can be tested by the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from config.text import At, Document
from schemas.message import Message
from transforms.expression import Env, Expression, add_text, filled
from transforms.mapping import Map
from transforms.plans import (
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
    nodes_of,
)

Way = tuple[str | int, ...]  # into what was made: keys as text, indexes of lists as numbers


@dataclass(frozen=True, slots=True)
class Mark:
    """A place of a map's or a fragment's file."""

    document: Document
    at: At = ()

    def __call__(self) -> None:
        """What generated code calls where the place gave something: here nobody counts."""

    def deeper(self, way: At) -> Mark:
        return replace(self, at=(*self.at, *way))

    @property
    def line(self) -> int:
        return self.document.place(self.at)[0]

    @property
    def text(self) -> Any:
        """What the YAML has there."""
        found = self.document.data
        for key in self.at:
            try:
                found = found[key]
            except (KeyError, IndexError, TypeError):
                return None
        return found


class Marks:
    """For a library whose maps shall be traced, in place of a coverage."""

    def of(self, document: Document) -> Callable[[At], Mark]:
        return lambda at: Mark(document, at)


class Origin(NamedTuple):
    """Where a value comes from. `inputs` are expressions as written, with the `each` and `from` around them."""

    file: str
    line: int
    inputs: tuple[str, ...] = ()


class Row(NamedTuple):
    """One value of what was made."""

    way: Way
    value: Any
    origin: Origin


@dataclass(frozen=True, slots=True)
class _Here:
    """The place that is gone through, and what stands around it: `$PID-3 [2]`."""

    mark: Mark | None = None
    around: tuple[str, ...] = ()

    def origin(self, inputs: tuple[str, ...] = (), way: At = ()) -> Origin:
        mark = self.mark.deeper(way) if self.mark else None
        return Origin(mark.document.file, mark.line, inputs) if mark else Origin("", 0, inputs)

    def key(self, name: str) -> str:
        text = self.mark.text if self.mark else None
        return str(text.get(name, "")) if isinstance(text, Mapping) else ""


class _Traced(NamedTuple):
    value: Any
    rows: list[Row]

    def below(self, key: str | int) -> Iterator[Row]:
        return (row._replace(way=(key, *row.way)) for row in self.rows)


def trace(mapped: Map, tree: Any, message: Message | None = None) -> tuple[Any, list[Row]]:
    """What the map makes before its format builds it, and a row for every value in it, in order. Raises BadMessage."""
    found = _Tracer(mapped.env(tree, message)).value(mapped.plan, tree, _Here())
    return (found.value, found.rows) if found else (None, [])


class _Tracer:
    def __init__(self, env: Env) -> None:
        self._env = env
        self._lets: dict[int, tuple[str, ...]] = {}  # the inputs of what `let` named, by slot
        self._kept: dict[Any, _Traced] = {}

    def value(self, plan: Plan, node: Any, here: _Here) -> _Traced | None:
        match plan:
            case Fixed(value):
                rows = [Row(way, leaf, here.origin((), at)) for way, at, leaf in _leaves(value)]
                return _Traced(value, rows) if filled(value) else None
            case Read(expression):
                found = expression.closure()(node, self._env)
                return self._read(found, self._inputs(expression, here), here) if filled(found) else None
            case Seen(body, tell):
                return self.value(body, node, replace(here, mark=tell) if isinstance(tell, Mark) else here)
            case Part(plan=body):
                return self.value(body, node, here)
            case With(body=body):
                at = nodes_of(plan, node, self._env)
                return self.value(body, at[0], self._inside(here, "from")) if at else None
            case Lets(values, body):
                for slot, let in values:
                    self._let(slot, let, node, here)
                return self.value(body, node, here)
            case Keep(key, kept, body):
                self._keep(key, kept, node, here)
                return self.value(body, node, here)
            case Kept():
                return self._all_kept()
            case When(entries, body, other):
                holds = all(entry.test(node, self._env) for entry in entries)
                return self.value(body if holds else other, node, here)
            case First(options):
                return next((found for option in options if (found := self.value(option, node, here))), None)
            case Join(parts, between):
                return self._join(parts, between, node, here)
            case Each():
                return self._each(plan, node, here)
            case Items(items):
                return self._items(items, node, here)
            case Members(members):
                return self._members(members, node, here)

    def _read(self, found: Any, inputs: tuple[str, ...], here: _Here) -> _Traced:
        return _Traced(found, [Row(way, leaf, here.origin(inputs)) for way, _, leaf in _leaves(found)])

    def _inputs(self, expression: Expression, here: _Here) -> tuple[str, ...]:
        """The expression as written; of what `let` named, where that came from too."""
        text = here.mark.text if here.mark else None
        shown = text if isinstance(text, str) else f"{expression.path}"
        around = here.around if expression.slot is None and not expression.of_root else ()
        return (" > ".join((*around, shown)), *self._lets.get(expression.slot or 0, ()))

    def _inside(self, here: _Here, key: str, number: int = 0) -> _Here:
        path = here.key(key)
        return replace(here, around=(*here.around, f"{path} [{number}]" if number else path))

    def _let(self, slot: int, plan: Plan, node: Any, here: _Here) -> None:
        """Its value; of an expression as it came, for a pipe may tell an empty list from nothing."""
        inner = plan.body if isinstance(plan, Seen) else plan
        found = self.value(plan, node, here)
        self._env[slot] = found.value if found else None
        if isinstance(inner, Read) and inner.expression.cell is None:
            self._env[slot] = inner.expression.closure()(node, self._env)
        self._lets[slot] = (
            tuple(dict.fromkeys(text for row in found.rows for text in row.origin.inputs)) if found else ()
        )

    def _keep(self, key: Plan, kept: Plan, node: Any, here: _Here) -> None:
        named = self.value(key, node, here)
        if named and named.value not in self._kept:
            found = self.value(kept, node, here)
            if found:
                self._kept[named.value] = found

    def _all_kept(self) -> _Traced | None:
        made = _Traced([], [])
        for found in self._kept.values():
            _add(made, found)
        return made if made.value else None

    def _each(self, plan: Each, node: Any, here: _Here) -> _Traced | None:
        made = _Traced([], [])
        for number, item in enumerate(nodes_of(plan, node, self._env), 1):
            if plan.slot:
                self._env[plan.slot] = number
            _add(made, self.value(plan.body, item, self._inside(here, "each", number)))
        return made if made.value else None

    def _items(self, items: tuple[Plan, ...], node: Any, here: _Here) -> _Traced | None:
        """Literals are counted: what holds no more than these is nothing."""
        made, fixed = _Traced([], []), 0
        for item in items:
            _add(made, self.value(item, node, here))
            if isinstance(item, Fixed):
                fixed += len(item.value) if isinstance(item.value, list) else 1
        return made if len(made.value) > fixed else None

    def _members(self, members: tuple[tuple[Any, Plan], ...], node: Any, here: _Here) -> _Traced | None:
        made = _Traced({}, [])
        for key, plan in members:
            inner = (
                replace(here, mark=here.mark.deeper((key,)))
                if here.mark and isinstance(plan, Fixed)
                else here
            )
            found = self.value(plan, node, inner)
            if found:
                made.value[key] = found.value
                made.rows.extend(found.below(str(key)))
        return made if len(made.value) > sum(isinstance(plan, Fixed) for _, plan in members) else None

    def _join(self, parts: tuple[Plan, ...], between: str, node: Any, here: _Here) -> _Traced | None:
        texts: list[str] = []
        inputs: list[str] = []
        for part in parts:
            if found := self.value(part, node, here):
                add_text(texts, found.value)
                inputs += [text for row in found.rows for text in row.origin.inputs]
        if len(texts) <= sum(isinstance(part, Fixed) and filled(part.value) for part in parts):
            return None
        return self._read(between.join(texts), tuple(dict.fromkeys(inputs)), here)


def _add(made: _Traced, found: _Traced | None) -> None:
    """One more item of a list; a list is spread."""
    if found is None:
        return
    start = len(made.value)
    if isinstance(found.value, list):
        made.value.extend(found.value)
        made.rows.extend(row._replace(way=(start + int(row.way[0]), *row.way[1:])) for row in found.rows)
    else:
        made.value.append(found.value)
        made.rows.extend(found.below(start))


def _leaves(value: Any, way: Way = (), at: At = ()) -> Iterator[tuple[Way, At, Any]]:
    """The values in a value that hold no others, with the ways to them as shown and as YAML has them."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*way, str(key)), (*at, key))
    elif isinstance(value, list) and value:
        for number, inner in enumerate(value):
            yield from _leaves(inner, (*way, number), (*at, number))
    else:
        yield way, at, value


def place(way: Way, format: str) -> str:
    """Where a value stands in what is made, in the path language of its format.

    >>> place(("PID", "3", 1, "4", "1"), "hl7v2"), place((1, "OBX", 0, "5"), "hl7v2")
    ('PID-3[2].4.1', '2: OBX[1]-5')
    >>> place(("entry", 0, "resource", "id"), "fhir"), place(("a", "b", 1, "@c"), "xml")
    ('$.entry[0].resource.id', '/a/b[2]/@c')
    """
    if format == "hl7v2":
        return _hl7_place(way)
    if format == "xml":
        return "".join(f"[{key + 1}]" if isinstance(key, int) else f"/{key}" for key in way if key != "#text")
    rows = ("rows", *way) if way and isinstance(way[0], int) and format in ("delimited", "fixed") else way
    return "$" + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in rows)


def _hl7_place(way: Way) -> str:
    """Of a list of groups with the number of the group; places in lists count from 1."""
    shown, marks = "", iter(("", "-", *[".", "."]))
    for number, key in enumerate(way):
        if isinstance(key, int):
            shown += f"[{key + 1}]" if number else f"{key + 1}: "
        else:
            shown += next(marks, ".") + key
    return shown
