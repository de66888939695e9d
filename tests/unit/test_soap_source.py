"""The SOAP source: what comes in by it, and what its callers read."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pytest
import zeep
from endpoint_parts import FakeEngine
from lxml import etree
from webservice_parts import Service, call, enveloped, found, post

from endpoints.web import WebServer
from endpoints.webservice.envelope import SOAP12
from schemas.message import Reply

ID = "0197a3c2b1d54e6f8091a2b3c4d5e6f7"
REQUEST = "<Request><TradeCode>2131</TradeCode><HospitalID>H1</HospitalID><姓名>张三</姓名></Request>"
V3 = (
    '<PRPA_IN201311UV02 xmlns="urn:hl7-org:v3"><id root="2.16.156.10011.0" extension="M1"/>'
    '<interactionId root="2.16.840.1.113883.1.6" extension="S0001"/>'
    '<receiver typeCode="RCV"><device><id>{receiver}</id></device></receiver>'
    '<sender typeCode="SND"><device><id>{sender}</id></device></sender></PRPA_IN201311UV02>'
)
ITEMS = V3.format(
    receiver='<item root="1.2" extension="EAI"/>', sender='<item root="1.2" extension="&quot;HIS&lt;&quot;"/>'
)
PLAIN = ITEMS.replace("<id><item ", "<id ").replace("/></id>", "/>")


def ask(url: str, port: str, *arguments: str) -> Any:
    """By zeep, from the WSDL that is served."""
    client = zeep.Client(f"{url}?wsdl")
    client.transport.session.trust_env = False
    name = next(iter(client.wsdl.services))
    bound = client.bind(name, f"{name}{port}")
    return bound[next(iter(client.wsdl.services[name].ports[f"{name}{port}"].binding.all()))](*arguments)


@pytest.mark.parametrize("port", ["Soap", "Soap12"])
async def test_zeep_calls_from_the_wsdl_that_is_served(web: WebServer, service: Service, port: str) -> None:
    engine = FakeEngine(Reply("accepted", id=ID))
    await service(engine, convention="call", path="/soap/his", action="2131")
    url = f"http://127.0.0.1:{web.port}/soap/his"
    answer = etree.fromstring((await asyncio.to_thread(ask, url, port, "2131", REQUEST)).encode())
    said = {child.tag: child.text for child in answer}
    assert answer.tag == "Response"
    assert (said["TradeCode"], said["ResultCode"], said["HospitalID"]) == ("2131", "0000", "H1")
    assert said["HISTradeNo"] == ID
    assert engine.got[0].body == REQUEST.encode()
    assert engine.got[0].headers["action"] == "2131"
    assert engine.got[0].headers["operation"] == "Call"
    assert engine.got[0].headers["soap"] == ("1.2" if port == "Soap12" else "1.1")


PROLOG = '<?xml version="1.0" encoding="gb2312"?>'


@pytest.mark.parametrize(
    ("inside", "written", "says"),
    [
        (f"<![CDATA[{REQUEST}]]>", "utf-8", "utf-8"),
        (f"<![CDATA[{PROLOG}{REQUEST}]]>", "utf-8", "utf-8"),
        (f"<![CDATA[{PROLOG}{REQUEST}]]>", "gbk", "gbk"),
        (f"<![CDATA[{REQUEST}]]>", "gb18030", "utf-8"),  # a lie
        (f"<![CDATA[{REQUEST}]]>", "utf-8", "gb2312"),  # another
        (f"<![CDATA[{REQUEST[:20]}]]><!-- a --><![CDATA[{REQUEST[20:]}]]>", "utf-8", "utf-8"),
        (REQUEST, "gbk", "GB2312"),  # XML as it stands
        (REQUEST.replace("<", "&amp;lt;"), "utf-8", ""),  # escaped twice
        (REQUEST.replace("<", "&lt;"), "utf-8", ""),
    ],
)  # fmt: skip
async def test_a_payload_comes_as_it_may(
    client: httpx2.AsyncClient, service: Service, inside: str, written: str, says: str
) -> None:
    engine = FakeEngine()
    await service(engine, convention="call")
    body = enveloped(
        f'<Call xmlns="http://tempuri.org/"><tradeCode>2131</tradeCode><xml>{inside}</xml></Call>'
    )
    answer = await post(
        client, "/soap", body.encode(written), f"text/xml; charset={says}" if says else "text/xml"
    )
    assert found(answer, "ResultCode") == "0000"
    tree = etree.fromstring(engine.got[0].body)  # what it says of its charset is true
    assert tree.findtext("{*}姓名") == "张三"


async def test_hl7_v2_in_an_argument_has_the_letters_that_msh_18_says(
    client: httpx2.AsyncClient, service: Service
) -> None:
    engine = FakeEngine()
    await service(engine, format="hl7v2", convention="hip")
    message = "MSH|^~\\&amp;|HIS|A|LIS|B|20260105080000||ADT^A01|1|P|2.5||||||GB 18030-2000\nPID|1||P1||张^三"
    inside = f"<HIPMessageServer><action>A</action><message>{message}</message></HIPMessageServer>"
    answer = await post(client, "/soap", enveloped(inside))
    assert 'typeCode="AA"' in answer.text
    assert (engine.got[0].charset, engine.got[0].body.decode("gb18030")[-3:]) == ("gb18030", "张^三")


async def test_namespaces_case_and_soapaction_may_be_wrong(
    client: httpx2.AsyncClient, service: Service
) -> None:
    engine = FakeEngine()
    await service(engine, convention="call", action=["2131"])
    for inside in (
        "<Call><TRADECODE>2131</TRADECODE><Xml>a</Xml></Call>",
        '<x:Call xmlns:x="urn:other"><tradeCode>2131</tradeCode><x:xml>a</x:xml></x:Call>',
    ):
        headers = {"soapaction": '"urn:nobody"', "content-type": "text/plain"}
        answer = await client.post("/soap", content=enveloped(inside).encode(), headers=headers)
        assert found(answer, "ResultCode") == "0000"
    assert len(engine.got) == 2


# Three conventions


STATES = [
    (Reply("accepted", id=ID), "AA", "0000", "accepted"),
    (Reply("pending", id=ID), "AA", "0004", f"pending {ID}: "),
    (Reply("refused", id=ID, code="JL-M030", text='not <b> "XML"', path="line 1"), "AE", "9999", "JL-M030 "),
    (Reply("failed", code="JL-B001", text="no broker"), "AE", "9999", "JL-B001 "),
]


@pytest.mark.parametrize(("reply", "hip", "result", "says"), STATES)
@pytest.mark.parametrize("sent", [ITEMS, PLAIN])
async def test_the_platform_is_answered_in_its_own_words_and_dialect(
    client: httpx2.AsyncClient, service: Service, reply: Reply, hip: str, result: str, says: str, sent: str
) -> None:
    await service(FakeEngine(reply), convention="hip", cdata=True)
    inside = f"<HIPMessageServer><action>A</action><message><![CDATA[{sent}]]></message></HIPMessageServer>"
    answer = await post(client, "/soap", enveloped(inside, SOAP12), SOAP12.media_type)
    text = etree.fromstring(answer.content).findtext(".//{urn:hl7-org:v3}HIPMessageServerResult")
    told = etree.fromstring(text.encode())
    one = {"v": "urn:hl7-org:v3"}
    item = "/v:item" if sent is ITEMS else ""
    assert told.tag == "{urn:hl7-org:v3}MCCI_IN000002UV01"
    assert told.xpath("string(v:acknowledgement/@typeCode)", namespaces=one) == hip
    assert told.xpath("string(v:acknowledgement/v:targetMessage/v:id/@extension)", namespaces=one) == "M1"
    assert told.xpath("string(v:id/@root)", namespaces=one) == "2.16.156.10011.0"
    assert told.xpath(f"string(v:receiver/v:device/v:id{item}/@extension)", namespaces=one) == '"HIS<"'
    assert told.xpath(f"string(v:sender/v:device/v:id{item}/@extension)", namespaces=one) == "EAI"
    assert says in told.xpath("string(v:acknowledgement//v:text/@value)", namespaces=one)


@pytest.mark.parametrize(("reply", "hip", "result", "says"), STATES)
async def test_front_ends_are_answered_by_a_response(
    client: httpx2.AsyncClient, service: Service, reply: Reply, hip: str, result: str, says: str
) -> None:
    await service(FakeEngine(reply), convention="call", codes={"failed": "8888"})
    answer = await post(client, "/soap", call("2131", REQUEST))
    assert answer.status_code == 200
    assert found(answer, "ResultCode") == ("8888" if reply.state == "failed" else result)
    assert found(answer, "TradeCode") == "2131"
    assert answer.headers["jingluo-state"] == reply.state
    assert len(etree.fromstring(answer.content)) == 1  # whatever the text holds, it is XML


async def test_a_destinations_answer_is_the_operations_result(
    client: httpx2.AsyncClient, service: Service
) -> None:
    told = '<?xml version="1.0" encoding="GBK"?><Response><姓名>张三</姓名></Response>'
    engine = FakeEngine(Reply("answered", id=ID, body=told.encode("gbk"), format="xml"))
    await service(engine, convention="call", charset="GBK")
    answer = await post(client, "/soap", call("2131", REQUEST))
    assert answer.headers["content-type"] == "text/xml; charset=GBK"
    text = etree.fromstring(answer.content).findtext(".//{http://tempuri.org/}CallResult")
    assert etree.fromstring(text.encode()).findtext("姓名") == "张三"


async def test_several_channels_share_an_address(client: httpx2.AsyncClient, service: Service) -> None:
    one, other = FakeEngine(), FakeEngine()
    await service(one, "patients", convention="call", action=["2131", "2132"])
    rest = await service(other, "rest", convention="call")
    with pytest.raises(OSError, match="is taken by patients"):
        await service(one, "again", convention="call", action="2132")
    with pytest.raises(OSError, match="must have one max_size"):
        await service(one, "again", convention="call", action="1", max_size="1MB")
    for code in ("2132", "9", ""):  # without an argument, the payload says it
        await post(client, "/soap", call(code, REQUEST))
    assert [message.headers["action"] for message in one.got] == ["2132", "2131"]
    assert [message.headers["action"] for message in other.got] == ["9"]
    await rest.stop()
    answer = await post(client, "/soap", call("9", REQUEST))
    assert (answer.status_code, found(answer, "ResultCode")) == (200, "9999")
    assert found(answer, "ResultContent").startswith("JL-E405 ")
    assert answer.headers["jingluo-state"] == "refused"


async def test_a_paused_channel_says_so_in_the_conventions_words(
    client: httpx2.AsyncClient, service: Service
) -> None:
    engine = FakeEngine()
    door = await service(engine, convention="call")
    door.pause()
    answer = await post(client, "/soap", call("2131", REQUEST))
    assert (found(answer, "ResultCode"), answer.headers["jingluo-state"]) == ("9999", "failed")
    door.resume()
    await post(client, "/soap", call("2131", REQUEST))
    answer = await post(client, "/soap", call("2131", ""))
    assert found(answer, "ResultContent").startswith("JL-E406 ")
    assert len(engine.got) == 1


async def test_an_address_is_given_up_with_its_last_channel(
    client: httpx2.AsyncClient, service: Service
) -> None:
    door = await service(FakeEngine(), convention="call")
    await door.stop()
    assert (await post(client, "/soap", call("2131", REQUEST))).status_code == 404
    await service(FakeEngine(), convention="hip")
    assert b"HIPMessageServer" in (await client.get("/soap?WSDL")).content


# A WSDL of the site's own


TYPES = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:site">
  <xs:element name="register"><xs:complexType><xs:sequence>
    <xs:element name="who" type="xs:string"/><xs:element name="age" type="xs:int"/>
  </xs:sequence></xs:complexType></xs:element>
  <xs:element name="registerAnswer"><xs:complexType><xs:sequence>
    <xs:element name="done" type="xs:string"/></xs:sequence></xs:complexType></xs:element>
</xs:schema>"""
WSDL = """<definitions name="Site" targetNamespace="urn:site" xmlns="http://schemas.xmlsoap.org/wsdl/"
 xmlns:t="urn:site" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:xs="http://www.w3.org/2001/XMLSchema">
 <types><xs:schema><xs:import namespace="urn:site" schemaLocation="types/site.xsd"/></xs:schema></types>
 <message name="in"><part name="p" element="t:register"/></message>
 <message name="out"><part name="p" element="t:registerAnswer"/></message>
 <message name="oneIn"><part name="doc" type="xs:string"/></message>
 <message name="oneOut"><part name="return" type="xs:string"/></message>
 <portType name="P"><operation name="register"><input message="t:in"/><output message="t:out"/></operation></portType>
 <portType name="Q"><operation name="send"><input message="t:oneIn"/><output message="t:oneOut"/></operation></portType>
 <binding name="B" type="t:P"><soap:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>
  <operation name="register"><soap:operation soapAction=""/><input><soap:body use="literal"/></input>
   <output><soap:body use="literal"/></output></operation></binding>
 <binding name="C" type="t:Q"><soap:binding style="rpc" transport="http://schemas.xmlsoap.org/soap/http"/>
  <operation name="send"><soap:operation soapAction=""/><input><soap:body use="literal" namespace="urn:site"/></input>
   <output><soap:body use="literal" namespace="urn:site"/></output></operation></binding>
 <service name="Site"><port name="SiteB" binding="t:B"><soap:address location="http://old/"/></port>
  <port name="SiteC" binding="t:C"><soap:address location="http://old/"/></port></service>
</definitions>"""


@pytest.fixture
def own_wsdl(tmp_path: Path) -> Path:
    (tmp_path / "types").mkdir()
    (tmp_path / "site.wsdl").write_text(WSDL)
    (tmp_path / "types" / "site.xsd").write_text(TYPES)
    return tmp_path


async def test_a_wsdl_of_the_site_with_its_files_is_served_and_obeyed(
    web: WebServer, client: httpx2.AsyncClient, service: Service, own_wsdl: Path
) -> None:
    engine = FakeEngine(Reply("accepted", id=ID))
    await service(engine, site=own_wsdl, wsdl="site.wsdl", path="/ws/site", answers={"accepted": "ok {id}"})

    def called() -> tuple[Any, Any]:
        zeep_client = zeep.Client(f"http://127.0.0.1:{web.port}/ws/site?wsdl")
        zeep_client.transport.session.trust_env = False
        one, other = zeep_client.bind("Site", "SiteB"), zeep_client.bind("Site", "SiteC")
        return one.register("张三", 7), other.send("<a>张三</a>")

    assert await asyncio.to_thread(called) == (f"ok {ID}", f"ok {ID}")
    whole, only = engine.got
    assert etree.fromstring(whole.body).findtext("who") == "张三"  # all of the request is the message
    assert whole.headers["argument.age"] == "7"
    assert only.body == "<a>张三</a>".encode()  # its only argument is
    answer = await post(client, "/ws/site", enveloped("<register><who>a</who><age>old</age></register>"))
    assert (answer.status_code, found(answer, "faultcode")) == (500, "soap:Client")
    assert "/register/age" in answer.text
    assert "old" not in answer.text
    assert 'code="JL-E404"' in answer.text
    assert (await client.get("/ws/site?xsd=../secret")).status_code == 404


@pytest.mark.parametrize(
    ("said", "stated"),
    [
        ({"convention": "plain"}, "needs a WSDL"),
        ({"convention": "call", "answers": {"accepted": "a"}}, "`answers` are those of `plain`"),
        ({"convention": "hip", "codes": {"accepted": "a"}}, "only `convention: call`"),
        ({"convention": "call", "charset": "Klingon"}, "cannot be written"),
        ({"wsdl": "a.wsdl", "action": "a"}, "which argument names the action"),
        ({"wsdl": "a.wsdl", "namespace": "urn:a"}, "leave `namespace` out"),
    ],
)
async def test_options_that_do_not_fit(service: Service, said: dict[str, Any], stated: str) -> None:
    with pytest.raises(ValueError, match=stated):
        await service(FakeEngine(), **said)


async def test_without_its_wsdl_a_door_does_not_open(service: Service, tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"JL-C130: no\.wsdl cannot be read"):
        await service(FakeEngine(), site=tmp_path, wsdl="no.wsdl")


async def test_names_of_the_conventions_wsdl_may_be_the_sites(
    client: httpx2.AsyncClient, service: Service
) -> None:
    engine = FakeEngine()
    names = {"action": "arg0", "message": "arg1"}
    await service(
        engine, convention="hip", namespace="http://www.example.cn", operation="Send", arguments=names
    )
    inside = '<Send xmlns="http://www.example.cn"><arg0>A</arg0><arg1>&lt;a/&gt;</arg1></Send>'
    answer = await post(client, "/soap", enveloped(inside))
    assert '<SendResponse xmlns="http://www.example.cn">' in answer.text
    assert (engine.got[0].headers["action"], engine.got[0].body) == ("A", b"<a/>")
