"""DICOM files (PS3.10). A tree is an object of keywords (PS3.6): `$.PatientName`, `$.RequestAttributesSequence[0].…`.

Pixel data, private elements and other bytes are not read. A file that is passed on without a map keeps them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from config import registry
from schemas.base import Path
from schemas.json import compile_path, items_at, laid_over


class Dicom:
    """Format `dicom`. Trees are dict, list, str, int and Decimal; paths are those of JSON."""

    name = "dicom"
    plain_items = True

    def decode(self, body: bytes, charset: str = "") -> Any:
        """Raises BadMessage (JL-M110). `charset` is for files that do not say theirs."""
        from schemas.imaging.reading import read

        return read(body, charset)

    def beginning(self, head: bytes) -> bytes:
        """What stands before the pixels is read also where they are cut."""
        return head

    def encode(self, tree: Any, charset: str = "") -> bytes:
        """A file in Explicit VR Little Endian, or as TransferSyntaxUID says. Raises BadMessage (JL-M111, JL-M112)."""
        from schemas.imaging.writing import write

        return write(tree, charset)

    def path(self, text: str) -> Path:
        return compile_path(text)

    def items(self, text: str) -> Callable[[Any], list[Any]]:
        return items_at(text)

    def build(self, made: Any, start: Any = None) -> Any:
        return made if start is None else laid_over(start, made)

    def sniff(self, tree: Any) -> str:
        """The modality: `CT`."""
        return str(tree.get("Modality") or "") if isinstance(tree, dict) else ""


registry.format("dicom")(Dicom())
