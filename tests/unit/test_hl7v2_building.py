"""HL7 v2: building, laying over, answering, unwrapping."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import BadMessage
from schemas.hl7v2 import NULL, Ack, Hl7v2, ack, read_ack, split_batch

HL7 = Hl7v2()
HEADER = {3: "HIS", 7: "20260105", 9: {1: "ADT", 2: "A01"}, 10: "M1", 11: "P", 12: "2.5"}
ADT = b"MSH|^~\\&|HIS|H1|LIS|L1|20260105||ADT^A01^ADT_A01|M1|P|2.5\nPID|1||P1^^^HIS~P2^^^X||Li^Si\n"
ADT += b"OBX|1||a\nOBX|2||b"


def text(made: Any, start: bytes = b"") -> str:
    return HL7.encode(HL7.build(made, HL7.decode(start) if start else None)).decode()


def test_a_shape_becomes_a_message_with_escaped_values() -> None:
    shape = {
        "MSH": HEADER,
        "PID": {
            "3": [{1: "P1", 4: {1: "HIS", 2: "1.2"}}, {1: "P2", "4": "X"}, None],
            5: "A&B",
            6: None,
            7: 19800101,
            8: True,
            9: "",
            30: NULL,
        },
        "OBX": [{1: 1, 5: Decimal("1.50")}, {1: 2, 5: ["a", "b^c"]}],
    }
    assert text(shape) == (
        "MSH|^~\\&|HIS||||20260105||ADT^A01|M1|P|2.5\r"
        "PID|||P1^^^HIS&1.2~P2^^^X||A\\T\\B||19800101|Y||" + "|" * 19 + '|""\r'
        "OBX|1||||1.50\rOBX|2||||a~b\\S\\c\r"
    )


def test_a_list_of_shapes_keeps_the_order_that_groups_need() -> None:
    made = text(
        [{"MSH": HEADER}, {"OBR": {1: 1}, "OBX": [{1: 1}, {1: 2}]}, [{"OBR": {1: 2}}, {"OBX": {1: 1}}]]
    )
    assert [line[:5] for line in made.split("\r")[1:-1]] == ["OBR|1", "OBX|1", "OBX|2", "OBR|2", "OBX|1"]


def test_a_new_message_may_have_its_own_delimiters() -> None:
    assert text({"MSH": {1: "#", 2: "!@%*", 3: "a!b#c|d"}}) == "MSH#!@%*#a%S%b%F%c|d\r"


def test_laid_over_a_message_only_what_is_named_changes() -> None:
    made = text({"MSH": {3: "ENG", 9: {2: "A08"}}, "PID": {3: {1: "P9"}, 7: "1980", 5: None}}, ADT)
    expected = ADT.replace(b"|HIS|H1", b"|ENG|H1").replace(b"^A01^", b"^A08^").replace(b"P1^", b"P9^")
    assert made.encode() == expected.replace(b"Li^Si", b"Li^Si||1980")


def test_laid_over_a_message_segments_match_in_order_and_new_ones_follow_their_kind() -> None:
    made = text({"OBX": [None, {3: "A"}, {3: "B"}, {1: 3}], "ZZ1": {1: "x"}}, ADT)
    assert made.split("\n")[2:] == ["OBX|1||A", "OBX|2||B", "OBX|3", "ZZ1|x"]


def test_a_list_replaces_all_repetitions_and_a_scalar_the_field() -> None:
    made = text({"PID": {3: [{1: "N1"}], 5: "whole"}}, ADT)
    assert "PID|1||N1||whole\n" in made


def test_what_a_path_found_goes_in_whole_also_into_other_delimiters() -> None:
    ids = HL7.path("PID-3").many(HL7.decode(ADT))
    assert "PID|||P1^^^HIS~P2^^^X\r" in text({"MSH": HEADER, "PID": {3: ids}})
    assert "PID###P1!!!HIS@P2!!!X\r" in text({"MSH": {1: "#", 2: "!@%*"}, "PID": {3: ids}})


def test_the_message_laid_over_stays_as_it_was() -> None:
    tree = HL7.decode(ADT)
    HL7.build({"PID": {3: "X"}}, tree)
    assert HL7.path("PID-3").one(tree) == "P1"
    assert HL7.encode(tree) == ADT


def test_a_chinese_field_laid_over_a_gb18030_message_is_written_in_gb18030() -> None:
    body = "MSH|^~\\&|甲|||||||1||2.5||||||GB18030\rPID|1||乙\r".encode("gb18030")
    made = HL7.build({"PID": {5: "丙"}}, HL7.decode(body))
    assert HL7.encode(made) == body.replace("乙".encode("gb18030"), "乙||丙".encode("gb18030"))


@pytest.mark.parametrize(
    ("shape", "path"),
    [
        ({"PID": {3: 1}}, "MSH"),
        ({}, "MSH"),
        ("text", ""),
        ({"MSH": HEADER, "pid": {3: 1}}, "pid"),
        ({"MSH": HEADER, "PID": "text"}, "PID"),
        ({"MSH": HEADER, "PID": {"x": 1}}, "PID"),
        ({"MSH": HEADER, "PID": {0: 1}}, "PID"),
        ({"MSH": HEADER, "PID": {10_000_000: 1}}, "PID"),
        ({"MSH": HEADER, "PID": {3: {1: {2: {1: "deep"}}}}}, "PID-3.1.2"),
        ({"MSH": HEADER, "PID": {3: [[1]]}}, "PID-3"),
        ({"MSH": HEADER, "PID": {3: 1.5}}, "PID-3"),
    ],
)
def test_a_shape_that_is_no_message_is_refused_with_its_place(shape: Any, path: str) -> None:
    with pytest.raises(BadMessage) as caught:
        HL7.build(shape)
    assert (caught.value.code, caught.value.path) == ("JL-M008", path)


@pytest.mark.parametrize("value", [["a", "b"], {1: {2: "sub"}}])
def test_what_the_messages_delimiters_cannot_part_is_refused(value: Any) -> None:
    with pytest.raises(BadMessage, match="PID-3"):
        HL7.build({"PID": {3: value}}, HL7.decode(b"MSH|^|A\rPID|1\r"))


def test_a_header_named_twice_is_one_header_also_behind_a_byte_order_mark() -> None:
    made = HL7.build([{"MSH": {3: "X"}}, {"MSH": {4: "Y"}}], HL7.decode(b"\xef\xbb\xbf" + ADT))
    assert HL7.encode(made) == b"\xef\xbb\xbf" + ADT.replace(b"|HIS|H1|", b"|X|Y|")


def test_the_delimiters_of_a_message_cannot_be_changed() -> None:
    with pytest.raises(BadMessage, match="MSH-2"):
        HL7.build({"MSH": {2: "!@%*"}}, HL7.decode(ADT))


VALUE = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=20)


@given(st.dictionaries(st.integers(1, 40), st.dictionaries(st.integers(1, 9), VALUE, min_size=1), min_size=1))
def test_what_is_built_and_written_is_read_again(fields: dict[int, dict[int, str]]) -> None:
    tree = HL7.decode(HL7.encode(HL7.build({"MSH": {**HEADER, 18: "UNICODE UTF-8"}, "ZZ1": fields})))
    for field, components in fields.items():
        for component, value in components.items():
            assert HL7.path(f"ZZ1-{field}.{component}").one(tree) == value


@given(VALUE, st.integers(1, 30), st.integers(1, 5))
def test_what_is_laid_over_is_read_again_and_the_rest_stays(value: str, field: int, component: int) -> None:
    made = HL7.decode(HL7.encode(HL7.build({"PID": {field: {component: value}}}, HL7.decode(ADT))), "utf-8")
    assert HL7.path(f"PID-{field}.{component}").one(made) == value
    assert [HL7.path(path).one(made) for path in ("MSH-10", "OBX[2]-3")] == ["M1", "b"]


def test_the_kind_of_a_message_is_its_type_and_trigger() -> None:
    assert HL7.sniff(HL7.decode(ADT)) == "ADT^A01"
    assert HL7.sniff(HL7.decode(b"MSH|^~\\&|A")) == ""


def test_an_answer_goes_back_to_the_sender_and_names_the_message() -> None:
    answer = ack(HL7.decode(ADT), "AA", time="20260105080001", control_id="A1")
    assert answer == b"MSH|^~\\&|LIS|L1|HIS|H1|20260105080001||ACK^A01^ACK|A1|P|2.5\rMSA|AA|M1\r"
    assert read_ack(answer) == Ack("AA", "M1", "")


def test_a_refusal_says_why_and_from_version_2_5_on_where() -> None:
    told = {"time": "2026", "control_id": "A1", "text": "no | here", "location": "PID-3[2].4"}
    answer = ack(ADT, "AE", error_code="101", **told)
    err = b"ERR||PID^1^3^2^4|101^Required field missing^HL70357|E||||no \\F\\ here\r"
    assert answer.endswith(b"MSA|AE|M1|no \\F\\ here\r" + err)
    assert b"|207^Application error^HL70357|E|JL-M006|||" in ack(ADT, "AR", error_code="JL-M006", **told)
    assert b"ERR" not in ack(ADT.replace(b"|2.5", b"|2.4"), "AE", **told)
    assert read_ack(answer).text == "no | here"


@pytest.mark.parametrize(
    ("body", "control_id"),
    [
        (b"\x00\x02MSH|^~\\&|A|B|C|D|x||ADT^A01|99|P|2.3\rgarbage|", "99"),
        (b"MSH|^~\\&|A|B|C|D|x||ADT^A01|99|P|2.5\rPIDX|1\r", "99"),
        (b"MSH|0000|A|B|C|D|x||ADT^A01|99|P|2.5\r", "99"),
        (b"MSH#0000#A|1#B#C#D#x##ADT^A01#99#P#2.5\r", "99"),
        (b"nothing", ""),
        (b"", ""),
    ],
)
def test_what_can_hardly_be_read_is_answered_too(body: bytes, control_id: str) -> None:
    answer = ack(body, "AR", time="2026", control_id="A1", text="unreadable")
    assert HL7.path("MSH-10").one(HL7.decode(answer)) == "A1"
    assert read_ack(answer) == Ack("AR", control_id, "unreadable")


def test_an_answer_is_written_in_the_messages_charset() -> None:
    body = "MSH|^~\\&|甲|||||||1||2.5||||||GB18030\r".encode("gb18030")
    assert "患者不存在".encode("gb18030") in ack(body, "AE", time="2026", control_id="2", text="患者不存在")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"MSH|^~\\&|LIS\nMSA|aa|7\n", Ack("AA", "7", "")),
        (
            b"MSH|^~\\&|LIS\rMSA|AE|7\rERR|||103^Table value not found\r",
            Ack("AE", "7", "Table value not found"),
        ),
        (b"garbage MSA|AR|7|no\rmore", Ack("AR", "7", "no")),
        (b"MSH|^~\\&|LIS\r", Ack("", "", "")),
        (b"", Ack("", "", "")),
    ],
)
def test_a_receivers_answer_is_read_however_it_looks(body: bytes, expected: Ack) -> None:
    assert read_ack(body) == expected


def test_a_batch_is_unwrapped_into_the_bytes_of_its_messages() -> None:
    first, second = b"MSH|^~\\&|A\rPID|1\r", b"MSH|^~\\&|B\nPID|2\n"
    assert split_batch(b"FHS|^~\\&\rBHS|^~\\&\r" + first + second + b"BTS|2\rFTS|1\r") == [first, second]
    assert split_batch(first + second) == [first, second]
    assert split_batch((first + second).decode().encode("utf-16-le")) == [
        first.decode().encode("utf-16-le"),
        second.decode().encode("utf-16-le"),
    ]


@pytest.mark.parametrize("body", [ADT, b"\xef\xbb\xbf" + ADT, b"", b"nothing", b"\x00\x01\x02"])
def test_what_is_no_batch_comes_back_as_it_is(body: bytes) -> None:
    assert split_batch(body) == [body]


def test_an_empty_batch_holds_nothing() -> None:
    assert split_batch(b"FHS|^~\\&\rBHS|^~\\&\rBTS|0\rFTS|1\r") == []
