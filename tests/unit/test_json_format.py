"""JSON: exact numbers, no key twice, limits, JMESPath."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import registry
from config.errors import BadMessage
from schemas.base import BadPath
from schemas.hl7v2 import Hl7v2
from schemas.json import Json

JSON = Json()
BILL: dict[str, Any] = {
    "bills": [
        {"amount": Decimal("10.10"), "paid": False, "n": 0, "who": ""},
        {"amount": None, "tags": ["a", "b"]},
    ],
    "empty": {},
    "名": "张",
}


def test_the_registry_gives_the_format_ready_to_use() -> None:
    assert registry.formats.get("json").name == "json"


def test_numbers_keep_every_digit_both_ways() -> None:
    body = b'{"amount":10.10,"count":12345678901234567890,"small":1E-7,"no":-0.0}'
    tree = JSON.decode(body)
    assert tree["amount"] == Decimal("10.10")
    assert {type(value) for value in tree.values()} == {int, Decimal}
    assert JSON.encode(tree) == body


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "JL-M020"),
        (b"{", "JL-M020"),
        (b"[1]x", "JL-M020"),
        (b"[NaN]", "JL-M020"),
        (b"-Infinity", "JL-M020"),
        (b"'a'", "JL-M020"),
        (b'"\x01"', "JL-M020"),
        (b'"\xff"', "JL-M020"),
        (b"9" * 5000, "JL-M020"),
        (b"1e" + b"9" * 30, "JL-M020"),
        (b'{"a":{"b":1,"c":2,"b":3}}', "JL-M021"),
        (b"[" * 101 + b"]" * 101, "JL-M022"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "JL-M022"),
        (b'"\\ud800"', "JL-M023"),
    ],
)
def test_what_is_no_plain_json_is_refused_with_a_code(body: bytes, code: str) -> None:
    with pytest.raises(BadMessage) as caught:
        JSON.decode(body)
    assert caught.value.code == code


def test_many_lists_beside_one_another_are_not_deep() -> None:
    assert len(JSON.decode(b"[" + b",".join([b"[{}]"] * 500) + b"]")) == 500


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_other_letters_than_utf_8_are_read(codec: str) -> None:
    assert JSON.decode('{"名":"张"}'.encode(codec), "GB18030") == {"名": "张"}


def test_a_receiver_may_have_its_own_charset() -> None:
    assert JSON.encode({"名": "张"}, "GBK") == '{"名":"张"}'.encode("gbk")
    with pytest.raises(BadMessage, match="JL-M023"):
        JSON.encode({"名": "张"}, "8859/1")


def test_a_node_of_an_hl7_message_is_written_as_text() -> None:
    (piece,) = Hl7v2().path("PID-3").many(Hl7v2().decode(b"MSH|^~\\&|A\rPID|||P1^^^HIS\r"))
    assert JSON.encode([piece]) == b'["P1"]'


@pytest.mark.parametrize("value", [1j, object(), {"a": "\ud800"}])
def test_what_is_no_json_value_cannot_be_written(value: Any) -> None:
    with pytest.raises(BadMessage, match="JL-M023"):
        JSON.encode(value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (".bills[0].amount", Decimal("10.10")),
        (".bills[-1].tags", ["a", "b"]),
        (".bills[1].tags[1]", "b"),
        (".bills[0].paid", False),
        (".bills[0].n", 0),
        (".bills[0].who", None),
        (".bills[1].amount", None),
        (".bills[9].amount", None),
        (".bills.amount", None),
        (".empty", None),
        (".bills[?amount].amount | [0]", Decimal("10.10")),
        (".length(bills)", 2),
        (".length(nothing)", None),
        ('."名"', "张"),
        ("", BILL),
    ],
)
def test_a_path_gives_a_value_or_none(path: str, value: Any) -> None:
    assert JSON.path(path).one(BILL) == value


@pytest.mark.parametrize(
    ("path", "values"),
    [
        (".bills[].amount", [Decimal("10.10")]),
        (".bills", BILL["bills"]),
        (".bills[0].amount", [Decimal("10.10")]),
        (".nothing", []),
        (".bills[0].who", []),
    ],
)
def test_a_path_gives_every_node_that_matches(path: str, values: list[Any]) -> None:
    assert JSON.path(path).many(BILL) == values


STEPS = st.lists(st.sampled_from([".a", ".b", "[0]", "[1]", "[-1]", ".c_1"]), min_size=1, max_size=4)
TREES = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c_1"]), inner),
)


@given(STEPS, TREES)
def test_the_quick_way_finds_what_jmespath_finds(steps: list[str], tree: Any) -> None:
    text = "." + "".join(steps).removeprefix(".")
    found = jmespath.search(text.removeprefix("."), tree)
    assert JSON.path(text).one(tree) == (None if found in ("", [], {}) else found)


@pytest.mark.parametrize(
    ("wrong", "nearest"), [("bills", ".bills"), ("/bills/a", ".bills.a"), (".a[", ""), (".a b", "")]
)
def test_a_wrong_path_is_refused(wrong: str, nearest: str) -> None:
    with pytest.raises(BadPath) as caught:
        JSON.path(wrong)
    assert caught.value.nearest == nearest


def test_a_shape_laid_over_a_tree_changes_what_it_names_and_leaves_the_tree() -> None:
    start = {"a": 1, "b": {"c": 1, "d": [1, 2]}}
    assert JSON.build({"b": {"d": [3], "e": 4}, "a": None}, start) == {
        "a": 1,
        "b": {"c": 1, "d": [3], "e": 4},
    }
    assert start == {"a": 1, "b": {"c": 1, "d": [1, 2]}}
    assert JSON.build([1]) == [1]


SCRAPS = st.lists(st.sampled_from(['{"a":', "[", "]", "}", ",", '"', "1.5", "null", "\\u", "d800", ":"])).map(
    "".join
)


@given(st.binary(max_size=60) | SCRAPS.map(str.encode))
def test_any_bytes_give_a_tree_or_a_refusal(body: bytes) -> None:
    try:
        tree = JSON.decode(body)
    except BadMessage:
        return
    assert JSON.decode(JSON.encode(tree)) == tree


@given(TREES | st.decimals(allow_nan=False, allow_infinity=False).map(lambda number: [number]))
def test_what_the_format_wrote_itself_is_read_the_quick_way_and_alike(tree: Any) -> None:
    body = JSON.encode(tree)
    assert repr(JSON.reread(body)) == repr(JSON.decode(body))


@given(TREES)
def test_what_is_written_is_read_again(tree: Any) -> None:
    body = JSON.encode(tree)
    assert JSON.decode(body) == tree
    assert json.loads(body) == tree


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (".名", "张"),
        (".单[].金额", [1, 2]),
        (".单[?类=='药'].金额 | [0]", 1),
        ('."a \\"名\\" b"', "x"),
        (".单[?类=='\\'药'].金额", []),
    ],
)
def test_names_in_chinese_need_no_quotes(path: str, wanted: Any) -> None:
    tree = {"名": "张", "单": [{"类": "药", "金额": 1}, {"类": "检", "金额": 2}], 'a "名" b': "x"}
    found = JSON.path(path)
    assert (found.many(tree) if isinstance(wanted, list) else found.one(tree)) == wanted
