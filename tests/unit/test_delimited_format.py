"""Delimited text: what is read, what is refused and where, and that what is built is read again."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config import registry
from config.errors import BadMessage
from schemas.base import BadPath
from schemas.delimited import Delimited, DelimitedText

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
PLAIN = registry.formats.get("delimited")
FILE = 'id,name\r\nP1,张三\r\n\r\nP2,"Li, ""Si""\nof two lines"\r\n'


def made(**options: Any) -> Delimited:
    return Delimited(DelimitedText(**options))


def refusal(form: Delimited, body: bytes) -> tuple[str, str]:
    with pytest.raises(BadMessage) as caught:
        form.decode(body)
    return caught.value.code, caught.value.path


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_a_file_with_a_header_is_read_in_any_letters(codec: str) -> None:
    tree = PLAIN.decode(FILE.encode(codec))
    assert tree == {"rows": [{"id": "P1", "name": "张三"}, {"id": "P2", "name": 'Li, "Si"\nof two lines'}]}
    assert PLAIN.path(".rows[1].id").one(tree) == "P2"
    assert PLAIN.path(".name").one(PLAIN.path(".rows").many(tree)[0]) == "张三"


def test_columns_are_named_by_the_channel_where_there_is_no_header() -> None:
    form = made(separator="|", quote="", columns=["id", "name", "ward"], short_rows=True)
    assert form.decode(b'P1|"x"\nP2|y|3\n')["rows"] == [
        {"id": "P1", "name": '"x"'},
        {"id": "P2", "name": "y", "ward": "3"},
    ]


def test_a_header_may_come_in_another_order_and_bring_more_than_was_asked_for() -> None:
    form = made(columns=["id", "name"], header=True)
    assert form.decode(b"name,new,id\nLi,1,P1\n")["rows"] == [{"name": "Li", "new": "1", "id": "P1"}]
    assert refusal(form, b"id,new\nP1,1\n") == ("JL-M062", "line 1")


def test_without_names_a_row_is_a_list() -> None:
    tree = made(header=False, separator="\t").decode(b"P1\tLi\n")
    assert PLAIN.path(".rows[0][1]").one(tree) == "Li"
    assert made(header=False).encode(tree) == b"P1,Li\r\n"


def test_where_a_message_is_a_row_the_tree_is_the_row() -> None:
    form = made(message="row", columns=["id", "name"])
    assert form.decode(b"P1,Li\r\n") == {"id": "P1", "name": "Li"}
    assert form.encode(form.build({"id": "P1", "name": "Li"})) == b"P1,Li\r\n"
    assert refusal(form, b"P1,Li\nP2,Wu\n") == ("JL-M066", "row 2")


@pytest.mark.parametrize(
    ("body", "code", "place"),
    [
        (b"", "JL-M062", "line 1"),
        (b"id,id\n1,2\n", "JL-M062", "line 1"),
        (b"id,\n1,2\n", "JL-M062", "line 1"),
        (b"id,name\nP1,Li\nP2\n", "JL-M063", "line 3"),
        (b"id,name\nP1,Li,x\n", "JL-M063", "line 2"),
        (b'id,name\nP1,"Li\n', "JL-M060", "line 2"),
        (b'id,name\nP1,"Li"x\n', "JL-M060", "line 2"),
        (b"id,na\0me\n", "JL-M060", ""),
        (b"id\n" + b"x" * 200_000, "JL-M061", "line 2"),
        (b"," * 1_001, "JL-M061", "line 1"),
    ],
)
def test_bad_text_is_refused_with_its_line(body: bytes, code: str, place: str) -> None:
    assert refusal(PLAIN, body) == (code, place)


def test_what_a_map_makes_is_written_whole_or_not_at_all() -> None:
    form = made(columns=["id", "amount", "paid"], header=True, charset="GB18030", line_end="lf")
    tree = form.build([{"amount": Decimal("1E+2"), "id": "张,"}, {"id": None, "paid": True}])
    assert form.encode(tree) == 'id,amount,paid\n"张,",100,\n,,true\n'.encode("gb18030")
    for wrong, at in (({"idd": 1}, "$.rows[0].idd"), ({"id": [1]}, "$.rows[0].id"), ("x", "$.rows[0]")):
        with pytest.raises(BadMessage) as caught:
            form.encode(form.build([wrong]))
        assert (caught.value.code, caught.value.path) == ("JL-M065", at)
    with pytest.raises(BadMessage, match="JL-M064: line 2"):
        form.encode(form.build([{"id": "张"}]), "8859/1")
    with pytest.raises(BadMessage, match="JL-M065"):
        made(quote="", columns=["id"]).encode({"rows": [{"id": "a,b"}]})


def test_a_path_names_a_column_that_there_is() -> None:
    form = made(columns=["id", "name", "病区"])
    assert form.path(".rows[].name").many({"rows": [{"name": "a"}, {"name": "b"}]}) == ["a", "b"]
    assert form.path(".rows[].病区").many({"rows": [{"病区": "3"}]}) == ["3"]
    assert form.path(".rows[?id=='P1'].name | [0]").one({"rows": [{"id": "P1", "name": "a"}]}) == "a"
    with pytest.raises(BadPath) as caught:
        form.path(".rows[0].nmae")
    assert caught.value.nearest == ".rows[0].name"


def test_of_a_large_file_the_whole_rows_of_its_beginning_are_read() -> None:
    head = PLAIN.beginning(b'id,name\nP1,"a\nb"\nP2,"c\nd')
    assert PLAIN.decode(head) == {"rows": [{"id": "P1", "name": "a\nb"}]}


TEXT = st.text("aé张𠮷 \u3000\t,;|\"'\r\n0", max_size=8)


@settings(max_examples=40)
@given(st.lists(st.fixed_dictionaries({"a": TEXT, "b": TEXT}), max_size=4))
def test_what_is_written_is_read_again(rows: list[dict[str, str]]) -> None:
    form = made(columns=["a", "b"], separator="|")
    assert form.decode(b"\xef\xbb\xbf" + form.encode({"rows": rows})) == {"rows": rows}


@settings(max_examples=40)
@given(st.binary(max_size=200) | st.text('a,"\r\n|é', max_size=40).map(str.encode))
def test_any_bytes_give_rows_or_a_refusal(body: bytes) -> None:
    for form in (PLAIN, made(header=False, separator="|"), made(columns=["a"], message="row")):
        with suppress(BadMessage):
            assert isinstance(form.decode(body, "GB18030"), dict)


@pytest.mark.skipif(not CORPUS.exists(), reason="the shared corpus is not beside the repository")
def test_tables_of_others_are_read_and_written_back() -> None:
    """One of them is empty, and says so."""
    files = sorted((CORPUS / "csv").rglob("*.csv"))
    counts = {file.name: len(_read_again(file.read_bytes())) for file in files if file.stat().st_size}
    assert len(counts) >= 10
    assert counts["input_simplereport.csv"] == 50
    assert counts["input_quoted-strings-with-embedded-commas.csv"] == 4


def _read_again(body: bytes) -> list[Any]:
    tree = PLAIN.decode(body)
    if tree["rows"]:
        assert PLAIN.decode(PLAIN.encode(tree)) == tree
    return list(tree["rows"])
