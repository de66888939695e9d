"""DICOM files as trees of keywords: both charsets of China, what is refused, any bytes."""

from __future__ import annotations

import contextlib
from decimal import Decimal
from typing import Any

import pytest
from dicom_parts import NAME, picture
from hypothesis import given
from hypothesis import strategies as st

from config.errors import BadMessage
from schemas.dicom import Dicom

FORMAT = Dicom()


@pytest.mark.parametrize("charset", ["GB18030", "GBK", "ISO_IR 192"])
def test_chinese_names_go_round(charset: str) -> None:
    body = picture(
        SpecificCharacterSet=charset,
        RequestAttributesSequence=[{"RequestedProcedureDescription": "胸部平扫"}],
    )
    tree = FORMAT.decode(body)
    assert FORMAT.path(".PatientName").one(tree) == NAME
    assert FORMAT.path(".RequestAttributesSequence[0].RequestedProcedureDescription").one(tree) == "胸部平扫"
    assert NAME.encode("utf-8" if charset == "ISO_IR 192" else charset) in body
    assert FORMAT.decode(FORMAT.encode(tree)) == tree


@pytest.mark.parametrize(("said", "codec"), [("GB18030", "gb18030"), ("ISO_IR 192", "utf-8")])
def test_a_device_that_does_not_say_its_charset(said: str, codec: str) -> None:
    body = picture(
        SpecificCharacterSet=said, RequestAttributesSequence=[{"RequestedProcedureDescription": "胸部平扫"}]
    )
    silent = body.replace(
        said.encode().ljust(10 if said != "GB18030" else 8), b"ISO_IR 6".ljust(10 if said != "GB18030" else 8)
    )
    tree = FORMAT.decode(silent)
    assert tree["SpecificCharacterSet"] == "ISO_IR 6"
    assert tree["PatientName"] == NAME
    assert tree["RequestAttributesSequence"][0]["RequestedProcedureDescription"] == "胸部平扫"


def test_values_are_plain() -> None:
    tree = FORMAT.decode(
        picture(PixelSpacing=["0.5", "0.25"], Rows=512, InstanceNumber="7", PatientBirthDate="19800101")
    )
    assert tree["PixelSpacing"] == [Decimal("0.5"), Decimal("0.25")]
    assert (tree["Rows"], tree["InstanceNumber"], tree["PatientBirthDate"]) == (512, 7, "19800101")
    assert FORMAT.sniff(tree) == "CR"


def test_pixels_are_not_read_and_cannot_be_made() -> None:
    tree = FORMAT.decode(picture(pixels=2560))
    assert tree["PixelData"] == {"bytes": 2572}
    with pytest.raises(BadMessage, match="JL-M112"):
        FORMAT.encode(tree)


def test_the_beginning_of_a_large_file_is_read() -> None:
    tree = FORMAT.decode(FORMAT.beginning(picture(pixels=256_000)[:4000]))
    assert tree["PatientName"] == NAME


def test_text_without_a_charset_is_written_in_the_channels_or_in_utf_8() -> None:
    tree = {"SOPClassUID": "1.2", "SOPInstanceUID": "1.2.3", "PatientName": "张^伟"}
    assert FORMAT.decode(FORMAT.encode(tree))["SpecificCharacterSet"] == "ISO_IR 192"
    assert FORMAT.decode(FORMAT.encode(tree, "GB2312"))["SpecificCharacterSet"] == "GB18030"
    assert "SpecificCharacterSet" not in FORMAT.decode(FORMAT.encode({**tree, "PatientName": "Zhang"}))


@pytest.mark.parametrize(
    "tree",
    [
        [],
        {"PatientName": "Zhang"},
        {"Patient": "x"},
        {"Rows": "many"},
        {"PatientName": {"Alphabetic": "x"}},
        {"SpecificCharacterSet": "ISO_IR 100", "PatientName": "张"},
        {"SpecificCharacterSet": "ISO 2022 IR 58"},
        {"Modality": ["CT", "MR"]},
        {"Modality": "胸"},
        {"RequestAttributesSequence": ["x"]},
        {"TransferSyntaxUID": "1.2.840.10008.1.2.4.50"},
        {"OverlayData": "x"},
    ],
)
def test_what_cannot_be_written_is_refused(tree: Any) -> None:
    with pytest.raises(BadMessage, match="JL-M111"):
        FORMAT.encode(tree)


def test_a_deflated_file_is_refused() -> None:
    body = picture().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99"[:20])
    bomb = body[:300] + b"1.2.840.10008.1.2.1.99" + body[300:]
    with pytest.raises(BadMessage, match="deflated"):
        FORMAT.decode(bomb)


@given(st.lists(st.tuples(st.integers(132, 600), st.integers(0, 255)), max_size=6), st.integers(100, 700))
def test_any_bytes_give_a_tree_or_a_bad_message(changes: list[tuple[int, int]], length: int) -> None:
    body = bytearray(picture(RequestAttributesSequence=[{"RequestedProcedureDescription": "胸部平扫"}]))
    for place, value in changes:
        if place < len(body):
            body[place] = value
    with contextlib.suppress(BadMessage):
        FORMAT.decode(bytes(body[:length]))


def test_a_kind_of_value_that_there_is_not_is_refused() -> None:
    body = FORMAT.encode({"SOPClassUID": "1.2", "SOPInstanceUID": "1.2.3", "PatientName": "Zhang"})
    with pytest.raises(BadMessage, match="JL-M110"):
        FORMAT.decode(body + b"\x40\x00\x75\x14QS\x00\x00\x02\x00\x00\x00ab")
