"""One HL7 v2 message as several: one for each segment of a name, with what stands before and around it.

In front of each item goes what stood before the first. PID, PV1, ORC and OBR each say what the segments below them
belong to: where one of them comes again between two items, it begins a new front, so that no result comes under another
patient, and none under another order.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from config.errors import BadMessage
from schemas.base import BadPath
from schemas.hl7.build import build
from schemas.hl7.message import Hl7Message, Line, read, split_lines
from schemas.hl7.nodes import HEADERS

_LEADERS = ("PID", "PV1", "ORC", "OBR")  # each above the next
_PATH = re.compile(r"([A-Z][A-Z0-9]{2})(\[\])?")
_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")
MAX_CONTROL_ID = 199  # characters of MSH-10 (20 before v2.7)


def items_at(text: str) -> Callable[[Hl7Message], list[Hl7Message]]:
    """What makes them of a message. Raises BadPath where `text` names no segment; it raises BadMessage (JL-M090).

    Where there is more than one, each has a control id of its own: that of the message, and its number.
    """
    match = _PATH.fullmatch(text)
    if match is None or match[1] in HEADERS:
        near = _NAME.match(text.upper())
        raise BadPath(
            f"{text!r}: HL7 v2 is divided at segments, such as $OBR",
            near[0] if near and near[0] not in HEADERS else "",
        )
    name = match[1]
    above = _LEADERS[: _LEADERS.index(name)] if name in _LEADERS else _LEADERS

    def items(tree: Hl7Message) -> list[Hl7Message]:
        groups = _groups(split_lines(tree.original, tree.marks.field), name, above)
        made = [_message(lines, tree) for lines in groups]
        return made if len(made) == 1 else [_numbered(item, number) for number, item in enumerate(made, 1)]

    return items


def _groups(lines: list[Line], name: str, above: tuple[str, ...]) -> list[list[Line]]:
    """The segments of each item, its front before them."""
    front: list[Line] = []
    coming: list[Line] = []  # of the next front
    groups: list[list[Line]] = []
    for line in lines:
        segment = line.read[:3]
        if segment == name:
            front, coming = _renewed(front, coming), []
            groups.append([*front, line])
        elif not groups:
            front.append(line)
        elif coming or segment in above:
            coming.append(line)
        else:
            groups[-1].append(line)
    if not groups:
        raise BadMessage("JL-M090", "there is no such segment, and so no item", name)
    if coming:
        what = f"no {name} follows the last {coming[0].read[:3]}: nobody knows what it belongs to"
        raise BadMessage("JL-M090", what, coming[0].read[:3])
    return groups


def _renewed(front: list[Line], coming: list[Line]) -> list[Line]:
    if not coming:
        return front
    below = _LEADERS[_LEADERS.index(coming[0].read[:3]) :]
    ends = next((at for at, line in enumerate(front) if line.read[:3] in below), len(front))
    return [*front[:ends], *coming]


def _message(lines: list[Line], tree: Hl7Message) -> Hl7Message:
    end = lines[0].end or "\r"
    text = "".join(line.written + (line.end or end) for line in lines)
    return read(text, text, tree.codec, tree.guessed, tree.hint)


def _numbered(item: Hl7Message, number: int) -> Hl7Message:
    row = item.first("MSH")
    own = item.unescape(row[9]) if len(row) > 9 else ""
    numbered = f"{own}-{number}"
    return build({"MSH": {10: numbered}}, item) if own and len(numbered) <= MAX_CONTROL_ID else item
