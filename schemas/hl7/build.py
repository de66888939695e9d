"""Making HL7 v2 messages: `{MSH: {3: HIS, 9: {1: ADT, 2: A01}}, PID: {3: [{1: x, 4: HIS}]}, OBX: [{...}]}`.

A dict under a segment holds its fields by number, a list there several segments; under a field a dict holds
components (and sub-components), a list repetitions. A list of such shapes keeps the order that groups need
(OBR, its OBX, the next OBR). Laid over a message, only what is named changes; every other byte stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from config.errors import BadMessage
from schemas import charsets
from schemas.hl7.escapes import ABSENT, Marks, escape
from schemas.hl7.message import Hl7Message, Line, marks_of, read, split_lines
from schemas.hl7.nodes import Piece

MAX_NUMBER = 999  # of a field or component: more is a slip, and would fill the segment with delimiters
_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")


def build(made: Any, start: Hl7Message | None = None) -> Hl7Message:
    """Plain data to a message. Raises BadMessage (JL-M008 with the path of what cannot be written)."""
    shapes = list(_shapes(made))
    if start is None:
        shapes, lines, marks = _begin(shapes)
    else:
        marks = start.marks
        lines = split_lines(start.original, marks.field)
    used: dict[str, int] = {}
    for name, shape in shapes:
        used[name] = used.get(name, 0) + 1
        nth = used[name] if start else 0
        _lay(lines, name, nth, shape, marks)
    text = "".join(line.written + line.end for line in lines)
    if start is None:
        return read(text, text)
    renamed = any(name == "MSH" and (18 in shape or "18" in shape) for name, shape in shapes)
    return read(text, text, "" if renamed else start.codec, start.guessed and not renamed, start.hint)


def encode(tree: Hl7Message, charset: str = "") -> bytes:
    """The same bytes for a message nobody touched. In another charset MSH-18, where it is filled, follows.

    Raises BadMessage (JL-M007) for a character that the charset does not have.
    """
    target = charsets.codec(charset) if charset else tree.codec
    if not target:
        raise BadMessage("JL-M007", f"no charset is called {charset!r}")
    if isinstance(tree.source, bytes) and (target == tree.codec or _all_ascii(tree.source, target)):
        return tree.source
    declared = tree.declared
    if charset and declared and charsets.codec(declared[0]) != target:
        tree = build({"MSH": {18: charsets.hl7_name(target)}}, tree)
    text = tree.original
    if not target.startswith("utf-"):
        text = text.removeprefix("\ufeff")
    try:
        return text.encode(target)
    except UnicodeEncodeError as error:
        line = text.count("\r", 0, error.start) + 1
        raise BadMessage("JL-M007", f"a character that {target} does not have", f"line {line}") from None


def _all_ascii(body: bytes, target: str) -> bool:
    return body.isascii() and not target.startswith(("utf-16", "utf-32"))


def _shapes(made: Any) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """Segments in order, however they were grouped."""
    if isinstance(made, Mapping):
        for name, value in made.items():
            if not _NAME.fullmatch(str(name)):
                raise BadMessage("JL-M008", "a segment's name has three capital letters or digits", str(name))
            for shape in _listed(value):
                if not isinstance(shape, Mapping):
                    raise BadMessage("JL-M008", "a segment is made of its fields by number", str(name))
                yield str(name), shape
    elif isinstance(made, Sequence) and not isinstance(made, str):
        for part in made:
            yield from _shapes(part)
    elif made is not None:
        raise BadMessage("JL-M008", "a message is made of segments by name")


def _listed(value: Any) -> list[Any]:
    items = list(value) if isinstance(value, list | tuple) else [value]
    return [item for item in items if item is not None]


Shapes = list[tuple[str, Mapping[Any, Any]]]


def _begin(shapes: Shapes) -> tuple[Shapes, list[Line], Marks]:
    """The header of a new message: its delimiters are the usual ones unless the shape names others."""
    if not shapes or shapes[0][0] != "MSH":
        raise BadMessage("JL-M008", "a message begins with MSH", "MSH")
    header = {str(number): value for number, value in shapes[0][1].items()}
    field, given = str(header.pop("1", "|")), str(header.pop("2", "^~\\&"))
    marks = marks_of(field, given)
    empty = f"MSH{field}{given}{field}"
    return [("MSH", header), *shapes[1:]], [Line(empty, empty, "\r")], marks


def _lay(lines: list[Line], name: str, nth: int, shape: Mapping[Any, Any], marks: Marks) -> None:
    """Lays a shape over the nth segment of its name, or adds a segment (always, where nth is 0)."""
    head = name + marks.field
    places = [at for at, line in enumerate(lines) if line.read.startswith(head)]
    if name == "MSH":
        nth = 1
    if 0 < nth <= len(places):
        at = places[nth - 1]
        row = _merge(lines[at].written.split(marks.field), name, shape, marks)
        text = marks.field.join(row)
        lines[at] = lines[at]._replace(written=text)
        return
    at = (places[-1] if places and nth else len(lines) - 1) + 1
    before, end = lines[at - 1], lines[0].end or "\r"
    lines[at - 1] = before._replace(end=before.end or end)
    text = marks.field.join(_merge([name], name, shape, marks))
    text += "" if marks.field in text else marks.field
    lines.insert(at, Line(text, text, before.end or ("" if nth else end)))


def _merge(row: list[str], name: str, shape: Mapping[Any, Any], marks: Marks) -> list[str]:
    header = name in ("MSH", "FHS", "BHS")
    for key, value in shape.items():
        number = _number(key, name)
        if value is None:
            continue
        if header and number < 3:
            if str(value) == (marks.field if number == 1 else row[1]):
                continue
            raise BadMessage("JL-M008", "the delimiters of a message cannot be changed", f"{name}-{number}")
        index = number - 1 if header else number
        row.extend([""] * (index + 1 - len(row)))
        made = _field(row[index], value, marks, f"{name}-{number}")
        if ABSENT in made and ABSENT not in row[index]:
            raise BadMessage("JL-M008", "MSH-2 has no delimiter for this", f"{name}-{number}")
        row[index] = made
    return row


def _number(key: Any, at: str) -> int:
    text = str(key)
    if not text.isdecimal() or not 1 <= int(text[:9]) <= MAX_NUMBER:
        raise BadMessage("JL-M008", f"{text!r} is no number from 1 to {MAX_NUMBER}", at)
    return int(text)


def _field(old: str, value: Any, marks: Marks, at: str) -> str:
    if isinstance(value, list | tuple):
        made = [_parts("", item, marks, marks.component, at) for item in value if item is not None]
        return marks.repetition.join(made)
    if isinstance(value, Mapping):
        first, *others = old.split(marks.repetition)
        return marks.repetition.join([_parts(first, value, marks, marks.component, at), *others])
    return _parts(old, value, marks, marks.component, at)


def _parts(old: str, value: Any, marks: Marks, mark: str, at: str) -> str:
    """A repetition's components (`mark` is their delimiter) or a component's sub-components."""
    deep = mark == marks.sub
    if not isinstance(value, Mapping):
        return _copy(value, marks, deep) if isinstance(value, Piece) else escape(_text(value, at), marks)
    parts = old.split(mark)
    for key, inner in value.items():
        number = _number(key, at)
        if inner is None:
            continue
        parts.extend([""] * (number - len(parts)))
        where = f"{at}.{number}"
        if deep:
            parts[number - 1] = escape(_text(inner, where), marks)
        else:
            parts[number - 1] = _parts(parts[number - 1], inner, marks, marks.sub, where)
    made = mark.join(parts)
    return made if old else made.rstrip(mark)


def _copy(piece: Piece, marks: Marks, deep: bool) -> str:
    """A repetition or component read from a message goes in whole, in this message's delimiters."""
    theirs, tree = piece.tree.marks, piece.tree
    if deep and not piece.deep:
        return escape(str(piece), marks)
    if theirs == marks:
        return piece.raw
    components = [piece.raw] if piece.deep else piece.raw.split(theirs.component)
    return marks.component.join(
        marks.sub.join(escape(tree.unescape(sub), marks) for sub in component.split(theirs.sub))
        for component in components
    )


def _text(value: Any, at: str) -> str:
    """A scalar as HL7 writes it; a truth value is Y or N (table 0136)."""
    if isinstance(value, bool):
        return "Y" if value else "N"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, str | int):
        return str(value)
    raise BadMessage("JL-M008", f"a {type(value).__name__} cannot stand here", at)
