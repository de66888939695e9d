"""HL7 v2: what is read, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config import registry
from config.errors import BadMessage
from schemas.base import BadPath
from schemas.hl7.escapes import Marks
from schemas.hl7v2 import NULL, Hl7Message, Hl7v2, escape, read_ack, split_batch, unescape

HL7 = Hl7v2()
HEAD = "MSH|^~\\&|HIS|A|LIS|A|20260105080000||ADT^A01^ADT_A01|M1|P|2.5|||||CHN|{}\r"
ADT = HEAD + (
    'PID|1||P1^^^HIS&1.2&ISO^MR~P2^^^NHSA||欧阳^三~Ouyang^San||19800101|M|||""\r'
    "OBR|1|A\rOBX|1|ST|a||x1~x2\rNTE|1||first\rOBX|2|ST|b||y\\T\\1\rOBR|2|B\rOBX|1|ST|c||z\rZPI|1|own\r"
)


def message(charset: str = "UNICODE UTF-8", codec: str = "utf-8") -> Hl7Message:
    return HL7.decode(ADT.format(charset).encode(codec))


def one(tree: object, path: str) -> str | None:
    value: str | None = HL7.path(path).one(tree)
    return value


def test_the_registry_gives_the_format_ready_to_use() -> None:
    assert registry.formats.get("hl7v2").name == "hl7v2"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("PID-3.1", "P1"),
        ("PID-3", "P1"),
        ("PID-3[2].1", "P2"),
        ("PID-3[3].1", None),
        ("PID-3.4", "HIS"),
        ("PID-3.4.2", "1.2"),
        ("PID-3.4.9", None),
        ("PID-7.1", "19800101"),
        ("PID-7.2", None),
        ("PID-5.2", "三"),
        ("PID-11", NULL),
        ("PID-99", None),
        ("MSH-1", "|"),
        ("MSH-2", "^~\\&"),
        ("MSH-3", "HIS"),
        ("MSH-9.2", "A01"),
        ("OBX[2]-5", "y&1"),
        ("OBX[]-5", "x1"),
        ("OBX[9]-5", None),
        ("ZPI-2", "own"),
        ("NK1-2", None),
        ("NTE", "NTE|1||first"),
        ("NK1", None),
    ],
)
def test_a_path_gives_the_first_value_or_none(path: str, value: str | None) -> None:
    assert one(message(), path) == value


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("PID-3", ["P1", "P2"]),
        ("PID-3[].1", ["P1", "P2"]),
        ("PID-3[].4.2", ["1.2"]),
        ("OBX-5", ["x1", "x2"]),
        ("OBX[]-5", ["x1", "x2", "y&1", "z"]),
        ("OBX[2]-5", ["y&1"]),
        ("PID-6", []),
    ],
)
def test_a_path_gives_every_node_that_matches(path: str, values: list[str]) -> None:
    assert HL7.path(path).many(message()) == values


@pytest.mark.parametrize("head", ["PID", ""])
@pytest.mark.parametrize(
    ("part", "value", "values"),
    [
        ("-3", "P2", ["P2", "P3"]),  # without a number: the first that is not empty
        ("-3.4", "NHSA", ["NHSA"]),
        ("-3[1]", None, []),
        ("-3[1].1", None, []),
        ("-3[1].4", None, []),
        ("-3[1].4.1", None, []),
        ("-3[2]", "P2", ["P2"]),
        ("-3[2].4", "NHSA", ["NHSA"]),
        ("-3[2].4.2", "1.2", ["1.2"]),
        ("-3[3].1", "P3", ["P3"]),
        ("-4[1].1", "Q", ["Q"]),
        ("-4[2]", None, []),
        ("-9[1]", None, []),
    ],
)
def test_a_numbered_repetition_is_exactly_that_one(
    head: str, part: str, value: str | None, values: list[str]
) -> None:
    tree = HL7.decode(b"MSH|^~\\&|HIS\rPID|1||~P2^^^NHSA&1.2~P3|Q\r")
    node = tree if head else HL7.path("PID").many(tree)[0]
    path = HL7.path(head + part)
    assert (path.one(node), path.many(node)) == (value, values)


def test_the_items_of_each_take_relative_paths() -> None:
    tree = message()
    ids = HL7.path("PID-3").many(tree)
    assert [(one(item, ".1"), one(item, ".4"), one(item, ".4.2"), one(item, "")) for item in ids] == [
        ("P1", "HIS", "1.2", "P1"),
        ("P2", "NHSA", None, "P2"),
    ]
    (authority,) = HL7.path("PID-3[1].4").many(tree)
    assert one(authority, ".3") == "ISO"
    assert [one(item, "-5[2].1") for item in HL7.path("OBX").many(tree)] == ["x2", None, None]
    assert HL7.path("-5").relative
    assert not HL7.path("PID-5").relative


def test_a_group_holds_the_segments_up_to_the_next_of_its_own_name() -> None:
    results = HL7.path(">OBX-5")
    assert [HL7.path(">OBX").many(obr) and results.many(obr) for obr in HL7.path("OBR").many(message())] == [
        ["x1", "x2"],
        ["z"],
    ]
    obx = [item for obr in HL7.path("OBR").many(message()) for item in HL7.path(">OBX").many(obr)]
    assert [one(item, ">NTE-3") for item in obx] == ["first", None, None]


def test_the_nearest_before_is_of_the_same_group() -> None:
    text = HEAD.format("") + "ORC|RE|1\rORC|RE|2\rOBR|1\rOBX|1\rOBR|2\rORC|RE|3\rOBR|3\r"
    orders = [one(obr, "<ORC-2") for obr in HL7.path("OBR").many(HL7.decode(text.encode()))]
    assert orders == ["2", None, "3"]
    assert HL7.path("<ORC-2").relative


def test_a_field_of_a_segment_beside_is_read_as_one_of_the_segment_at_hand() -> None:
    tree = HL7.decode((HEAD.format("") + "ORC|RE|~1^^X~2^HIS\rOBR|1\rNTE|1||~a~b^c\r").encode())
    (obr,) = HL7.path("OBR").many(tree)
    assert [one(obr, path) for path in ("<ORC-2", "<ORC-2.2", "<ORC-2[3].2")] == ["1", None, "HIS"]
    assert [one(obr, path) for path in (">NTE-3", ">NTE-3.2", ">NTE-3[3].2")] == ["a", None, "c"]


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [("PID3.1", "PID-3.1"), ("pid-3", "PID-3"), ("PID.3.1", "PID-3.1"), ("PID-3-1", "PID-3.1"), ("P", "")],
)
def test_a_wrong_path_is_answered_with_the_right_one(wrong: str, nearest: str) -> None:
    with pytest.raises(BadPath) as caught:
        HL7.path(wrong)
    assert caught.value.nearest == nearest


@pytest.mark.parametrize(
    "wrong", ["PID-0", "OBX[0]-5", "PID-3.0", "PID-3.1.2.3", "PID.3", "PID-3.1[2]", "-", "."]
)
def test_what_the_path_language_does_not_have_is_refused(wrong: str) -> None:
    with pytest.raises(BadPath):
        HL7.path(wrong)


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\n\r\n", "\n\r"])
def test_every_line_end_is_read_alike_and_written_back(end: str) -> None:
    body = ADT.format("UNICODE UTF-8").replace("\r", end).encode()
    tree = HL7.decode(body)
    assert [one(tree, path) for path in ("PID-3.1", "OBX[3]-5", "ZPI-2")] == ["P1", "z", "own"]
    assert HL7.encode(tree) == body


@pytest.mark.parametrize("lead", ["", "\ufeff", "\r\n ", "\x0b"])
def test_what_stands_before_the_header_does_no_harm(lead: str) -> None:
    body = (lead + ADT.format("UNICODE UTF-8")).encode()
    tree = HL7.decode(body)
    assert one(tree, "MSH-10") == "M1"
    assert HL7.encode(tree) == body
    assert HL7.encode(HL7.build({"MSH": {10: "M1"}}, tree)) == body


def test_a_line_broken_inside_a_field_belongs_to_the_segment_before_it() -> None:
    tree = HL7.decode(b"MSH|^~\\&|A\rOBX|1|TX|r||first line\nsecond line, longer||F\rNTE|1\r")
    assert one(tree, "OBX-5") == "first line\nsecond line, longer"
    assert one(tree, "OBX-7") == "F"
    assert one(tree, "NTE-1") == "1"


def test_a_segment_in_small_letters_or_without_fields_is_found() -> None:
    tree = HL7.decode(b"MSH|^~\\&|A\rpid|1||P1\rPV1\rNTE|1\r")
    assert [one(tree, path) for path in ("PID-3", "PV1", "PV1-2", "NTE-1")] == ["P1", "PV1|", None, "1"]


@pytest.mark.parametrize(
    ("given_marks", "path", "value"),
    [
        ("MSH#!@%*#A#B!C*D%S%#E@F", "MSH-4.2.2", "D!"),
        ("MSH#!@%*#A#B!C*D%S%#E@F", "MSH-5[2]", "F"),
        ("MSH|^~\\&#|A|t\\P\\x^y", "MSH-4", "t#x"),
        ("MSH|^|A|b\\T\\~c&d^e", "MSH-4", "b\\T\\~c&d"),
        ("MSH|^~\\\\&|A|b&c^d", "MSH-4.1.2", "c"),
        ("MSH|^~|A|b^c~d", "MSH-4[2]", "d"),
    ],
)
def test_the_header_says_what_the_delimiters_are(given_marks: str, path: str, value: str) -> None:
    assert one(HL7.decode(given_marks.encode()), path) == value


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "JL-M001"),
        (b"\r\n \x0b", "JL-M001"),
        (b"\xef\xbb\xbf", "JL-M001"),
        (b"hello", "JL-M002"),
        (b"PID|1\r", "JL-M002"),
        (b"MSH", "JL-M003"),
        (b"MSH|", "JL-M003"),
        (b"MSH|^~\\&", "JL-M003"),
        (b"MSH|^~\\&\rPID|1", "JL-M003"),
        (b"MSH||A|B", "JL-M003"),
        (b"MSH|0000|A", "JL-M003"),
        (b"MSH|^^\\&|A", "JL-M003"),
        (b"MSHA^~\\&A", "JL-M003"),
        (b"FHS|^~\\&|A\rMSH|^~\\&|A\r", "JL-M004"),
        (b"MSH|^~\\&|A\rPID|1\rMSH|^~\\&|B\r", "JL-M004"),
        (b"MSH|^~\\&|A\rPIDX|1\r", "JL-M006"),
        (b"MSH|^~\\&|A\r" + b"NTE|1\r" * 100_001, "JL-M005"),
    ],
)
def test_what_is_no_message_is_refused_with_a_code(body: bytes, code: str) -> None:
    with pytest.raises(BadMessage) as caught:
        HL7.decode(body)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"a\F\b\S\c\T\d\R\e\E\f", "a|b^c&d~e\\f"),
        (r"one\.br\two\.sp2\x\.sk3\y", "one\ntwo\n\nx   y"),
        (r"\H\bold\N\ \.in+4\x", "bold x"),
        (r"\X0D0A\\X41\ ", "\r\nA "),
        (r"\Z01\ \C2842\ \M2442\ \Q\ C:\dir \X4\ ", r"\Z01\ \C2842\ \M2442\ \Q\ C:\dir \X4\ "),
        ("ends with \\", "ends with \\"),
    ],
)
def test_escapes_are_read_and_what_has_no_plain_meaning_stays(written: str, meant: str) -> None:
    assert unescape(written) == meant


def test_hexadecimal_data_are_letters_of_the_messages_charset() -> None:
    tree = HL7.decode("MSH|^~\\&|\\XD6D0\\|A|B|C|1||ADT^A01|7|P|2.5||||||GB18030\r".encode("gb18030"))
    assert one(tree, "MSH-3") == "中"


def test_a_long_run_of_escape_characters_takes_no_long_time() -> None:
    assert len(unescape("\\X41" * 200_000)) == 400_000
    assert len(unescape("\\" * 500_000)) == 500_000
    assert unescape("\\X" + "41" * 500_000).startswith("\\X41")


MARKS = st.sampled_from([Marks(), Marks("#", "!", "@", "%", "*"), Marks("|", "^", "~", "\\", "&", "#")])
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=40)


@given(TEXT, MARKS)
def test_what_is_escaped_is_read_as_it_was(text: str, marks: Marks) -> None:
    written = escape(text, marks)
    assert unescape(written, marks) == text
    assert not set(written) & {
        marks.field,
        marks.component,
        marks.repetition,
        marks.sub,
        "\r",
        "\n",
        "\x0b",
        "\x1c",
    }


SCRAPS = st.lists(
    st.sampled_from(
        [
            b"MSH|^~\\&|",
            b"MSH",
            b"PID|",
            b"\r",
            b"\n",
            b"|",
            b"^",
            b"~",
            b"\\",
            b"&",
            b"\x0b",
            b"\xe4\xb8\xad",
        ]
    )
    | st.binary(max_size=6),
    max_size=30,
).map(b"".join)
PATHS = [HL7.path(text) for text in ("MSH-9", "PID-3[2].4.2", "PID", "OBX[]-5", "PID-3", "MSH-2")]


@settings(max_examples=400)
@given(st.binary(max_size=200) | SCRAPS | SCRAPS.map(b"MSH|^~\\&|A|B|".__add__))
def test_any_bytes_give_a_message_or_a_refusal(body: bytes) -> None:
    read_ack(body)
    for part in split_batch(body):
        try:
            tree = HL7.decode(part)
        except BadMessage:
            continue
        assert HL7.encode(tree) == part
        HL7.sniff(tree)
        for path in PATHS:
            found = path.many(tree)
            assert (path.one(tree) is None) == (not found or not str(found[0]))
        HL7.encode(HL7.build({"MSH": {3: "x"}}, tree))
