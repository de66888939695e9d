"""How a map reads HL7 v2 without a call for each path: a segment or a repetition as a row, a path as its place.

Only the common shapes have cells (`PID-8`, `PID-3.4`, `-5.1`, `.4`, `.4.2`); all others are read by their
closures, which say the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from schemas.base import Cell, Parts, Row
from schemas.hl7.message import Hl7Message
from schemas.hl7.nodes import HEADERS, MAX_REPETITIONS, Piece, Segment, node_of, repetitions
from schemas.hl7.segments import nearest_before
from schemas.hl7.where import Where, index_of


class _Verbatim(str):
    """MSH-1 and MSH-2: text in which the delimiters delimit nothing."""

    __slots__ = ()

    def __contains__(self, part: object) -> bool:
        return False

    def split(self, *mark: object) -> list[str]:
        return [self]


def cell_of(where: Where) -> Cell | None:
    if not where.name and not where.field and where.comp:
        return _cell_of_part(where.comp, where.sub or 1)
    here = where.nth is None if where.before else not where.following and where.nth != 0
    plain = here and where.rep != 0 and where.sub in (None, 1)
    if not where.field or not plain or (where.name in HEADERS and where.field < 3):
        return None
    nth = where.nth or 1
    one = where.comp or where.rep
    nodes, bare, mark = (None, None, "") if one else (repetitions, _bare, "repetition_mark")
    row: Callable[[int, Parts], Row]
    if where.before:
        row, key, index = _row_before(where.name), f"<{where.name}", where.field
    elif where.name:
        row, key, index = _row_of(where.name, nth), f"{where.name}[{nth}]", index_of(where.name, where.field)
    else:
        row, key, index = _item_row, "-", where.field
    number, first = where.comp or 1, where.comp in (None, 1) and not where.rep
    text = first_part if first else of_repetition(where.rep, number) if where.rep else of_component(number)
    return Cell(key, row, index, text, first, 0, nodes, bare, mark=mark)


def _cell_of_part(number: int, sub: int) -> Cell:
    part = sub if sub > 1 else 0
    return Cell(".", _texts, number - 1, None, part=part, bare_row=_bare_texts, mark="component_mark")


# Rows: exactly as many items as are wanted, for generated code unpacks them. What is missing is "".


def _row_of(name: str, nth: int) -> Callable[[int, Parts], Row]:
    key = name if nth == 1 else f"{name}[{nth}]"

    def of(width: int, parts: Parts) -> Row:
        missing = _missing(width)

        def row(node: Hl7Message, tree: Hl7Message) -> list[str]:
            found = tree.rows.get(key) or tree.find(key, name, nth)
            count = len(found)
            return found[: width + 1] if count > width else found + missing[count]

        return row

    return of


def _missing(width: int, parts: Parts = ()) -> list[list[str]]:
    """What a row lacks to be full, by how many items there are."""
    return [[""] * (count + len(parts)) for count in range(width + 1, -1, -1)]


def _fit(row: list[str], width: int) -> list[str]:
    return row[: width + 1] + [""] * (width + 1 - len(row))


def _item_row(width: int, parts: Parts) -> Row:
    missing = _missing(width)

    def row(node: Any, tree: Hl7Message) -> list[str]:
        if node.__class__ is not Segment:
            return _fit([], width)
        if node.header:
            name, marks, *rest = [*node.row, ""][: max(len(node.row), 2)]
            return _fit([name, _Verbatim(node.tree.marks.field), _Verbatim(marks), *rest], width)
        found: list[str] = node.row
        count = len(found)
        return found[: width + 1] if count > width else found + missing[count]

    return row


def _row_before(name: str) -> Callable[[int, Parts], Row]:
    def of(width: int, parts: Parts) -> Row:
        of_item = _item_row(width, parts)

        def row(node: Any, tree: Hl7Message) -> list[str]:
            return of_item(nearest_before(node, name) if node.__class__ is Segment else None, tree)

        return row

    return of


def _texts(width: int, parts: Parts) -> Row:
    """The first text of each component of a repetition, or of each sub-component of a component."""

    def row(node: Any, tree: Hl7Message) -> list[str]:
        if node.__class__ is not Piece:
            return _fit([node if isinstance(node, str) else ""], width) + [""] * len(parts)
        return _fit(node.texts, width) + [_sub_component(node, *part) for part in parts]

    return row


def _sub_component(node: Piece, index: int, number: int) -> str:
    """A later part of a component of a repetition."""
    if not node.subs or node.deep or index >= len(node.parts):
        return ""
    found = node.parts[index].split(node.tree.marks.sub, number)
    return node.tree.unescape(found[number - 1]) if number <= len(found) else ""


# Bare nodes: repetitions as they stand in the field. A Piece of one costs more than reading all its components.


def _bare(text: str, tree: Hl7Message) -> Sequence[str]:
    return [part for part in text.split(tree.repetition_mark, MAX_REPETITIONS) if part]


def _bare_texts(width: int, parts: Parts) -> Row:
    of_node, missing = _texts(width, parts), _missing(width, parts)

    def row(text: str, tree: Hl7Message) -> list[str]:
        component, _, escape, sub = tree.delimiters
        if sub in text or escape in text:
            return of_node(node_of(text, tree), tree)
        made = text.split(component, width)
        return made + missing[len(made)]

    return row


# What a cell says.


def first_part(text: str, tree: Hl7Message) -> str | None:
    """The first part of the first repetition."""
    component, repetition, escape, sub = tree.delimiters
    text = text.split(component, 1)[0]
    if text.isalnum():
        return text
    if repetition in text:
        text = text.lstrip(repetition).split(repetition, 1)[0]
    if sub in text:
        text = text.split(sub, 1)[0]
    return (tree.unescape(text) if escape in text else text) or None


@lru_cache(maxsize=64)
def of_repetition(rep: int, number: int) -> Callable[[str, Hl7Message], str | None]:
    """The first part of a component of exactly that repetition, be it empty."""

    def read(text: str, tree: Hl7Message) -> str | None:
        component, repetition, escape, sub = tree.delimiters
        repetitions = text.split(repetition, rep)
        if len(repetitions) < rep:
            return None
        parts = repetitions[rep - 1].split(component, number)
        if len(parts) < number:
            return None
        text = parts[number - 1]
        if sub in text:
            text = text.split(sub, 1)[0]
        return (tree.unescape(text) if escape in text else text) or None

    return read


@lru_cache(maxsize=64)
def of_component(number: int) -> Callable[[str, Hl7Message], str | None]:
    """The first part of a later component of the first repetition."""
    at = number - 1

    def read(text: str, tree: Hl7Message) -> str | None:
        mark = tree.component_mark
        if mark and tree.repetition_mark not in text:  # nearly always
            parts = text.split(mark, number)
            return parts[at] or None if len(parts) >= number else None
        component, repetition, escape, sub = tree.delimiters
        if repetition in text:
            text = text.lstrip(repetition).split(repetition, 1)[0]
        parts = text.split(component, number)
        if len(parts) < number:
            return None
        text = parts[at]
        if sub in text:
            text = text.split(sub, 1)[0]
        return (tree.unescape(text) if escape in text else text) or None

    return read
