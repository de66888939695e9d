"""A tree of keywords as a DICOM data set, and as a file. Nothing is left away: what cannot be written is refused."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from pydicom.datadict import dictionary_VM, dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

from config.errors import BadMessage
from schemas.imaging.charsets import CODECS, UTF_8, term_of
from schemas.imaging.library import pydicom
from schemas.imaging.reading import MAX_DEPTH

_SYNTAXES = {ExplicitVRLittleEndian, ImplicitVRLittleEndian}
_BYTES = {"OB", "OD", "OF", "OL", "OV", "OW", "UN", "OB or OW"}
_WHOLE = {"US", "SS", "UL", "SL", "UV", "SV", "US or SS"}
_LETTERS = {"PN", "LO", "SH", "ST", "LT", "UT", "UC"}  # those that Specific Character Set speaks of


def write(tree: Any, charset: str = "") -> bytes:
    """Raises BadMessage: JL-M111 what is no DICOM, JL-M112 pixels that were not read."""
    dataset = dataset_of(tree, charset)
    if not dataset.file_meta.MediaStorageSOPClassUID:
        raise BadMessage("JL-M111", "a file says what it holds", "$.SOPClassUID")
    made = BytesIO()
    try:
        pydicom.dcmwrite(made, dataset, enforce_file_format=True)
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError, struct.error) as error:
        # Its words may quote what the file holds.
        raise BadMessage("JL-M111", f"cannot be written as DICOM ({type(error).__name__})") from None
    return made.getvalue()


def dataset_of(tree: Any, charset: str = "") -> Dataset:
    """With `file_meta`. None is nothing, '' an element without a value.

    Without SpecificCharacterSet, texts that are not ASCII are in `charset`, or UTF-8.
    """
    if not isinstance(tree, Mapping):
        raise BadMessage("JL-M111", "an object of keywords is wanted")
    term, tree = _charset(tree, charset)
    meta, dataset = FileMetaDataset(), Dataset()
    for keyword, value in tree.items():
        if value is not None:
            element = _element(keyword, value, CODECS[term], f"$.{keyword}", 1)
            (meta if element.tag.group == 2 else dataset).add(element)
    meta.TransferSyntaxUID = syntax = meta.get("TransferSyntaxUID", ExplicitVRLittleEndian)
    if syntax not in _SYNTAXES:
        raise BadMessage("JL-M111", "a map makes no compressed or big endian files", "$.TransferSyntaxUID")
    meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", meta.get("MediaStorageSOPClassUID", ""))
    meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID") or generate_uid(prefix=None)
    dataset.file_meta = meta
    return dataset


def _charset(tree: Mapping[str, Any], charset: str) -> tuple[str, Mapping[str, Any]]:
    """The term, and the tree with it where it is needed."""
    said = tree.get("SpecificCharacterSet")
    if said is not None:
        if said not in CODECS:
            raise BadMessage(
                "JL-M111", "written are ISO_IR 192, GB18030, GBK and ISO_IR 100", "$.SpecificCharacterSet"
            )
        return said, tree
    if str(tree).isascii():
        return "", tree
    term = term_of(charset) or UTF_8
    return term, {**tree, "SpecificCharacterSet": term}


def _element(keyword: Any, value: Any, codec: str, at: str, depth: int) -> DataElement:
    tag = tag_for_keyword(keyword) if isinstance(keyword, str) else None
    if tag is None:
        raise BadMessage("JL-M111", "no keyword of DICOM's dictionary (PS3.6)", at[:100])
    vr = dictionary_VR(tag)
    if vr == "SQ":
        return DataElement(
            tag, vr, [_item(item, codec, f"{at}[{n}]", depth) for n, item in enumerate(_list(value))]
        )
    if vr in _BYTES or "OW" in vr:
        if keyword == "PixelData":
            raise BadMessage("JL-M112", "pixels are not read: a map cannot make an image of them", at)
        raise BadMessage("JL-M111", f"{vr} are bytes, which a map does not make", at)
    if value == "":
        return DataElement(tag, vr.split(" or ")[0], None)
    values = [_scalar(one, vr, codec, at) for one in _list(value)]
    if len(values) > 1 and dictionary_VM(tag) == "1":
        raise BadMessage("JL-M111", "several values where there is one", at)
    try:
        return DataElement(tag, vr.split(" or ")[0], values if len(values) != 1 else values[0])
    except Exception:
        raise BadMessage("JL-M111", f"no value of {vr}", at) from None


def _item(item: Any, codec: str, at: str, depth: int) -> Dataset:
    if not isinstance(item, Mapping):
        raise BadMessage("JL-M111", "an item of a sequence is an object of keywords", at)
    if depth >= MAX_DEPTH:
        raise BadMessage("JL-M111", f"sequences in sequences, more than {MAX_DEPTH} deep")
    dataset = Dataset()
    for keyword, value in item.items():
        if value is not None:
            dataset.add(_element(keyword, value, codec, f"{at}.{keyword}", depth + 1))
    return dataset


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _scalar(value: Any, vr: str, codec: str, at: str) -> Any:
    if isinstance(value, Mapping | list | bool):
        raise BadMessage("JL-M111", f"no value of {vr}", at)
    try:
        if vr == "AT":
            return int(str(value), 16)
        if vr in ("FL", "FD"):
            return float(value)
        if vr in _WHOLE:
            return int(value)
    except (ValueError, OverflowError):
        raise BadMessage("JL-M111", f"no value of {vr}", at) from None
    text = str(value)
    try:
        text.encode(codec if vr in _LETTERS else "ascii")
    except UnicodeEncodeError:
        raise BadMessage(
            "JL-M111", f"a character that {codec if vr in _LETTERS else vr} does not have", at
        ) from None
    return text
