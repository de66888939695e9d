r"""HL7 v2 in ER7 form (`MSH|^~\&|...`): the format, and what endpoints need: answers and batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from config import registry
from schemas.base import Gather, Path
from schemas.hl7.ack import Ack, ack, read_ack
from schemas.hl7.batch import split_batch
from schemas.hl7.build import build, encode
from schemas.hl7.escapes import Marks, escape, unescape
from schemas.hl7.items import items_at
from schemas.hl7.joining import joining
from schemas.hl7.message import NULL, Hl7Message, decode
from schemas.hl7.nodes import Piece, Segment
from schemas.hl7.paths import compile_path

__all__ = [
    "NULL",
    "Ack",
    "Hl7Message",
    "Hl7v2",
    "Marks",
    "Piece",
    "Segment",
    "ack",
    "build",
    "decode",
    "encode",
    "escape",
    "read_ack",
    "split_batch",
    "unescape",
]

_TYPE, _TRIGGER = compile_path("MSH-9.1").one, compile_path("MSH-9.2").one


class Hl7v2:
    """Format `hl7v2`. Trees are `Hl7Message`."""

    name = "hl7v2"

    def decode(self, body: bytes, charset: str = "") -> Hl7Message:
        return decode(body, charset)

    def beginning(self, head: bytes) -> bytes:
        """The segments that are there whole."""
        return head[: max(head.rfind(b"\r"), head.rfind(b"\n")) + 1] or head

    def encode(self, tree: Hl7Message, charset: str = "") -> bytes:
        return encode(tree, charset)

    def path(self, text: str) -> Path:
        return compile_path(text)

    def items(self, text: str) -> Callable[[Hl7Message], list[Hl7Message]]:
        return items_at(text)

    def gathers(self, text: str) -> Gather:
        """A batch, or joined at a segment, `$OBR`."""
        return joining(text)

    def build(self, made: Any, start: Hl7Message | None = None) -> Hl7Message:
        return build(made, start)

    def sniff(self, tree: Hl7Message) -> str:
        kind, trigger = _TYPE(tree) or "", _TRIGGER(tree)
        return f"{kind}^{trigger}" if kind and trigger else kind or trigger or ""


registry.format("hl7v2")(Hl7v2())
