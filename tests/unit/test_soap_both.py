"""The SOAP destination against others' readers and servers: our own source, zeep, TLS, `jingluo test` and `plan`."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from authority import Authority
from endpoint_parts import FakeEngine
from soap_parts import Service, site_with, wsdl
from webservice_parts import Service as Door
from zeep.wsdl import Document

from channels.loader import load_site
from config import registry
from config.errors import Problem, Refused, Unreachable
from config.settings import load_settings
from endpoints.base import Ground
from endpoints.web import WebServer
from endpoints.webservice.destination import SoapDestination
from router.proving.runner import run_tests
from schemas.message import Message, Reply

V3 = '<PRPA_IN201311UV02 xmlns="urn:hl7-org:v3"><id root="1.2" extension="{}"/></PRPA_IN201311UV02>'


def made(folder: Path, format: str = "xml", **said: Any) -> SoapDestination:
    kind = registry.destinations.get("soap")
    problems: list[Problem] = []
    options = kind.Options.model_validate(said)
    options.files(folder, problems)
    assert problems == []
    destination: SoapDestination = kind(options, Ground("his.platform", format, base_dir=str(folder)))
    return destination


# Our own source


@pytest.mark.parametrize("soap", ["1.1", "1.2"])
@pytest.mark.parametrize("form", ["text", "cdata", "xml"])
@pytest.mark.parametrize("charset", ["UTF-8", "GBK"])
async def test_our_own_source_takes_what_we_send_and_its_yes_and_no_are_understood(
    web: WebServer, service: Door, tmp_path: Path, soap: str, form: str, charset: str
) -> None:
    engine = FakeEngine(lambda message: replies[message.body.count(b"M2")])
    replies = [Reply("accepted", id="0" * 32), Reply("refused", id="0" * 32, code="JL-M030", text="不是 XML")]
    await service(engine, convention="hip", path="/soap/hip")
    destination = made(
        tmp_path,
        convention="hip",
        url=f"http://127.0.0.1:{web.port}/soap/hip",
        arguments={"action": "PatientInfoRegister", "message": "$body"},
        soap=soap,
        form=form,
        charset=charset,
    )
    await destination.start()
    receipt = await destination.send(Message(V3.format("张三").encode()))
    assert (receipt.code, receipt.format) == ("AA", "xml")
    assert "张三" in engine.got[0].body.decode()
    assert (engine.got[0].headers["action"], engine.got[0].headers["soap"]) == ("PatientInfoRegister", soap)
    with pytest.raises(Refused, match="JL-E422: AE JL-M030 不是 XML") as caught:
        await destination.send(Message(V3.format("M2").encode()))
    assert caught.value.retry
    await destination.stop()


async def test_our_own_sources_front_end_service_too(web: WebServer, service: Door, tmp_path: Path) -> None:
    engine = FakeEngine(Reply("accepted", id="0" * 32))
    await service(engine, convention="call", path="/soap/his", namespace="urn:site")
    destination = made(
        tmp_path,
        convention="call",
        namespace="urn:site",
        url=f"http://127.0.0.1:{web.port}/soap/his",
        arguments={"tradeCode": 2131, "xml": "$body"},
    )
    receipt = await destination.send(Message(b"<Request><HospitalID>H1</HospitalID></Request>"))
    assert receipt.code == "0000"
    assert b"<HospitalID>H1</HospitalID>" in receipt.answer
    engine.reply = Reply(
        "answered", id="0" * 32, body=b"<Response><ResultCode>0</ResultCode></Response>", format="xml"
    )
    assert (await destination.send(Message(b"<Request/>"))).code == "0"
    await destination.stop()


# Others


@pytest.fixture
async def lis() -> AsyncIterator[Service]:
    service = Service()
    await service.start()
    yield service
    await service.stop()


class _Disk:
    def load(self, url: str) -> bytes:
        return Path(url).read_bytes()


@pytest.mark.parametrize("style", ["document", "rpc"])
async def test_zeep_reads_our_requests_as_its_own(lis: Service, tmp_path: Path, style: str) -> None:
    text = wsdl(lis.url, ("1.1",)) if style == "document" else _rpc(lis.url)
    site_with(tmp_path, text)
    destination = made(
        tmp_path, wsdl="lis.wsdl", operation="Send", arguments={"message": "$body", "action": "A<04>"}
    )
    await destination.send(Message("<a>李&amp;</a>".encode()))
    (binding,) = Document(str(tmp_path / "lis.wsdl"), _Disk()).bindings.values()
    read = binding.get("Send").input.deserialize(lis.got[0].root)
    assert (read["action"], read["message"]) == ("A<04>", "<a>李&amp;</a>")
    await destination.stop()


def _rpc(address: str) -> str:
    """The arguments are the message's parts, and have no namespace."""
    return (
        '<definitions name="L" targetNamespace="urn:d" xmlns:t="urn:d" xmlns="http://schemas.xmlsoap.org/wsdl/" '
        'xmlns:x="http://www.w3.org/2001/XMLSchema" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/">'
        '<message name="I"><part name="action" type="x:string"/><part name="message" type="x:string"/></message>'
        '<message name="O"><part name="SendReturn" type="x:string"/></message><portType name="P">'
        '<operation name="Send"><input message="t:I"/><output message="t:O"/></operation></portType>'
        '<binding name="B" type="t:P"><s:binding style="rpc" transport="http://schemas.xmlsoap.org/soap/http"/>'
        '<operation name="Send"><s:operation soapAction=""/><input><s:body use="literal" namespace="urn:b"/></input>'
        '<output><s:body use="literal" namespace="urn:b"/></output></operation></binding><service name="S">'
        f'<port name="B" binding="t:B"><s:address location="{address}"/></port></service></definitions>'
    )


async def test_an_https_service_is_verified_and_a_wsdl_without_tls_is_no_way_around(tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    pair = ca.issue("lis", "127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    service = Service()
    await service.start(context)
    url = service.url.replace("http:", "https:")
    said: dict[str, Any] = {"wsdl": "lis.wsdl", "operation": "Tell", "url": url}
    good = made(site_with(tmp_path), **said, tls={"ca": ca.file.name})
    await good.send(Message(b"<a/>"))
    strange = made(tmp_path, **said)
    with pytest.raises(Unreachable, match="JL-E227"):
        await strange.send(Message(b"<a/>"))
    for one in (good, strange):
        await one.stop()
    await service.stop()
    assert len(service.got) == 1
    problems: list[Problem] = []
    options = registry.destinations.get("soap").Options
    options(wsdl="lis.wsdl", operation="Tell", tls={"ca": ca.file.name}).files(tmp_path, problems)
    assert [(one.at, one.code) for one in problems] == [(("tls",), "JL-C142")]


# The site's files


CHANNEL = """
channel: lis
from: {file: {folder: in}}
format: xml
to:
  lis:
    send: {soap: {wsdl: lis.wsdl, operation: Send, arguments: {action: A, message: $body}, convention: call}}
    retry: {for: 1h}
tests:
  - {name: yes, given: <a/>, while: {lis: {body: <R><ResultCode>0</ResultCode></R>}}, expect: {lis: sent}}
  - name: a no
    given: <a/>
    while: {lis: {body: <R><ResultCode>1</ResultCode></R>}}
    expect: {lis: {state: dead, code: JL-E422}}
  - {name: a fault, given: <a/>, while: {lis: {answer: Server}}, expect: {lis: {state: retrying, code: JL-E420}}}
"""


def test_a_channels_tests_answer_as_services_do(tmp_path: Path) -> None:
    site_with(tmp_path)
    (tmp_path / "channels").mkdir()
    (tmp_path / "channels" / "lis.yaml").write_text(CHANNEL)
    report = run_tests(load_settings(tmp_path, {}), {})
    assert [one.name for one in report.failed] == []
    assert len(report.results) == 3


def test_a_changed_wsdl_is_a_changed_channel_and_one_that_is_gone_refuses_its_channel_alone(
    tmp_path: Path,
) -> None:
    site_with(tmp_path)
    (tmp_path / "channels").mkdir()
    (tmp_path / "channels" / "lis.yaml").write_text(CHANNEL.partition("tests:")[0])
    (tmp_path / "channels" / "other.yaml").write_text(
        "channel: other\nfrom: {file: {folder: other}}\nformat: xml\nto: {a: {send: {file: {folder: out}}}}\n"
    )
    settings = load_settings(tmp_path, {})
    before, again = load_site(settings, {}), load_site(settings, {})
    assert before.digest == again.digest
    (tmp_path / "lis.wsdl").write_text(wsdl("http://127.0.0.1:2/"))
    assert load_site(settings, {}).digest != before.digest
    (tmp_path / "lis.wsdl").unlink()
    without = load_site(settings, {})
    assert [channel.name for channel in without.channels] == ["other"]
    assert [finding.code for finding in without.findings] == ["JL-C130"]
