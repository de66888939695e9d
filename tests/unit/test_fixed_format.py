"""Fixed width: cut by bytes and by characters, kinds of record, what is refused and where."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from config import registry
from config.errors import BadMessage
from schemas.base import BadPath
from schemas.fixed import Fixed, FixedText

AMOUNT = {"width": 8, "align": "right", "pad": "0"}
PEOPLE: dict[str, Any] = {"columns": {"id": 4, "name": 6, "amount": AMOUNT}}
KINDS: dict[str, Any] = {"records": {"H": {"date": 8}, "D": {"id": 4, "name": 6}, "DX": {"note": 3}}}


def made(**options: Any) -> Fixed:
    return Fixed(FixedText.model_validate(options))


def refusal(form: Fixed, body: bytes) -> tuple[str, str]:
    with pytest.raises(BadMessage) as caught:
        form.decode(body)
    return caught.value.code, caught.value.path


def test_a_chinese_record_is_cut_by_the_bytes_of_its_charset() -> None:
    form = made(charset="GB18030", **PEOPLE)
    body = "P1  张三  00001250\r\nP2  王    00000000\r\n".encode("gb18030")
    tree = form.decode(body)
    assert tree["rows"] == [
        {"id": "P1", "name": "张三", "amount": "1250"},
        {"id": "P2", "name": "王", "amount": "0"},
    ]
    assert form.encode(tree) == body
    assert refusal(form, "P1  张三李四00001250\r\n".encode("gb18030")) == ("JL-M063", "row 1")


def test_a_character_that_a_column_cuts_in_two_is_refused() -> None:
    form = made(charset="GB18030", columns={"a": 3, "b": 3})
    assert refusal(form, "张三李".encode("gb18030")) == ("JL-M063", "row 1, a (1 to 3)")


def test_widths_may_count_characters() -> None:
    form = made(by="characters", charset="GB18030", columns={"name": 3, "ward": {"width": 2, "at": 6}})
    body = "张三   内科\r\n".encode("gb18030")
    assert form.decode(body)["rows"] == [{"name": "张三", "ward": "内科"}]
    assert form.encode(form.decode(body)) == body


def test_kinds_of_record_are_told_by_what_they_begin_with() -> None:
    form = made(line_end="lf", **KINDS)
    tree = form.decode(b"H20260105\nDP1  Li    \nDXabc\n")
    assert form.sniff(tree) == "H"
    assert [row["record"] for row in tree["rows"]] == ["H", "D", "DX"]
    assert form.path(".rows[?record=='D'].name | [0]").one(tree) == "Li"
    assert form.encode(tree) == b"H20260105\nDP1  Li    \nDXabc\n"
    assert refusal(form, b"H20260105\nZ\n") == ("JL-M063", "row 2")


def test_records_may_follow_without_a_line_end() -> None:
    form = made(line_end="none", **KINDS)
    tree = form.decode(b"H20260105DP1  Li    DP2  Wu\r\n")
    assert [row.get("id") for row in tree["rows"]] == [None, "P1", "P2"]
    assert form.encode(tree) == b"H20260105DP1  Li    DP2  Wu    "
    assert form.beginning(b"H20260105DP1  Li    DP2 ") == b"H20260105DP1  Li    "


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b"P1  Li    0000", "row 1, amount (11 to 18)"),
        (b"P1  Li    00001250x", "row 1"),
        (b"P1\nP2  Li    00001250 y", "row 2"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_with_its_place(body: bytes, place: str) -> None:
    assert refusal(made(**PEOPLE), body) == ("JL-M063", place)


def test_a_row_may_end_before_its_last_columns() -> None:
    row = made(message="row", **PEOPLE).decode(b"P1  L\n")
    assert row == {"id": "P1", "name": "L", "amount": ""}


def test_nothing_is_ever_cut_off() -> None:
    form = made(charset="GB18030", **PEOPLE)
    cases = [
        ({"name": "张三李四"}, "JL-M067", "$.rows[0].name"),
        ({"name": "a\nb"}, "JL-M065", "$.rows[0].name"),
        ({"nmae": "a"}, "JL-M065", "$.rows[0].nmae"),
        ({"name": {"a": 1}}, "JL-M065", "$.rows[0].name"),
    ]
    for row, code, at in cases:
        with pytest.raises(BadMessage) as caught:
            form.encode(form.build({"rows": [row]}))
        assert (caught.value.code, caught.value.path) == (code, at)
    with pytest.raises(BadMessage, match=r"JL-M064: \$.rows\[0\].name"):
        form.encode({"rows": [{"name": "张"}]}, "8859/1")
    with pytest.raises(BadMessage, match=r"JL-M065: \$.rows\[0\].record"):
        made(**KINDS).encode({"rows": [{"id": "P1"}]})


def test_without_columns_it_knows_paths_and_nothing_else() -> None:
    bare = registry.formats.get("fixed")
    assert bare.path(".rows[0].any").one({"rows": [{"any": "x"}]}) == "x"
    for use in (lambda: bare.decode(b"x"), lambda: bare.encode({"rows": []})):
        with pytest.raises(BadMessage, match="JL-M068"):
            use()


def test_a_path_names_a_column_that_there_is() -> None:
    with pytest.raises(BadPath) as caught:
        made(**PEOPLE).path(".rows[].nam")
    assert caught.value.nearest == ".rows[].name"
    assert made(**KINDS).path(".record").one({"record": "D"}) == "D"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {**PEOPLE, **KINDS},
        {"columns": {"a": 3, "b": {"width": 2, "at": 3}}},
        {"columns": {"a": 0}},
        {"columns": {"a": {"width": 3, "pad": "张"}}},
        {"records": {"": {"a": 1}}},
        {"records": {"D": {}}},
        {"records": {"D": {"record": 1}}},
        {"records": {"D": {"a": {"width": 1, "at": 1}}}},
        {"charset": "UTF-16", **PEOPLE},
        {"charset": "Klingon", **PEOPLE},
    ],
)
def test_a_layout_that_cannot_be_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FixedText.model_validate(options)


CELL = st.text("aZ0€é张镕𠮷-", max_size=3)  # one, two and four bytes of GB18030


@settings(max_examples=40)
@given(st.lists(st.fixed_dictionaries({"a": CELL.filter(bool), "b": CELL}), max_size=4))
def test_what_is_written_is_read_again(rows: list[dict[str, str]]) -> None:
    form = made(charset="GB18030", columns={"a": 12, "b": {"width": 14, "align": "right"}})
    assert form.decode(form.encode({"rows": rows})) == {"rows": rows}


@settings(max_examples=40)
@given(st.binary(max_size=80) | st.text("HDX张 01\r\n", max_size=40).map(lambda text: text.encode("gb18030")))
def test_any_bytes_give_rows_or_a_refusal(body: bytes) -> None:
    by_characters = made(by="characters", **PEOPLE)
    for form in (
        made(charset="GB18030", **PEOPLE),
        made(**KINDS),
        made(line_end="none", **KINDS),
        by_characters,
    ):
        with suppress(BadMessage):
            assert isinstance(form.decode(body)["rows"], list)
