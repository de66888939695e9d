"""HL7 v2: in which letters a message comes, and is written."""

from __future__ import annotations

import pytest

from config.errors import BadMessage
from schemas import charsets
from schemas.hl7v2 import Hl7v2

HL7 = Hl7v2()
ADT = "MSH|^~\\&|HIS|A|LIS|A|20260105080000||ADT^A01^ADT_A01|M1|P|2.5|||||CHN|{}\rPID|1||P1||欧阳^三~Ouyang^San\r"


def one(tree: object, path: str) -> str | None:
    value: str | None = HL7.path(path).one(tree)
    return value


@pytest.mark.parametrize(
    ("declared", "codec", "used", "guessed"),
    [
        ("UNICODE UTF-8", "utf-8", "utf-8", False),
        ("GB 18030-2000", "gb18030", "gb18030", False),
        ("GB18030", "gb18030", "gb18030", False),
        ("GB2312", "gb18030", "gb18030", False),
        ("GBK", "gbk", "gb18030", False),
        ("ASCII~GB18030", "gb18030", "gb18030", True),
        ("UNICODE", "utf-8", "utf-8", False),
        ("UNICODE UTF-16", "utf-16", "utf-16-le", False),
        ("UNICODE UTF-8", "gb18030", "gb18030", True),
        ("GB18030", "utf-8-sig", "utf-8", False),
        ("GB18030", "utf-8", "utf-8", True),
        ("", "gb18030", "gb18030", True),
        ("", "utf-8", "utf-8", True),
        ("Klingon", "utf-8", "utf-8", True),
    ],
)
def test_chinese_is_read_as_declared_or_as_it_is(declared: str, codec: str, used: str, guessed: bool) -> None:
    body = ADT.format(declared).encode(codec)
    tree = HL7.decode(body)
    assert one(tree, "PID-5") == "欧阳"
    assert (tree.codec, tree.guessed) == (used, guessed)
    assert HL7.encode(tree) == body


def test_a_character_whose_second_byte_is_a_delimiter_is_not_split() -> None:
    risky = "".join(
        text
        for first in range(0x81, 0xFE)
        for second in b"|^~\\"
        if len(text := bytes([first, second]).decode("gb18030", "ignore")) == 1
    )
    assert len(risky) > 300
    body = f"MSH|^~\\&|{risky}|A|B|C|1||ADT^A01|7|P|2.5||||||GB18030\rPID|1||{risky}^x".encode("gb18030")
    tree = HL7.decode(body)
    assert [one(tree, path) for path in ("MSH-3", "MSH-10", "PID-3", "PID-3.2")] == [risky, "7", risky, "x"]
    assert not tree.guessed


def test_the_channel_says_what_the_header_does_not() -> None:
    body = "MSH|^~\\&|é\r".encode("latin-1")
    assert one(HL7.decode(body, "8859/1"), "MSH-3") == "é"
    assert one(HL7.decode("MSH|^~\\&|中文\r".encode("big5"), "BIG-5"), "MSH-3") == "中文"


def test_another_charset_is_written_with_a_header_that_tells_it() -> None:
    made = HL7.encode(HL7.decode(ADT.format("UNICODE UTF-8").encode()), "GB18030")
    again = HL7.decode(made)
    assert one(again, "MSH-18") == "GB 18030-2000"
    assert one(again, "PID-5") == "欧阳"
    assert made.decode("gb18030").replace("GB 18030-2000", "UNICODE UTF-8") == ADT.format("UNICODE UTF-8")


@pytest.mark.parametrize("charset", ["8859/1", "Klingon"])
def test_what_a_charset_cannot_write_is_refused(charset: str) -> None:
    with pytest.raises(BadMessage, match="JL-M007"):
        HL7.encode(HL7.decode(ADT.format("UNICODE UTF-8").encode()), charset)


@pytest.mark.parametrize(
    ("name", "codec", "told"),
    [
        ("8859/15", "iso8859-15", "8859/15"),
        ("iso-8859-1", "iso8859-1", "8859/1"),
        ("gb2312", "gb18030", "GB 18030-2000"),
    ],
)
def test_charsets_are_known_by_every_spelling(name: str, codec: str, told: str) -> None:
    assert charsets.codec(name) == codec
    assert charsets.hl7_name(name) == told


def test_bytes_that_fit_no_charset_are_kept() -> None:
    body = b"MSH|^~\\&|\xff\xfe\x81|A\r"
    tree = HL7.decode(body)
    assert tree.guessed
    assert HL7.encode(tree) == body
