"""The SOAP destination: what it sends to services of all habits, and how it reads their answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from lxml import etree
from pydantic import ValidationError
from soap_parts import NS, Answer, Service, always, envelope, fault, result, says, silent, site_with, wsdl

from config import registry
from config.errors import Problem, Refused, Unreachable
from endpoints.base import Ground
from endpoints.webservice.destination import SoapDestination
from schemas.message import Message

Sender = Callable[..., Awaitable[SoapDestination]]
BOTH = {"action": "PatientInfoRegister", "message": "$body"}
MESSAGE = Message("<patient><name>李𠀀&amp;</name></patient>".encode(), id="0199", headers={"event": "A04"})


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    made = Service()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def sender(tmp_path: Path, service: Service) -> AsyncIterator[Sender]:
    opened: list[SoapDestination] = []

    async def open(
        answer: Answer | None = None, format: str = "xml", text: str = "", **more: Any
    ) -> SoapDestination:
        service.answer = answer
        site_with(tmp_path, text)
        kind = registry.destinations.get("soap")
        said = {"wsdl": "lis.wsdl", "operation": "Send", "url": service.url, "arguments": BOTH, **more}
        problems: list[Problem] = []
        options = kind.Options.model_validate(
            {name: value for name, value in said.items() if value is not None}
        )
        options.files(tmp_path, problems)
        assert problems == []
        opened.append(kind(options, Ground("his.lis", format, base_dir=str(tmp_path))))
        await opened[-1].start()
        return opened[-1]

    yield open
    for one in opened:
        await one.stop()


# What is sent


async def test_a_message_is_the_argument_that_the_channel_names(sender: Sender, service: Service) -> None:
    destination = await sender(arguments={"action": "$@header.Event", "message": "$body"})
    await destination.send(MESSAGE)
    (heard,) = service.got
    assert (heard.child.tag, heard.text("action")) == (f"{{{NS}}}Send", "A04")
    assert heard.text("message") == MESSAGE.body.decode()
    assert heard.headers["soapaction"] == '"urn:invented:lis:Send"'
    assert heard.headers["content-type"] == "text/xml; charset=UTF-8"
    assert heard.headers["idempotency-key"] == "0199"


async def test_an_operation_with_one_argument_needs_no_word_of_it(sender: Sender, service: Service) -> None:
    destination = await sender(always(lambda: web.Response(status=202)), operation="Tell", arguments=None)
    assert (await destination.send(MESSAGE)).code == "202"
    assert service.got[0].text("text") == MESSAGE.body.decode()


async def test_soap_1_2_names_its_action_in_the_content_type(sender: Sender, service: Service) -> None:
    destination = await sender(
        always(lambda: result("Send", "ok", "1.2")), soap="1.2", soap_action="urn:other"
    )
    assert (await destination.send(MESSAGE)).answer == b"ok"
    (heard,) = service.got
    assert heard.headers["content-type"] == 'application/soap+xml; charset=UTF-8; action="urn:other"'
    assert "soapaction" not in heard.headers
    assert heard.root.tag == "{http://www.w3.org/2003/05/soap-envelope}Envelope"


@pytest.mark.parametrize("charset", ["UTF-8", "GBK", "gb2312", "GB18030"])
@pytest.mark.parametrize("form", ["text", "cdata"])
async def test_every_letter_comes_through_in_every_charset_escaped_or_not(
    sender: Sender, service: Service, charset: str, form: str
) -> None:
    destination = await sender(charset=charset, form=form)
    bodies = (
        "<a>李明</a>",
        "<a>李𠀀㐀</a>",
        "<a><![CDATA[<b>1</b>]]></a>",
        "MSH|^~\\&|HIS\rPID|1\r\n",
        "a]]>b",
    )
    for body in bodies:
        await destination.send(Message(body.encode(), charset="utf-8"))
        assert service.got[-1].text("message") == body
        assert service.got[-1].headers["content-type"] == f"text/xml; charset={charset.upper()}"
    assert (b"<![CDATA[<a>" in service.got[0].body) == (form == "cdata")
    assert "李明".encode(charset) in service.got[0].body


async def test_a_document_may_stand_in_its_argument_as_xml(sender: Sender, service: Service) -> None:
    destination = await sender(form="xml")
    await destination.send(
        Message('<?xml version="1.0" encoding="GBK"?><a xmlns="urn:a">李</a>'.encode("gbk"))
    )
    (inner,) = service.got[0].child.find("{*}message")
    assert (inner.tag, inner.text) == ("{urn:a}a", "李")
    with pytest.raises(Refused, match="JL-E423"):
        await destination.send(Message(b"<a>"))


async def test_the_body_may_be_all_the_arguments(sender: Sender, service: Service) -> None:
    destination = await sender(format="json", operation="Find", arguments="$body")
    await destination.send(Message(b'{"item": ["K", 4.0, true], "patient": "P1"}'))
    assert [(etree.QName(one).localname, one.text) for one in service.got[0].child] == [
        ("patient", "P1"),
        ("item", "K"),
        ("item", "4.0"),
        ("item", "true"),
    ]
    for wrong in (b'{"patent": "P1"}', b"[]", b"{", b'{"patient": {"id": 1}}'):
        with pytest.raises(Refused, match="JL-E423") as caught:
            await destination.send(Message(wrong))
        assert not caught.value.retry
    destination = await sender(operation="Find", arguments="$body")
    await destination.send(Message(f'<f:Find xmlns:f="{NS}"><f:patient>P2</f:patient></f:Find>'.encode()))
    assert service.got[-1].text("patient") == "P2"
    with pytest.raises(Refused, match="its root is Find"):
        await destination.send(Message(b"<Find/>"))


async def test_what_xml_has_no_letter_for_is_refused(sender: Sender, service: Service) -> None:
    destination = await sender()
    with pytest.raises(Refused, match="JL-E423"):
        await destination.send(Message(b"a\x0bb\x00"))
    assert service.got == []


async def test_a_sites_own_header_and_credentials_go_with_each_request(
    sender: Sender, service: Service
) -> None:
    destination = await sender(
        header={"Login": {"@xmlns": "urn:login", "User": "jingluo"}},
        headers={"x-site": "A"},
        auth={"user": "u", "password": "p"},
    )
    await destination.send(MESSAGE)
    (heard,) = service.got
    assert heard.root.findtext("{*}Header/{urn:login}Login/{urn:login}User") == "jingluo"
    assert (heard.headers["authorization"], heard.headers["x-site"]) == ("Basic dTpw", "A")


# What is heard


@pytest.mark.parametrize(
    ("text", "format"),
    [("<a>李</a>", "xml"), ('{"a": 1}', "json"), ("MSH|^~\\&|", "hl7v2"), ("0 ok", ""), ("", "")],
)
async def test_the_result_is_the_answer(sender: Sender, text: str, format: str) -> None:
    receipt = await (await sender(always(lambda: result("Send", text)))).send(MESSAGE)
    assert (receipt.code, receipt.answer.decode(), receipt.format) == ("200", text, format)


async def test_a_result_in_gbk_is_read_and_a_document_says_then_what_it_is_in(sender: Sender) -> None:
    text = '<?xml version="1.0" encoding="gb2312"?><a>李</a>'
    for charset in ("gbk", "utf-8"):
        destination = await sender(always(lambda charset=charset: result("Send", text, charset=charset)))
        assert (await destination.send(MESSAGE)).answer == text.replace("gb2312", "UTF-8").encode()


@pytest.mark.parametrize(
    ("inner", "told"),
    [
        ("<R xmlns='urn:odd'><return><a>1</a></return></R>", b'<a xmlns="urn:odd">1</a>'),
        ("<R><SendResult><![CDATA[<a/>]]></SendResult></R>", b"<a/>"),
        ("<R><x>1</x><y>2</y></R>", b"<R><x>1</x><y>2</y></R>"),
        ("<R>7</R>", b"7"),
        ("<R/>", b""),
        ("<R xmlns:i='http://www.w3.org/2001/XMLSchema-instance'><r i:nil='true'/></R>", b""),
    ],
)
async def test_a_result_is_found_whatever_it_is_called(sender: Sender, inner: str, told: bytes) -> None:
    receipt = await (await sender(always(lambda: says(envelope(inner))))).send(MESSAGE)
    assert receipt.answer == told


async def test_one_of_several_results_is_the_answer_where_the_channel_says_which(sender: Sender) -> None:
    inner = f'<FindResponse xmlns="{NS}"><code>0</code><found>P1</found></FindResponse>'
    destination = await sender(
        always(lambda: says(envelope(inner))),
        format="json",
        operation="Find",
        arguments="$body",
        result="found",
    )
    assert (await destination.send(Message(b'{"patient": "P1", "item": "K"}'))).answer == b"P1"


@pytest.mark.parametrize(
    ("code", "version", "status", "again"),
    [
        ("Client", "1.1", 500, False),
        ("Client.Authentication", "1.1", 500, False),
        ("MustUnderstand", "1.1", 500, False),
        ("Server", "1.1", 500, True),
        ("Server", "1.1", 200, True),
        ("Sender", "1.2", 400, False),
        ("Receiver", "1.2", 500, True),
        ("E1001", "1.1", 500, True),
        ("E1001", "1.1", 400, False),
    ],
)
async def test_a_fault_says_whether_another_try_can_help(
    sender: Sender, code: str, version: str, status: int, again: bool
) -> None:
    destination = await sender(
        always(lambda: fault(code, "no  such\npatient", version, status)), soap=version
    )
    with pytest.raises(Refused, match=f"JL-E420: Fault s:{code}: no such patient") as caught:
        await destination.send(MESSAGE)
    assert caught.value.retry == again
    assert caught.value.answer


@pytest.mark.parametrize(
    ("inner", "told", "again"),
    [
        (
            "<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>m:Full</s:Value><s:Subcode><s:Value>m:Bed"
            "</s:Value></s:Subcode></s:Subcode></s:Code><s:Reason><s:Text xml:lang='zh'>床位已满</s:Text>"
            "<s:Text xml:lang='en'>full</s:Text></s:Reason></s:Fault>",
            "s:Sender/m:Full/m:Bed: 床位已满",
            False,
        ),
        ("<Fault><faultcode>Server</faultcode><faultstring/></Fault>", "Server: $", True),
        ("<s:Fault><s:faultcode>Client</s:faultcode></s:Fault>", "Client: $", False),
        ("<s:Fault/>", ": $", True),
    ],
)
async def test_a_fault_is_one_however_it_is_written(
    sender: Sender, inner: str, told: str, again: bool
) -> None:
    destination = await sender(always(lambda: says(envelope(inner, "1.2"), 500)))
    with pytest.raises(Refused, match=f"JL-E420: Fault {told}") as caught:
        await destination.send(MESSAGE)
    assert caught.value.retry == again


@pytest.mark.parametrize(
    ("answer", "code", "maybe"),
    [
        (lambda: web.Response(text="<html>login</html>", content_type="text/html"), "JL-E421", True),
        (lambda: web.Response(body=b"\x00\xff<", content_type="text/xml"), "JL-E421", True),
        (lambda: web.Response(), "JL-E421", True),
        (lambda: says(envelope("")), "JL-E421", True),
        (lambda: says(b"<!DOCTYPE a><a/>"), "JL-E421", True),
        (lambda: web.Response(status=503, headers={"retry-after": "7"}), "JL-E223", False),
        (lambda: fault("Server", status=503), "JL-E223", False),
        (lambda: web.Response(status=504, text="gateway"), "JL-E223", True),
    ],
)
async def test_an_answer_that_is_none_may_have_been_a_yes(
    sender: Sender, answer: Callable[[], web.Response], code: str, maybe: bool
) -> None:
    destination = await sender(always(answer))
    with pytest.raises(Unreachable, match=code) as caught:
        await destination.send(MESSAGE)
    assert caught.value.maybe_done == maybe


@pytest.mark.parametrize(("status", "again"), [(401, False), (404, False), (302, False), (500, True)])
async def test_a_status_counts_where_there_is_no_fault(sender: Sender, status: int, again: bool) -> None:
    destination = await sender(always(lambda: web.Response(status=status, text="<html/>")))
    with pytest.raises(Refused, match="JL-E224") as caught:
        await destination.send(MESSAGE)
    assert caught.value.retry == again


async def test_silence_nobody_and_too_much_are_as_of_any_http_receiver(sender: Sender) -> None:
    with pytest.raises(Unreachable, match="JL-E221") as caught:
        await (await sender(silent, timeout="100ms")).send(MESSAGE)
    assert caught.value.maybe_done
    with pytest.raises(Unreachable, match="JL-E220") as caught:
        await (await sender(url="http://127.0.0.1:1/")).send(MESSAGE)
    assert not caught.value.maybe_done
    with pytest.raises(Refused, match="JL-E225"):
        await (await sender(always(lambda: result("Send", "x" * 2000)), max_answer="1KB")).send(MESSAGE)


# The WSDL


async def test_the_address_is_the_wsdls_unless_the_site_says_another(
    sender: Sender, service: Service, tmp_path: Path
) -> None:
    destination = await sender(text=wsdl(service.url), url=None)
    await destination.send(MESSAGE)
    assert len(service.got) == 1


async def test_a_wsdl_that_went_away_keeps_no_engine_from_starting_and_is_read_when_it_is_back(
    sender: Sender, service: Service, tmp_path: Path
) -> None:
    there = await sender()
    text = (tmp_path / "lis.wsdl").read_text()
    (tmp_path / "lis.wsdl").unlink()
    destination = SoapDestination(there.options, there.ground)
    await destination.start()
    with pytest.raises(Unreachable, match="JL-E424") as caught:
        await destination.send(MESSAGE)
    assert not caught.value.maybe_done
    (tmp_path / "lis.wsdl").write_text(text)
    await destination.send(MESSAGE)
    await destination.stop()
    assert len(service.got) == 1


@pytest.mark.parametrize("arguments", [{}, {"message": "$body"}])
def test_an_argument_with_parts_of_its_own_is_no_place_for_a_text(tmp_path: Path, arguments: Any) -> None:
    parts = '<x:element name="message"><x:complexType><x:sequence><x:element name="id" type="x:string"/>'
    text = (
        wsdl()
        .replace('<x:element name="action" type="x:string"/>', "")
        .replace(
            '<x:element name="message" type="x:string" minOccurs="0"/>',
            f"{parts}</x:sequence></x:complexType></x:element>",
        )
    )
    site_with(tmp_path, text)
    problems: list[Problem] = []
    options = registry.destinations.get("soap").Options
    options(wsdl="lis.wsdl", operation="Send", arguments=arguments).files(tmp_path, problems)
    assert [(one.code, one.at) for one in problems] == [("JL-C141", ("arguments",))]
    options(wsdl="lis.wsdl", operation="Send", arguments="$body").files(tmp_path, problems)
    assert len(problems) == 1


def test_options_that_cannot_be_are_refused() -> None:
    kind = registry.destinations.get("soap")
    for wrong in ({"charset": "klingon"}, {"url": "ftp://a"}, {"header": {"a b": 1}}, {"tls": {"ca": "x"}}):
        with pytest.raises(ValidationError):
            kind.Options(wsdl="a.wsdl", operation="Send", **{"url": "http://a", **wrong})
    shown = repr(kind.Options(wsdl="a", operation="b", arguments={"p": "s3cret"}, header={"p": "s3cret"}))
    assert "s3cret" not in shown
