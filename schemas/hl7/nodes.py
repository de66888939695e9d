"""What a path finds in an HL7 v2 message: segments, and repetitions and components as text that can be split."""

from __future__ import annotations

from schemas.hl7.message import Hl7Message

MAX_REPETITIONS = 10_000
HEADERS = ("MSH", "FHS", "BHS")  # their first field is the separator itself


class Segment:
    """A segment as the item of an `each`: its place in the message, and where the group around it ends."""

    __slots__ = ("at", "end", "header", "row", "tree")

    def __init__(self, tree: Hl7Message, at: int, end: int) -> None:
        self.tree = tree
        self.at = at
        self.end = end
        self.row = tree.row(at)
        self.header = self.row[0] in HEADERS

    def __str__(self) -> str:
        return self.tree.lines[self.at]


class Piece(str):
    """A repetition or a component that has parts. As text it is its first part; `raw` is all of it."""

    __slots__ = ("deep", "parts", "raw", "subs", "texts", "tree")
    raw: str
    parts: list[str]  # still escaped
    texts: list[str]  # each part as text: its first sub-component
    tree: Hl7Message
    deep: bool  # a component: its parts are sub-components
    subs: bool  # somewhere in it is a sub-component


def node_of(text: str, tree: Hl7Message, deep: bool = False, leaf: bool = False) -> str:
    """A plain string where there is nothing more to split, a Piece where there is."""
    component, _, escape, sub = tree.delimiters
    has_sub = not leaf and sub in text
    if not has_sub and (deep or component not in text):
        return tree.unescape(text) if escape in text else text
    parts = text.split(sub if deep else component)
    texts = [tree.unescape(part.split(sub, 1)[0]) for part in parts] if has_sub or escape in text else parts
    piece = Piece(texts[0])
    piece.raw, piece.parts, piece.texts, piece.tree = text, parts, texts, tree
    piece.deep, piece.subs = deep, has_sub
    return piece


def repetitions(text: str, tree: Hl7Message) -> list[str]:
    """The repetitions of a field; those that are empty are left out."""
    mark = tree.delimiters[1]
    if mark not in text:
        return [node_of(text, tree)]
    return [node_of(part, tree) for part in text.split(mark, MAX_REPETITIONS) if part]
