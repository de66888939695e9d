"""Where the segments stand that a path means: in the whole message, in a segment's group, before a segment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from schemas.hl7.message import Hl7Message
from schemas.hl7.nodes import Segment
from schemas.hl7.where import Where


def every(name: str) -> Callable[[Any], list[Segment]]:
    """`IN1`: every segment of its name in the message. It is looked for in the text: no step for each line."""

    def many(node: Any) -> list[Segment]:
        if node.__class__ is not Hl7Message:
            return []
        text, head, end = node.text, f"\r{name}{node.marks[0]}", len(node.lines)
        made, at, last = [], 0, 0
        start = text.find(head)
        while start >= 0:
            at += text.count("\r", last, start + 1)
            made.append(Segment(node, at, end))
            last = start + 1
            start = text.find(head, last)
        return made

    return many


def following(name: str) -> Callable[[Any], list[Segment]]:
    """`>NTE`: those of its name in the group of the segment at hand. Asked of each OBX: one walk, no generators."""

    def many(node: Any) -> list[Segment]:
        if node.__class__ is not Segment:
            return []
        tree, field = node.tree, node.tree.marks[0]
        lines, head, own = tree.lines, name + field, node.row[0] + field
        places = []
        for at in range(node.at + 1, node.end):
            line = lines[at]
            if line.startswith(own):
                end = at
                break
            if line.startswith(head):
                places.append(at)
        else:
            end = node.end
        return [Segment(tree, at, end) for at in places]

    return many


def segments(node: Any, where: Where) -> Iterator[Segment]:
    """The segments meant: without brackets the first where a field is asked for, else all."""
    wanted = where.nth if where.nth is not None else (1 if where.field else 0)
    found: Iterator[Segment] | list[Segment]
    if isinstance(node, Segment) and where.before:
        nearest = nearest_before(node, where.name)
        found, wanted = [nearest] if nearest else [], 0
    elif isinstance(node, Segment) and where.following:
        found = following(where.name)(node)
    elif isinstance(node, Hl7Message) and not where.following:
        found = (Segment(node, at, len(node.lines)) for at in node.places(where.name))
    else:
        return
    for count, segment in enumerate(found, 1):
        if wanted in (0, count):
            yield segment
        if count == wanted:
            return


def nearest_before(segment: Segment, name: str) -> Segment | None:
    """None beyond the last segment of its own name: what stands before that belongs to that."""
    lines, mark = segment.tree.lines, segment.tree.marks.field
    for at in range(segment.at - 1, -1, -1):
        if lines[at].startswith(name + mark):
            return Segment(segment.tree, at, segment.at)
        if lines[at].startswith(segment.row[0] + mark):
            return None
    return None
