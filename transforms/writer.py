"""Writes the source of a Python function: lines, variables, and the rows that its nodes are split into.

No text of a map goes into the source: keys, literals, paths and functions are handed over as globals named
`g0`, `g1`, ...
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from schemas.base import Cell


@dataclass(eq=False, slots=True)
class Row:
    """What a node is split into. Its items are variables: `r3_8` is the item at 8 of row 3, `r3_8_2` a part of it."""

    name: str
    cell: Cell
    read: set[int] = field(default_factory=set)
    parts: list[tuple[int, int]] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Node:
    """A variable that holds the root, or the item of an `each` or a `from`; `bare`: as text that only rows read."""

    name: str
    bare: bool = False
    rows: dict[str, Row] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)  # of the root: variables by attributes
    members: str = ""  # the variable of its members, where it is read as an object
    lists: dict[str, str] = field(default_factory=dict)  # variables by the members that are read as lists


class Writer:
    """Variables are named by how deep they live: a function of thousands of lines needs some dozens of them."""

    def __init__(self, names: dict[str, Any]) -> None:
        self.root = Node("root")
        self.lines: list[str] = []
        self.names = names
        self.indent = 0
        self._live = 0
        self._rows = 0
        self._known: dict[int, str] = {}

    def line(self, text: str) -> None:
        self.lines.append("    " * self.indent + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """What stands under `head`; without a head, what stands here."""
        if not head:
            yield
            return
        self.line(head)
        self.indent += 1
        before = len(self.lines)
        yield
        if len(self.lines) == before:
            self.line("pass")
        self.indent -= 1

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

    @contextmanager
    def at(self, *nodes: Node) -> Iterator[None]:
        """The rows that are read of nodes are made where these begin, once it is known what is read of them."""
        place = len(self.lines)
        yield
        rows = [line for node in nodes for row in node.rows.values() for line in self._split(node, row)]
        marks = [f"{mark} = root.{name}" for node in nodes for name, mark in node.marks.items()]
        members = [
            f"{node.members} = {node.name} if {node.name}.__class__ is dict else {{}}"
            for node in nodes
            if node.members
        ]
        lists = [
            line
            for node in nodes
            for member, name in node.lists.items()
            for line in (
                f"{name} = {node.members}.get({self.give(member)})",
                f"if {name}.__class__ is not list: {name} = ()",
            )
        ]
        made = [*marks, *members, *lists, *rows]
        self.lines[place:place] = ["    " * self.indent + line for line in made]

    def members(self, node: Node) -> str:
        """The variable of a node's members: there are none where it is no object."""
        if not node.members:
            self._rows += 1
            node.members = f"d{self._rows}"
        return node.members

    def listed(self, node: Node, member: str) -> str:
        """The variable of a member that is a list, and an empty one where it is none: several paths begin with it."""
        self.members(node)
        if member not in node.lists:
            self._rows += 1
            node.lists[member] = f"l{self._rows}"
        return node.lists[member]

    def mark(self, cell: Cell) -> str:
        """The variable of a cell's mark in this function."""
        return self.root.marks.setdefault(cell.mark, f"m{len(self.root.marks)}")

    def _split(self, node: Node, row: Row) -> list[str]:
        cell, width, parts = row.cell, max(row.read, default=-1) + 1, tuple(row.parts)
        names = [f"{row.name}_{at}" if at in row.read else "_" for at in range(width)]
        items = ", ".join([*names, "_", *(f"{row.name}_{at}_{number}" for at, number in parts)])
        if not node.bare:
            made = f"{self.give(cell.row(width, parts))}({node.name}, root)"
            if width < 4 * len(row.read) or parts:  # to unpack an item takes one step, an index four
                return [f"{items} = {made}"]
            each = [f"{row.name}_{at} = {row.name}[{at}]" for at in sorted(row.read)]
            return [f"{row.name} = {made}", *each]
        assert cell.bare_row is not None
        made = f"{self.give(cell.bare_row(width, parts))}({node.name}, root)"
        if not cell.mark:
            return [f"{items} = {made}"]
        # Written out: a call for each repetition took a twentieth of the time of a whole map.
        mark, count = self.mark(cell), width + 1 + len(parts)
        missing = self.give([[""] * (count - there) for there in range(count + 1)])
        return [
            f"{row.name} = {node.name}.split({mark}, {width}) if {mark} else {made}",
            f"{row.name} += {missing}[len({row.name})]",
            f"{items} = {row.name}",
        ]

    def item(self, cell: Cell, node: Node) -> str:
        """The variable of a cell's item."""
        if cell.key not in node.rows:
            self._rows += 1
            node.rows[cell.key] = Row(f"r{self._rows}", cell)
        row = node.rows[cell.key]
        if not cell.part:
            row.read.add(cell.index)
            return f"{row.name}_{cell.index}"
        if (cell.index, cell.part) not in row.parts:
            row.parts.append((cell.index, cell.part))
        return f"{row.name}_{cell.index}_{cell.part}"
