"""Messages of each format written as one, and taken apart again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from config.errors import BadMessage, Problem
from schemas.base import BadPath
from schemas.choice import choose
from schemas.hl7.batch import split_batch

HEAD = "MSH|^~\\&|LIS|A|EMR|B|20260105||ORU^R01|{}|P|2.5\rPID|1||P1\r"


def gathered(spec: Any, *bodies: bytes, how: str = "", charset: str = "") -> bytes:
    problems: list[Problem] = []
    form = choose(spec, problems)
    gather = form.gathers(how)
    trees = [form.decode(body, charset) for body in bodies]
    for tree in trees:
        gather.check(tree)
    whole: bytes = gather.write(trees, charset)
    return whole


def result(number: int, *segments: str) -> bytes:
    return (HEAD.format(number) + "".join(f"{segment}\r" for segment in segments)).encode()


def test_json_is_a_list_and_keeps_its_decimals() -> None:
    assert gathered("json", b'{"a": 1.10}', b"[2]") == b'[{"a":1.10},[2]]'


def test_fhir_is_a_bundle_of_the_resources() -> None:
    whole = json.loads(gathered("fhir", b'{"resourceType": "Patient"}', b'{"resourceType": "Observation"}'))
    assert (whole["resourceType"], whole["type"]) == ("Bundle", "collection")
    assert [entry["resource"]["resourceType"] for entry in whole["entry"]] == ["Patient", "Observation"]


def test_fhir_bundles_become_one_of_their_type_and_a_document_stays_whole() -> None:
    def bundle(kind: str, *names: str) -> bytes:
        entries = [{"fullUrl": name, "resource": {"resourceType": "Basic"}} for name in names]
        return json.dumps({"resourceType": "Bundle", "type": kind, "entry": entries}).encode()

    whole = json.loads(gathered("fhir", bundle("transaction", "a", "b"), bundle("transaction", "c")))
    assert whole["type"] == "transaction"
    assert [entry["fullUrl"] for entry in whole["entry"]] == ["a", "b", "c"]
    mixed = json.loads(gathered("fhir", bundle("transaction", "a"), bundle("document", "b")))
    assert mixed["type"] == "collection"
    assert [entry.get("fullUrl") for entry in mixed["entry"]] == ["a", None]
    assert mixed["entry"][1]["resource"]["type"] == "document"


def test_rows_stand_one_after_the_other_below_one_header() -> None:
    assert (
        gathered("delimited", b"id,n\r\n1,a\r\n", b"id,n\r\n2,b\r\n3,c\r\n")
        == b"id,n\r\n1,a\r\n2,b\r\n3,c\r\n"
    )
    row = {"delimited": {"message": "row", "columns": ["id", "n"], "charset": "GB18030"}}
    assert gathered(row, "1,甲".encode("gb18030"), b"2,b") == "1,甲\r\n2,b\r\n".encode("gb18030")
    fixed = {"fixed": {"columns": {"id": 2, "n": 3}, "message": "row"}}
    assert gathered(fixed, b"1 abc", b"2 de ").split() == [b"1", b"abc", b"2", b"de"]


def test_xml_stands_under_one_root() -> None:
    whole = gathered("xml", b"<r>1</r>", '<r xmlns="urn:x">二</r>'.encode(), how="results").decode()
    assert whole.split("\n", 1)[1] == '<results><r>1</r><r xmlns="urn:x">二</r></results>'
    assert b'<v3:all xmlns:v3="urn:hl7-org:v3">' in gathered("xml", b"<r/>", how="v3:all")


def test_hl7_joined_at_a_segment_is_the_first_and_what_the_others_bring() -> None:
    whole = gathered(
        "hl7v2", result(1, "OBR|1", "OBX|1"), result(2, "ORC|1", "OBR|2", "OBX|2", "NTE|1"), how="$OBR"
    )
    assert whole == result(1, "OBR|1", "OBX|1", "OBR|2", "OBX|2", "NTE|1")


def test_hl7_joined_in_chinese_keeps_its_charset() -> None:
    one, two = ("MSH|^~\\&|||||||ORU|1|P|2.5\nOBR|甲", "MSH|^~\\&|||||||ORU|2|P|2.5\nOBR|乙")
    whole = gathered("hl7v2", one.encode("gb18030"), two.encode("gb18030"), how="$OBR", charset="GB18030")
    assert whole.decode("gb18030") == f"{one}\nOBR|乙\n"


def test_hl7_without_a_word_is_a_batch_and_its_messages_are_as_they_were() -> None:
    messages = [result(1, "OBR|1"), result(2, "OBR|2")]
    whole = gathered("hl7v2", *messages)
    assert whole.startswith(b"FHS|^~\\&|LIS|A|EMR|B|20260105||||1\rBHS|^~\\&|LIS|A|EMR|B|20260105||||1\rMSH|")
    assert whole.endswith(b"BTS|2\rFTS|1\r")
    assert split_batch(whole) == messages


def test_a_message_that_has_nothing_to_join_is_told_by_itself() -> None:
    with pytest.raises(BadMessage) as caught:
        gathered("hl7v2", result(1, "OBR|1"), result(2, "OBX|1"), how="$OBR")
    assert caught.value.code == "JL-M090"
    with pytest.raises(BadMessage) as caught:
        gathered("hl7v2", result(1, "OBR|1"), b"MSH#^~\\&#A\rOBR#1\r", how="$OBR")
    assert (caught.value.code, caught.value.path) == ("JL-M093", "message 2")


@pytest.mark.parametrize(
    ("spec", "how"),
    [("json", "list"), ("hl7v2", "$MSH"), ("hl7v2", "OBX-5"), ("xml", "a b"), ("xml", "v9:a")],
)
def test_a_way_that_there_is_not_is_no_way(spec: str, how: str) -> None:
    with pytest.raises(BadPath):
        choose(spec, []).gathers(how)
