"""Paths into an HL7 v2 message as closures: `PID-3.1`, `PID-3[2].1`, `OBX[3]-5`, `OBX[]-5`, `-5.1`, `.4`.

schemas/README.md is the manual. Reading is the engine's hot path, so the two commonest shapes (a field or a
component, of the first repetition that is not empty) have closures of their own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from config import registry
from schemas.base import BadPath, Path
from schemas.hl7.cells import cell_of, first_part, of_component, of_repetition
from schemas.hl7.message import Hl7Message
from schemas.hl7.names import path_of
from schemas.hl7.nodes import HEADERS, MAX_REPETITIONS, Piece, Segment, node_of, repetitions
from schemas.hl7.segments import every, following, segments
from schemas.hl7.where import Where, index_of

_SEGMENT = r"(?P<up>[<>])?(?P<name>[A-Z][A-Z0-9]{2})(?:\[(?P<nth>[0-9]*)\])?"
_FIELD = r"-(?P<field>[0-9]+)(?:\[(?P<rep>[0-9]*)\])?"
_PARTS = r"\.(?P<comp>[0-9]+)(?:\.(?P<sub>[0-9]+))?"
_PATH = re.compile(rf"(?:{_SEGMENT})?(?:{_FIELD})?(?:{_PARTS})?")
_LOOSE = re.compile(
    r"([<>]?)([A-Za-z][A-Za-z0-9]{2})(\[[0-9]*\])?[-. _/]?([0-9]*)(\[[0-9]*\])?((?:[-._/][0-9]+){0,2})"
)


Read = Callable[[Any], Any]


@lru_cache(maxsize=10_000)
def compile_path(text: str) -> Path:
    """Raises BadPath, with the path that was perhaps meant."""
    where = _parse(text)
    many = _many(where)
    relative = not where.name or where.following
    return Path(text, _one(where, many), many, relative, cell_of(where))


def _parse(text: str) -> Where:
    match = _PATH.fullmatch(text)
    if match is None or (match["name"] and match["comp"] and not match["field"]):
        like = "PID-3.1, PID-3[2].1, OBX[]-5, -5.1 or .4"
        raise BadPath(f"{text!r} is no HL7 path; write it like {like}", _meant(text))
    number = {key: _number(match[key]) for key in ("nth", "field", "rep", "comp", "sub")}
    if any(number[key] == 0 for key in ("field", "comp", "sub")) or "[0]" in text:
        raise BadPath(f"{text!r}: fields, components and repetitions count from 1")
    return Where(match["name"] or "", **number, following=bool(match["up"]), before=match["up"] == "<")


def _number(text: str | None) -> int | None:
    if text is None:
        return None
    return int(text[:9]) if text else 0


def _meant(text: str) -> str:
    """`PID3.1`, `pid-3`, `PID.3.1`, `PID.PatientName` are all clear enough to answer with the right spelling."""
    match = _LOOSE.fullmatch(text.strip())
    if match is None:
        like = registry.nearest(text.strip().upper(), ["PID-3.1", "PID-3", "OBX[]-5", "MSH-9.2"])
        return path_of(text.strip()) or like
    up, name, nth, field, rep, parts = match.groups(default="")
    numbers = re.sub("[-_/]", ".", parts)
    return f"{up}{name.upper()}{nth}" + (f"-{field}{rep}{numbers}" if field else "")


def _one(where: Where, many: Callable[[Any], list[Any]]) -> Read:
    if not where.name and where.comp and not where.field:
        return _part_reader(where, many)
    if not where.name and where.field and where.rep is None and where.sub in (None, 1):
        return _item_field_reader(where, many)
    if where.following and where.field and where.nth is None:
        return _reader_beside(where)
    plain = where.name and where.field and not where.following and where.nth != 0 and where.rep != 0
    if not plain or where.sub not in (None, 1):
        return _first_of(many)
    if where.name in HEADERS and where.field in (1, 2):
        return _first_of(many)
    if where.rep:
        return _repetition_reader(where)
    if where.comp in (None, 1):
        return _field_reader(where)
    return _component_reader(where)


def _row_of(where: Where) -> tuple[str, str, int, int]:
    """The key a segment's fields are kept under, its name, which one, and the place of the field in them."""
    nth = where.nth or 1
    key = where.name if nth == 1 else f"{where.name}[{nth}]"
    return key, where.name, nth, index_of(where.name, where.field or 0)


def _field_reader(where: Where) -> Read:
    """`PID-5`, `PID-3.1`, `OBX[3]-5`: the first part of the first repetition."""
    key, name, nth, index = _row_of(where)

    def one(tree: Hl7Message) -> str | None:
        row = tree.rows.get(key) or tree.find(key, name, nth)
        if index >= len(row):
            return None
        text = row[index]
        return text or None if not text or text.isalnum() else first_part(text, tree)

    return one


def _component_reader(where: Where) -> Read:
    """`PID-3.4`: the first part of a later component of the first repetition."""
    key, name, nth, index = _row_of(where)
    part = of_component(where.comp or 1)

    def one(tree: Hl7Message) -> str | None:
        row = tree.rows.get(key) or tree.find(key, name, nth)
        return part(row[index], tree) if index < len(row) else None

    return one


def _repetition_reader(where: Where) -> Read:
    """`PID-3[2].1`: the first part of a component of exactly that repetition, be it empty."""
    key, name, nth, index = _row_of(where)
    text = of_repetition(where.rep or 1, where.comp or 1)

    def one(tree: Hl7Message) -> str | None:
        row = tree.rows.get(key) or tree.find(key, name, nth)
        return text(row[index], tree) if index < len(row) else None

    return one


def _item_field_reader(where: Where, many: Callable[[Any], list[Any]]) -> Read:
    """`-5`, `-5.2`: of the first repetition in the segment at hand."""
    index, general, is_first = where.field or 0, _first_of(many), where.comp in (None, 1)
    part = first_part if is_first else of_component(where.comp or 1)

    def one(node: Any) -> str | None:
        if node.__class__ is not Segment or node.header:
            return general(node)  # type: ignore[no-any-return]
        row = node.row
        if index >= len(row):
            return None
        text = row[index]
        if not text or text.isalnum():
            return (text or None) if is_first else None
        return part(text, node.tree)

    return one


def _reader_beside(where: Where) -> Read:
    """`<ORC-3.1`, `>NTE-3`: as `-3.1` of the segment that is meant."""
    item = where._replace(name="", following=False, before=False)
    one = _one(item, _many(item))

    def beside(node: Any) -> str | None:
        return next((one(segment) for segment in segments(node, where)), None)

    return beside


def _part_reader(where: Where, many: Callable[[Any], list[Any]]) -> Read:
    """`.4`: of the repetition or component at hand."""
    at = (where.comp or 1) - 1
    general = _first_of(many)
    if where.sub:
        return _sub_part_reader(at, where.sub - 1, general)

    def one(node: Any) -> str | None:
        if node.__class__ is Piece:
            texts: list[str] = node.texts
            return texts[at] or None if at < len(texts) else None
        if node.__class__ is str:
            return (node or None) if at == 0 else None
        return general(node)  # type: ignore[no-any-return]

    return one


def _sub_part_reader(at: int, sub: int, general: Read) -> Read:
    """`.4.2`: of the repetition at hand."""

    def one(node: Any) -> str | None:
        if node.__class__ is str:
            return (node or None) if at == sub == 0 else None
        if node.__class__ is not Piece or node.deep:
            return general(node)  # type: ignore[no-any-return]
        parts = node.parts
        if at >= len(parts):
            return None
        text, mark = parts[at], node.tree.marks.sub
        if mark not in text:
            return node.texts[at] or None if sub == 0 else None
        found = text.split(mark)
        return node.tree.unescape(found[sub]) or None if sub < len(found) else None

    return one


def _first_of(many: Callable[[Any], list[Any]]) -> Read:
    def one(node: Any) -> str | None:
        found = many(node)
        return str(found[0]) or None if found else None

    return one


def _many(where: Where) -> Callable[[Any], list[Any]]:
    if where.field and where.nth is None and where.rep is None and where.comp is None:
        if not where.name:
            return _item_repetitions_reader(where.field)
        if not where.following and where.name not in HEADERS:
            return _repetitions_reader(where, _many(where._replace(nth=1)))

    if where.name and where.nth is None and not (where.field or where.before):
        if where.following:
            return following(where.name)
        if where.name not in HEADERS:
            return every(where.name)

    def many(node: Any) -> list[Any]:
        if where.name:
            return [found for segment in segments(node, where) for found in _in_segment(segment, where)]
        if where.field:
            return _in_segment(node, where) if isinstance(node, Segment) else []
        if where.comp:
            return _parts(node, where) if isinstance(node, str) else []
        return [node]

    return many


def _repetitions_reader(where: Where, general: Callable[[Any], list[Any]]) -> Callable[[Any], list[Any]]:
    """`PID-3`: every repetition in the first segment of its name."""
    key, name, nth, index = _row_of(where)

    def many(node: Any) -> list[Any]:
        if node.__class__ is not Hl7Message:
            return general(node)
        return _repetitions(node.rows.get(key) or node.find(key, name, nth), index, node)

    return many


def _item_repetitions_reader(index: int) -> Callable[[Any], list[Any]]:
    """`-3`: every repetition in the segment at hand."""
    general = _many(Where("", 1, index, None, None, None, False))

    def many(node: Any) -> list[Any]:
        if node.__class__ is not Segment or node.header:
            return general(node)
        return _repetitions(node.row, index, node.tree)

    return many


def _repetitions(row: list[str], index: int, tree: Hl7Message) -> list[Any]:
    return repetitions(row[index], tree) if index < len(row) and row[index] else []


def _in_segment(segment: Segment, where: Where) -> list[Any]:
    if not where.field:
        return [segment]
    row, tree = segment.row, segment.tree
    index = index_of(row[0], where.field)
    if row[0] in HEADERS and where.field < 3:
        there = (where.comp or 1) == (where.rep or 1) == 1
        return [tree.marks.field if where.field == 1 else row[1]] if there else []
    if index >= len(row) or not row[index]:
        return []
    repetitions = row[index].split(tree.marks.repetition, MAX_REPETITIONS)
    if where.rep:
        repetitions = repetitions[where.rep - 1 : where.rep]
    nodes = [node_of(text, tree) for text in repetitions if text]
    return [part for node in nodes for part in _parts(node, where)] if where.comp else nodes


def _parts(node: str, where: Where) -> list[Any]:
    """Component (and sub-component) of a repetition, or sub-component of a component."""
    numbers = [number for number in (where.comp, where.sub) if number]
    for number in numbers:
        found = _part(node, number)
        if not found:
            return []
        node = found
    return [node]


def _part(node: str, number: int) -> str:
    if not isinstance(node, Piece):
        return node if number == 1 else ""
    parts = node.parts
    return node_of(parts[number - 1], node.tree, deep=True, leaf=node.deep) if number <= len(parts) else ""
