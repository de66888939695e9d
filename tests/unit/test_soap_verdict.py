"""Whether an answer is a yes: by a convention, or by the channel's own words; and what `jingluo test` makes of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from soap_parts import envelope, site_with

from config import registry
from config.errors import Problem, Refused, Unreachable
from endpoints.base import Ground
from endpoints.webservice.destination import SoapDestination
from schemas.message import Message

MESSAGE = Message(b"<a/>", id="1")


def made(folder: Path, **more: Any) -> SoapDestination:
    kind = registry.destinations.get("soap")
    said = {"wsdl": "lis.wsdl", "operation": "Send", "arguments": {"action": "a", "message": "$body"}, **more}
    problems: list[Problem] = []
    options = kind.Options.model_validate(said)
    options.files(site_with(folder), problems)
    assert problems == []
    destination: SoapDestination = kind(options, Ground("his.lis", "xml", base_dir=str(folder)))
    return destination


def hip(code: str, text: str = "") -> bytes:
    """As platforms answer: an attribute, or the text of an element."""
    detail = f'<acknowledgementDetail><text value="{text}"/></acknowledgementDetail>' if text else ""
    return (
        f'<MCCI_IN000002UV01 xmlns="urn:hl7-org:v3"><acknowledgement typeCode="{code}">'
        f"<targetMessage><id/></targetMessage>{detail}</acknowledgement></MCCI_IN000002UV01>"
    ).encode()


def his(code: str, text: str = "", charset: str = "gb2312") -> bytes:
    said = f'<?xml version="1.0" encoding="{charset}"?>'
    said += f"<Response><ResultCode>{code}</ResultCode><ResultContent>{text}</ResultContent></Response>"
    return said.encode(charset)


@pytest.mark.parametrize(
    ("convention", "answer", "code"),
    [
        ("hip", hip("AA"), "AA"),
        ("hip", hip("CA"), "CA"),
        ("call", his("0000"), "0000"),
        ("call", his("0"), "0"),
    ],
)
def test_a_yes_is_the_receipts_code(tmp_path: Path, convention: str, answer: bytes, code: str) -> None:
    receipt = made(tmp_path, convention=convention).heard(MESSAGE, "", answer, {})
    assert (receipt.code, receipt.format) == (code, "xml")


@pytest.mark.parametrize(
    ("convention", "answer", "text", "again"),
    [
        ("hip", hip("AE", "患者  不存在"), "AE 患者 不存在", True),
        ("hip", hip("AR", "bad"), "AR bad", False),
        ("hip", hip("XX"), "XX", False),
        ("call", his("9999", "余额不足"), "9999 余额不足", False),
        ("call", his("9999", "x" * 1000), "9999 x{200}$", False),
    ],
)
def test_a_no_says_what_the_receiver_said(
    tmp_path: Path, convention: str, answer: bytes, text: str, again: bool
) -> None:
    with pytest.raises(Refused, match=f"JL-E422: {text}") as caught:
        made(tmp_path, convention=convention).heard(MESSAGE, "", answer, {})
    assert caught.value.retry == again
    assert caught.value.answer


@pytest.mark.parametrize("answer", [b"", b"ok", b"<a/>", b"<a", b'{"code": 0}', hip("")])
@pytest.mark.parametrize("convention", ["hip", "call"])
def test_an_answer_of_no_convention_is_none(tmp_path: Path, convention: str, answer: bytes) -> None:
    with pytest.raises(Unreachable, match="JL-E421") as caught:
        made(tmp_path, convention=convention).heard(MESSAGE, "", answer, {})
    assert caught.value.maybe_done


def test_a_channel_may_say_itself_what_a_yes_is_and_which_no_is_tried_again(tmp_path: Path) -> None:
    destination = made(
        tmp_path,
        yes={"$//Code": [0, "OK"], "$//Kind": "A"},
        again={"$//Code": "BUSY"},
    )
    for code in ("0", "OK"):
        answer = f"<R><Code>{code}</Code><Kind>A</Kind></R>".encode()
        assert destination.heard(MESSAGE, "", answer, {}).answer == answer
    for answer, text, again in (
        (b"<R><Code>BUSY</Code><Kind>A</Kind></R>", r"\$//Code is 'BUSY'", True),
        (b"<R><Code>1</Code><Kind>A</Kind></R>", r"\$//Code is '1'", False),
        (b"<R><Code>0</Code></R>", r"\$//Kind is missing", False),
        (b"no", r"\$//Code is missing", False),
    ):
        with pytest.raises(Refused, match=f"JL-E422: {text}") as caught:
            destination.heard(MESSAGE, "", answer, {})
        assert caught.value.retry == again
    destination = made(tmp_path, yes={"$.code": 0, "$.done": "true"})
    assert destination.heard(MESSAGE, "", b'{"code": 0, "done": true}', {}).format == "json"
    with pytest.raises(Refused, match="JL-E422"):
        destination.heard(MESSAGE, "", b'{"code": 0, "done": false}', {})


def test_a_no_of_a_convention_may_be_tried_again_where_the_channel_says_so(tmp_path: Path) -> None:
    destination = made(tmp_path, convention="call", again={"$//ResultCode": ["9999"]})
    for code, again in (("9999", True), ("0004", False)):
        with pytest.raises(Refused) as caught:
            destination.heard(MESSAGE, "", his(code), {})
        assert caught.value.retry == again


def test_a_test_may_answer_with_a_code_a_fault_or_a_whole_envelope(tmp_path: Path) -> None:
    destination = made(tmp_path)
    assert destination.heard(MESSAGE, "200", envelope("<R><x>1</x></R>"), {}).answer == b"1"
    assert destination.heard(MESSAGE, "", b"<b/>", {}).answer == b"<b/>"
    for code, again in (
        ("Client", False),
        ("Sender", False),
        ("Server", True),
        ("Receiver", True),
        ("500", True),
    ):
        with pytest.raises(Refused) as caught:
            destination.heard(MESSAGE, code, b"why", {})
        assert caught.value.retry == again
    with pytest.raises(Unreachable, match="JL-E223"):
        destination.heard(MESSAGE, "503", b"", {})
    with pytest.raises(Refused, match="JL-E423"):
        destination.heard(Message(b"\x00"), "", b"", {})
    with pytest.raises(Refused, match="JL-E225"):
        made(tmp_path, max_answer="1KB").heard(MESSAGE, "", b"x" * 1001, {})
