"""How a map reads HL7 v2 without a call for each path: a segment or a repetition as a row, a path as its place.

Only the common shapes have cells (`PID-8`, `PID-3.4`, `-5.1`, `.4`, `.4.2`); all others are read by their
closures, which say the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from schemas.base import Cell
from schemas.hl7.message import Hl7Message
from schemas.hl7.nodes import HEADERS, Piece, Segment, repetitions
from schemas.hl7.where import Where, index_of

_Row = Callable[[Any, int], list[Any]]


class _Verbatim(str):
    """MSH-1 and MSH-2: text in which the delimiters delimit nothing."""

    __slots__ = ()


def cell_of(where: Where) -> Cell | None:
    if not where.name and not where.field and where.comp:
        return _cell_of_part(where.comp, where.sub or 1)
    plain = not where.following and where.nth != 0 and where.rep is None and where.sub in (None, 1)
    if not where.field or not plain or (where.name in HEADERS and where.field < 3):
        return None
    nodes = None
    if where.comp is None:
        nodes = _nodes if where.field < 3 else repetitions
    nth = where.nth or 1
    row = _row_of(where.name, nth) if where.name else _item_row
    text = _first if where.comp in (None, 1) else _component(where.comp or 1)
    key = f"{where.name}[{nth}]" if where.name else "-"
    return Cell(key, row, index_of(where.name, where.field), text, text is _first, nodes)


def _cell_of_part(number: int, sub: int) -> Cell:
    if sub == 1:
        return Cell(".", _texts, number - 1, None)
    return Cell(".&", _parts, number - 1, _sub_component(sub))


# Rows.


def _row_of(name: str, nth: int) -> _Row:
    key = name if nth == 1 else f"{name}[{nth}]"

    def row(tree: Hl7Message, width: int) -> list[str]:
        return _padded(tree.rows.get(key) or tree.find(key, name, nth), width)

    return row


def _item_row(node: Any, width: int) -> list[str]:
    if node.__class__ is not Segment:
        return [""] * width
    if node.header:
        name, marks, *rest = [*node.row, ""][: max(len(node.row), 2)]
        return _padded([name, _Verbatim(node.tree.marks.field), _Verbatim(marks), *rest], width)
    return _padded(node.row, width)


def _padded(row: list[str], width: int) -> list[str]:
    return row if len(row) >= width else row + [""] * (width - len(row))


def _texts(node: Any, width: int) -> list[str]:
    """The first text of each component of a repetition, or of each sub-component of a component."""
    if node.__class__ is Piece:
        return _padded(node.texts, width)
    return [node if node.__class__ is str else ""] + [""] * (width - 1)


def _parts(node: Any, width: int) -> list[str]:
    """The components of a repetition in which there are sub-components, still escaped."""
    if node.__class__ is Piece and node.subs and not node.deep:
        return _padded(node.parts, width)
    return [""] * width


# What a cell says.


def _nodes(text: str, tree: Hl7Message) -> list[str]:
    return repetitions(text, tree) if text.__class__ is str else [str(text)]


def _first(text: str, tree: Hl7Message) -> str | None:
    """The first part of the first repetition."""
    if text.__class__ is _Verbatim:
        return str(text)
    _, component, repetition, escape, sub, _ = tree.marks
    if component in text:
        text = text.split(component, 1)[0]
    if repetition in text:
        text = text.lstrip(repetition).split(repetition, 1)[0]
    if sub in text:
        text = text.split(sub, 1)[0]
    return (tree.unescape(text) if escape in text else text) or None


def _component(number: int) -> Callable[[str, Hl7Message], str | None]:
    """The first part of a later component of the first repetition."""
    at = number - 1

    def read(text: str, tree: Hl7Message) -> str | None:
        _, component, repetition, escape, sub, _ = tree.marks
        if component not in text or text.__class__ is _Verbatim:
            return None
        if repetition in text:
            text = text.lstrip(repetition).split(repetition, 1)[0]
        parts = text.split(component, number)
        if at >= len(parts):
            return None
        text = parts[at]
        if sub in text:
            text = text.split(sub, 1)[0]
        return (tree.unescape(text) if escape in text else text) or None

    return read


def _sub_component(number: int) -> Callable[[str, Hl7Message], str | None]:
    def read(text: str, tree: Hl7Message) -> str | None:
        found = text.split(tree.marks.sub, number)
        return tree.unescape(found[number - 1]) or None if number <= len(found) else None

    return read
