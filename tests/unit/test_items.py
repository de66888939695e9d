"""Messages that hold several, divided: `items` of each format, and what becomes of the parts."""

from __future__ import annotations

from typing import Any

import pytest

from channels.splitting import MAX_ITEMS, Items, compile_split
from config.errors import BadMessage, Problem
from schemas.base import BadPath
from schemas.choice import choose

HEAD = "MSH|^~\\&|LIS|A|EMR|A|20260105||ORU^R01|77|P|2.5\r"


def divided(path: str, body: bytes, spec: Any = "hl7v2", charset: str = "") -> list[bytes]:
    problems: list[Problem] = []
    split = compile_split(path, choose(spec, problems), problems, ())
    assert split is not None, problems
    count, parts = split.parts(body, charset)
    made = [part for part in parts if isinstance(part, bytes)]
    assert len(made) == count
    return made


def groups(path: str, *lines: str) -> list[str]:
    """Of each item its segments without the header: name and first field."""
    made = divided(path, (HEAD + "".join(f"{line}\r" for line in lines)).encode())
    assert all(part.startswith(b"MSH|") for part in made)
    return [" ".join(row.replace("|", "") for row in part.decode().split("\r")[1:-1]) for part in made]


def test_each_order_of_a_message_is_a_message_with_what_stood_before_the_first() -> None:
    assert groups("$OBR", "PID|1", "PV1|1", "OBR|1", "OBX|1", "NTE|1", "OBR|2", "OBX|2") == [
        "PID1 PV11 OBR1 OBX1 NTE1",
        "PID1 PV11 OBR2 OBX2",
    ]


def test_no_item_comes_under_another_patient_or_another_order() -> None:
    lines = (
        "PID|1",
        "PV1|1",
        "ORC|1",
        "OBR|1",
        "OBX|1",
        "ORC|2",
        "OBR|2",
        "PID|2",
        "ORC|3",
        "OBR|3",
        "OBR|4",
    )
    assert groups("$OBR[]", *lines) == [
        "PID1 PV11 ORC1 OBR1 OBX1",
        "PID1 PV11 ORC2 OBR2",
        "PID2 ORC3 OBR3",
        "PID2 ORC3 OBR4",
    ]
    assert groups("$PID", *lines) == ["PID1 PV11 ORC1 OBR1 OBX1 ORC2 OBR2", "PID2 ORC3 OBR3 OBR4"]


def test_an_order_that_only_a_later_item_has_is_not_the_first_ones() -> None:
    assert groups("$OBR", "PID|1", "OBR|1", "ORC|2", "OBR|2") == ["PID1 OBR1", "PID1 ORC2 OBR2"]


def test_what_belongs_to_no_item_is_not_given_to_another() -> None:
    with pytest.raises(BadMessage) as error:
        groups("$OBR", "PID|1", "OBR|1", "PID|2")
    assert (error.value.code, error.value.path) == ("JL-M090", "PID")


def test_items_have_control_ids_of_their_own_where_there_are_several() -> None:
    def ids(*lines: str, head: str = HEAD) -> list[str]:
        body = (head + "".join(f"{line}\r" for line in lines)).encode()
        return [part.decode().split("|")[9] for part in divided("$OBR", body)]

    assert ids("OBR|1", "OBR|2", "OBR|3") == ["77-1", "77-2", "77-3"]
    assert ids("OBR|1") == ["77"]
    assert ids("OBR|1", "OBR|2", head=HEAD.replace("|77|", "||")) == ["", ""]
    assert ids("OBR|1", "OBR|2", head=HEAD.replace("|77|", "|a\\T\\b|")) == ["a\\T\\b-1", "a\\T\\b-2"]


def test_an_item_is_written_in_what_its_message_is_written_in() -> None:
    body = (HEAD + "PID|1||P1||欧阳^小明\rOBR|1\rOBR|2\r").encode("gb18030")
    assert all("欧阳^小明".encode("gb18030") in part for part in divided("$OBR", body, charset="GB18030"))
    utf8 = (HEAD.replace("|2.5", "|2.5||||||UNICODE UTF-8") + "PID|1||P1||欧阳\rOBR|1\rOBR|2\r").encode()
    assert all("欧阳".encode() in part for part in divided("$OBR", utf8, charset="GB18030"))


def test_line_ends_and_delimiters_stay_the_senders() -> None:
    body = HEAD.replace("|", "!").encode() + b"PID!1\r\nOBR!1\r\nOBR!2"
    assert divided("$OBR", body)[1].endswith(b"PID!1\r\nOBR!2\r")


@pytest.mark.parametrize(
    ("path", "body", "items"),
    [
        ("$.tests[]", b'{"tests": [{"a": 1.50}, null, "x"]}', [b'{"a":1.50}', b'"x"']),
        ("$.tests", b'{"tests": []}', []),
        ("$", b"[1, 2]", [b"1", b"2"]),
        ("$.a[].b[]", b'{"a": [{"b": [1, 2]}, {"b": [3]}]}', [b"1", b"2", b"3"]),
        ("$.a[?b>`1`]", b'{"a": [{"b": 1}, {"b": 2}]}', [b'{"b":2}']),
    ],
)
def test_the_items_of_a_list(path: str, body: bytes, items: list[bytes]) -> None:
    assert divided(path, body, "json") == items


@pytest.mark.parametrize("body", [b"{}", b'{"tests": {"a": 1}}', b'{"tests": "x"}', b'{"tests": null}'])
def test_no_list_is_not_the_same_as_an_empty_one(body: bytes) -> None:
    with pytest.raises(BadMessage) as error:
        divided("$.tests", body, "json")
    assert error.value.code == "JL-M090"


def test_the_resources_of_a_bundle() -> None:
    body = b'{"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient"}}, {}]}'
    assert divided("$.entry[].resource", body, "fhir") == [b'{"resourceType":"Patient"}']


def test_an_element_takes_the_namespaces_along_that_it_is_in() -> None:
    body = '<o xmlns="urn:o" xmlns:t="urn:t"><i t:k="1" type="t:ED">甲</i> and <i/></o>'.encode("gb18030")
    spec = {"xml": {"namespaces": {"o": "urn:o"}}}
    first, second = divided("$//o:i", b'<?xml version="1.0" encoding="GB18030"?>' + body, spec)
    assert first.decode().endswith('<i xmlns="urn:o" xmlns:t="urn:t" t:k="1" type="t:ED">甲</i>')
    assert second.decode().endswith('<i xmlns="urn:o" xmlns:t="urn:t"/>')


def test_each_row_of_a_file_with_its_header() -> None:
    assert divided("$.rows[]", b"id,name\r\n1,a\r\n2,b\r\n", "delimited") == [
        b"id,name\r\n1,a\r\n",
        b"id,name\r\n2,b\r\n",
    ]
    fixed = {"fixed": {"records": {"H": {"date": 8}, "D": {"id": 2}}, "line_end": "lf"}}
    assert divided("$.rows[?record=='D']", b"H20260105\nD1 \nD2 \n", fixed) == [b"D1 \n", b"D2 \n"]


@pytest.mark.parametrize(
    ("path", "spec"),
    [("$.a[0]", "json"), ("$//a/@b", "xml"), ("$PID-3", "hl7v2"), ("$.rows[].id", "delimited")],
)
def test_a_path_to_no_list_is_refused_when_it_is_read(path: str, spec: str) -> None:
    form = choose(spec, [])
    assert form is not None
    with pytest.raises(BadPath):
        form.items(path[1:])  # type: ignore[attr-defined]


def test_there_is_a_limit_to_the_items_of_one_message() -> None:
    form = choose("json", [])
    assert form is not None
    split = Items("$", form, lambda tree: [1] * (MAX_ITEMS + 1), form)
    with pytest.raises(BadMessage) as error:
        split.parts(b"[]", "")
    assert error.value.code == "JL-M091"


def test_an_item_that_cannot_be_written_leaves_the_others_as_they_are() -> None:
    form = choose({"fixed": {"columns": {"id": 2}}}, [])
    assert form is not None
    split = Items("$.rows", form, lambda tree: [{"id": "1"}, {"id": "123"}, {"id": "2"}], form)
    count, parts = split.parts(b"", "")
    made = list(parts)
    assert count == 3
    assert [type(part) for part in made] == [bytes, BadMessage, bytes]
