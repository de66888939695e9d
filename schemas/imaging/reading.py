"""A DICOM file as a tree: by keyword, texts as they stand, what is bytes left away."""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from io import BytesIO
from typing import Any

from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from config.errors import BadMessage
from schemas.imaging.charsets import guessed, term_of
from schemas.imaging.library import pydicom

MAX_BYTES = 2_000_000_000
MAX_DEPTH = 32  # of sequences
PIXELS = "PixelData"
_PREAMBLE = 128
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_BYTES = {"OB", "OD", "OF", "OL", "OV", "OW", "UN", "OB or OW", "OB/OW"}
_WHOLE = {"IS", "SL", "SS", "SV", "UL", "US", "UV", "US or SS"}
_FRACTION = {"DS", "FD", "FL"}
_TEXT = {"PN", "LO", "SH", "ST", "LT", "UT", "UC"}
_META = {"MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID"}


def read(body: bytes, charset: str = "") -> dict[str, Any]:
    """`PixelData`, where there are pixels, is an object that says how many bytes follow. Raises BadMessage."""
    file = BytesIO(body)
    dataset = parsed(file)
    tree = tree_of(dataset, charset)
    if file.tell() < len(body):
        tree[PIXELS] = {"bytes": len(body) - file.tell()}
    return tree


def whole(file: BytesIO) -> Dataset:
    """With its pixels, as they stand. Raises BadMessage (JL-M110)."""
    return parsed(file, pixels=True)


def parsed(file: BytesIO, pixels: bool = False) -> Dataset:
    """The data set before its pixels, with `file_meta`. Raises BadMessage (JL-M110)."""
    start = file.getbuffer()[: _PREAMBLE + 1000].tobytes()
    if start[_PREAMBLE : _PREAMBLE + 4] != b"DICM":
        raise BadMessage("JL-M110", "no DICOM file: DICM does not stand at byte 128", "byte 128")
    if file.getbuffer().nbytes > MAX_BYTES:
        raise BadMessage("JL-M110", f"larger than {MAX_BYTES} bytes")
    if _DEFLATED in start:
        raise BadMessage("JL-M110", "a deflated file is not read: nobody knows how large it becomes")
    try:
        return pydicom.dcmread(file, stop_before_pixels=not pixels)
    except Exception as error:  # the library has no end of them
        raise BadMessage("JL-M110", f"no DICOM data set: {type(error).__name__}") from None


def tree_of(dataset: Dataset, charset: str = "") -> dict[str, Any]:
    """Raises BadMessage (JL-M110), at the keyword."""
    try:
        codec = _codec(dataset, charset)
    except Exception as error:  # the library has no end of them
        raise BadMessage("JL-M110", f"no DICOM data set: {type(error).__name__}") from None
    try:
        meta = getattr(dataset, "file_meta", None)
        tree = _tree(_elements(meta, ""), "", 1, "$") if meta is not None else {}
        tree = {name: value for name, value in tree.items() if name in _META}
        tree.update(_tree(_elements(dataset, codec), codec, 1, "$"))
    except RecursionError:
        raise BadMessage("JL-M110", "sequences in sequences without end") from None
    return tree


def _codec(dataset: Dataset, charset: str) -> str:
    """What texts are read in, where the file does not say, or says ASCII and is not. '': as it says."""
    said = dataset.get("SpecificCharacterSet")
    if said and said != "ISO_IR 6":
        return ""
    texts = []
    for tag in dataset.keys():  # noqa: SIM118 - a Dataset iterates over read elements
        raw = dataset.get_item(tag)
        value = getattr(raw, "value", None)
        vr = getattr(raw, "VR", None)
        if isinstance(value, bytes) and (vr is None or vr in _TEXT):
            texts.append(value)
    found = guessed(b"".join(texts))
    term = term_of(charset) if charset else ""
    return {"ISO_IR 192": "utf8", "GB18030": "gb18030"}.get(term, found) if found else ""


def _elements(dataset: Dataset, codec: str) -> Iterable[Any]:
    if codec:
        implicit, little = dataset.original_encoding
        dataset.set_original_encoding(implicit, little, codec)
    for tag in sorted(dataset.keys()):
        if keyword_for_tag(tag):
            try:
                yield dataset[tag]
            except Exception as error:
                raise BadMessage("JL-M110", type(error).__name__, f"$.{keyword_for_tag(tag)}") from None


def _tree(elements: Iterable[Any], codec: str, depth: int, at: str) -> dict[str, Any]:
    if depth > MAX_DEPTH:
        raise BadMessage("JL-M110", f"sequences in sequences, more than {MAX_DEPTH} deep")
    tree: dict[str, Any] = {}
    for element in elements:
        where = f"{at}.{element.keyword}"
        if element.VR == "SQ":
            tree[element.keyword] = [
                _tree(_elements(item, codec), codec, depth + 1, where) for item in element.value or ()
            ]
        elif element.VR not in _BYTES and element.keyword != PIXELS:
            tree[element.keyword] = _values(element, where)
    return tree


def _values(element: Any, at: str) -> Any:
    value = element.value
    if isinstance(value, MultiValue | list):
        return [_scalar(one, element.VR, at) for one in value]
    return None if value is None or value == "" else _scalar(value, element.VR, at)


def _scalar(value: Any, vr: str, at: str) -> Any:
    try:
        if vr in _WHOLE:
            return int(value)
        if vr in _FRACTION:
            number = Decimal(str(value))
            return number if math.isfinite(number) else str(value)
    except (ValueError, InvalidOperation, OverflowError):
        return str(value)
    if vr == "AT":
        return f"{int(value):08X}"
    if isinstance(value, bytes):
        raise BadMessage("JL-M110", f"bytes where {vr} should be", at)
    return str(value)
