"""Form data: both kinds of body, files sent along, what is refused and where."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config import registry
from config.errors import BadMessage
from schemas.form import Form, FormText, media_type

FORM = registry.formats.get("form")
MULTIPART = Form(FormText(multipart=True))
SENT = (
    '--x1\r\nContent-Disposition: form-data; name="patient"\r\n\r\n张三\r\n'
    '--x1\r\nContent-Disposition: form-data; name="report"; filename="a %22b%22.txt"\r\n'
    "Content-Type: text/plain\r\n\r\n--x2\r\nHi\r\n--x1--\r\n"
).encode()


def refusal(body: bytes) -> tuple[str, str]:
    with pytest.raises(BadMessage) as caught:
        FORM.decode(body)
    return caught.value.code, caught.value.path


def test_fields_are_read_and_what_comes_twice_is_a_list() -> None:
    tree = FORM.decode(b"patient=P+1&name=%E5%BC%A0&item=a&item=b&empty=&flag&patient%5Bid%5D=3\r\n")
    assert tree == {
        "patient": "P 1", "name": "张", "item": ["a", "b"], "empty": "", "flag": "", "patient[id]": "3",
    }  # fmt: skip
    assert FORM.path(".item").many(tree) == ["a", "b"]
    assert FORM.path(".patient").many(tree) == ["P 1"]
    assert FORM.path('."patient[id]"').one(tree) == "3"
    assert FORM.path(".empty").one(tree) is None


def test_letters_are_those_that_the_sender_said_or_what_they_are() -> None:
    for body, charset in ((b"a=%D5%C5", ""), (b"a=%D5%C5", "GBK"), ("a=张".encode(), "")):
        assert FORM.decode(body, charset) == {"a": "张"}


def test_a_multipart_body_is_known_by_its_first_line() -> None:
    tree = FORM.decode(SENT)
    report = {"filename": 'a "b".txt', "type": "text/plain", "content": "LS14Mg0KSGk="}
    assert tree == {"patient": "张三", "report": report}
    assert FORM.decode(MULTIPART.encode(tree)) == tree
    assert media_type(SENT) == 'multipart/form-data; boundary="x1"'
    assert media_type(FORM.encode({"a": 1})) == "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("body", "code", "place"),
    [
        (b"a=1&b=%4", "JL-M070", "field 2"),
        (b"a=1&=2", "JL-M070", "field 2"),
        (b"<a>\n</a>", "JL-M070", "field 1"),
        (b"&".join([b"a=1"] * 10_001), "JL-M071", ""),
        (SENT.replace(b"--x1--", b"--x1"), "JL-M070", "part 3"),
        (SENT.replace(b'name="patient"', b""), "JL-M070", "part 1"),
        (b"--x\r\nno headers\r\n--x--", "JL-M070", "part 1"),
        (b"--x\r\n" * 10_010, "JL-M071", ""),
    ],
)
def test_bad_bodies_are_refused_with_their_field(body: bytes, code: str, place: str) -> None:
    assert refusal(body) == (code, place)


@pytest.mark.parametrize(
    ("tree", "place"),
    [
        ([1], ""),
        ({"a": {"b": 1}}, "$.a"),
        ({"a": [["b"]]}, "$.a"),
        ({"a": "\ud800"}, "$.a"),
    ],
)
def test_what_is_no_form_is_not_written(tree: Any, place: str) -> None:
    with pytest.raises(BadMessage) as caught:
        FORM.encode(tree)
    assert (caught.value.code, caught.value.path) == ("JL-M072", place)


def test_a_file_is_base64_and_its_type_is_one_line() -> None:
    for file in ({"content": "%"}, {"content": "", "type": "a\r\nb: c"}):
        with pytest.raises(BadMessage, match="JL-M072"):
            MULTIPART.encode({"a": file})


TEXT = st.text("aé张𠮷 \u3000&=%+;\"'[]\r\n\0", max_size=8)
FIELDS = st.dictionaries(TEXT.filter(bool), TEXT | st.lists(TEXT, min_size=2, max_size=3), max_size=4)


@settings(max_examples=40)
@given(FIELDS)
def test_what_is_written_is_read_again(tree: dict[str, Any]) -> None:
    assert FORM.decode(FORM.encode(tree)) == tree


@settings(max_examples=40)
@given(
    st.binary(max_size=200)
    | st.text('a=&%+-x\r\n:;"', max_size=60).map(lambda text: f"--x\r\n{text}".encode())
)
def test_any_bytes_give_fields_or_a_refusal(body: bytes) -> None:
    for sent in (body, body + b"\r\n--x--"):
        with suppress(BadMessage):
            assert isinstance(FORM.decode(sent, "GBK"), dict)
