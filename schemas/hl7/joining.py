"""Several HL7 v2 messages as one: the counterpart of `items.py` and of `batch.py`.

Joined at a segment, the first message stands whole, and of each further one what begins at its first segment of that
name. As a batch (HL7 v2.5.1 section 2.10.3) each stands whole between headers and trailers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from config.errors import BadMessage
from schemas.base import BadPath, Gather
from schemas.hl7.build import encode
from schemas.hl7.message import Hl7Message, Line, read, split_lines
from schemas.hl7.nodes import HEADERS

_PATH = re.compile(r"\$?([A-Z][A-Z0-9]{2})(\[\])?")


def joining(text: str) -> Gather:
    """`$OBR`, or '' for a batch. Raises BadPath where it names no segment that messages can be joined at."""
    if not text:
        return Gather(lambda trees, charset: batch(trees))
    match = _PATH.fullmatch(text)
    if match is None or match[1] in HEADERS:
        near = re.match(r"\$?([A-Z][A-Z0-9]{2})", text.upper())
        fits = near is not None and near[1] not in HEADERS
        raise BadPath(
            f"{text!r}: HL7 v2 is joined at segments, such as $OBR", near[1] if near and fits else ""
        )
    name = match[1]
    return Gather(lambda trees, charset: encode(_joined(trees, name)), _has(name))


def batch(trees: Sequence[Hl7Message]) -> bytes:
    """FHS, BHS, the messages, BTS, FTS. Who sends to whom, when, and the control id are the first message's."""
    first = trees[0]
    mark = first.marks.field
    row = [*first.first("MSH"), *[""] * 12]
    head = mark.join([row[1], *row[2:7], "", "", "", row[9]])
    codec = first.codec
    parts = [f"FHS{mark}{head}\rBHS{mark}{head}\r".encode(codec, "replace")]
    parts += [_ended(encode(tree, codec if codec.startswith("utf-16") else "")) for tree in trees]
    parts.append(f"BTS{mark}{len(trees)}\rFTS{mark}1\r".encode(codec, "replace"))
    return b"".join(parts)


def _ended(body: bytes) -> bytes:
    return body if body.endswith((b"\r", b"\n")) else body + b"\r"


def _has(name: str) -> Callable[[Hl7Message], None]:
    def check(tree: Hl7Message) -> None:
        if not any(line.startswith(name + tree.marks.field) for line in tree.lines):
            raise BadMessage("JL-M090", "there is no such segment, and so nothing to join", name)

    return check


def _joined(trees: Sequence[Hl7Message], name: str) -> Hl7Message:
    first = trees[0]
    end = split_lines(first.original, first.marks.field)[0].end or "\r"
    text = first.original if first.original.endswith(("\r", "\n")) else first.original + end
    for number, tree in enumerate(trees[1:], 2):
        if tree.marks != first.marks:
            raise BadMessage("JL-M093", "it has other delimiters than the first", f"message {number}")
        text += "".join(line.written + (line.end or end) for line in _from(tree, name))
    return read(text, text, first.codec, first.guessed, first.hint)


def _from(tree: Hl7Message, name: str) -> list[Line]:
    lines = split_lines(tree.original, tree.marks.field)
    begins = next((at for at, line in enumerate(lines) if line.read[:3] == name), len(lines))
    return lines[begins:]
