"""What callers of a web service may bring, and what hostile ones hear."""

from __future__ import annotations

import asyncio
import csv
import gzip
import random
from pathlib import Path

import httpx2
import pytest
from endpoint_parts import FakeEngine
from lxml import etree
from webservice_parts import Service, call, enveloped, found, post

from endpoints.web import WebServer
from endpoints.webservice import address
from endpoints.webservice.envelope import SOAP12
from schemas.message import Reply

REQUEST = "<Request><TradeCode>2131</TradeCode></Request>"
GOOD = call("2131", REQUEST)


def code_of(answer: httpx2.Response) -> str:
    """The code in a fault's detail; '' where the answer is none."""
    error = etree.fromstring(answer.content).find(".//{urn:jingluo:soap}error")
    return error.get("code", "") if error is not None else ""


async def test_a_large_body_is_a_fault_and_filed_with_its_head(
    client: httpx2.AsyncClient, service: Service
) -> None:
    engine = FakeEngine()
    await service(engine, convention="call", max_size="10KB")
    answer = await post(client, "/soap", call("2131", "x" * 20_000))
    assert (answer.status_code, code_of(answer)) == (413, "JL-E201")
    assert found(answer, "faultcode") == "soap:Client"
    assert engine.refused[0].fault_code == "JL-E201"
    chunks = (GOOD.encode() for _ in range(100))  # of unknown length: read until it is too much

    async def pieces():
        for chunk in chunks:
            yield chunk

    answer = await client.post("/soap", content=pieces(), headers={"content-type": "text/xml"})
    assert (answer.status_code, code_of(answer)) == (413, "JL-E201")
    assert [message.body[:11] for message in engine.refused] == [b"<e:Envelope"] * 2
    assert found(await post(client, "/soap", GOOD), "ResultCode") == "0000"


async def test_a_body_that_does_not_end_is_a_fault(web: WebServer, service: Service) -> None:
    await service(FakeEngine(), convention="call", body_within="100ms")
    reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
    writer.write(
        b"POST /soap HTTP/1.1\r\nhost: a\r\ncontent-type: text/xml\r\ncontent-length: 500\r\n\r\n<e:Env"
    )
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'code="JL-E203"' in answer


async def test_small_calls_of_unknown_length_do_not_wait_for_one_another(
    client: httpx2.AsyncClient, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address, "_LARGE_AT_ONCE", 1)
    engine = FakeEngine(held=True)
    await service(engine, convention="call")

    async def chunked():
        yield GOOD.encode()

    calls = [
        asyncio.create_task(client.post("/soap", content=chunked(), headers={"content-type": "text/xml"}))
        for _ in range(3)
    ]
    await engine.has(3)
    for one in engine.open:
        one.set_result(Reply("accepted", id="1"))
    assert {(await one).status_code for one in calls} == {200}


async def test_too_many_at_once_are_told_to_come_back(client: httpx2.AsyncClient, service: Service) -> None:
    engine = FakeEngine(held=True)
    await service(engine, convention="call", requests=1)
    first = asyncio.create_task(post(client, "/soap", GOOD))
    await engine.has(1)
    second = await post(client, "/soap", GOOD.replace("schemas.xmlsoap.org", "a"), SOAP12.media_type)
    assert (second.status_code, second.headers["retry-after"], code_of(second)) == (503, "5", "JL-E211")
    assert found(second, "Value") == "soap:Receiver"
    engine.open[0].set_result(Reply("accepted", id="1"))
    assert found(await first, "ResultCode") == "0000"


BOMB = '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;">]>'
FILE = '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
ABROAD = '<!DOCTYPE a SYSTEM "http://127.0.0.1:1/a.dtd">'


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (BOMB + GOOD.replace(">2131<", ">&c;<"), "JL-E401"),
        (FILE + GOOD.replace(">2131<", ">&a;<"), "JL-E401"),
        (ABROAD + GOOD, "JL-E401"),
        (GOOD.replace(">2131<", ">&nobody;<"), "JL-E401"),
        ("<a>" * 300 + "</a>" * 300, "JL-E401"),
        (GOOD[:-5], "JL-E401"),
        (GOOD + "<a/>", "JL-E401"),
        (GOOD.replace("xmlsoap.org/soap", "xmlsoap.org/none"), "JL-E402"),
        (enveloped(""), "JL-E402"),
        (enveloped("<Steal/>"), "JL-E403"),
        (enveloped("<Call><tradeCode>1</tradeCode><xml>a</xml><xml>b</xml></Call>"), "JL-E404"),
        (enveloped("<Call><tradeCode><a>1</a></tradeCode><xml>a</xml></Call>"), "JL-E404"),
        (enveloped("<Call/>", head='<x:Security xmlns:x="urn:x" e:mustUnderstand="1"/>'), "JL-E407"),
    ],
)
async def test_what_is_no_call_is_a_fault_that_is_filed(
    client: httpx2.AsyncClient, service: Service, body: str, code: str
) -> None:
    engine = FakeEngine()
    await service(engine, convention="call")
    answer = await post(client, "/soap", body)
    assert (answer.status_code, code_of(answer)) == (500, code)
    assert "root:" not in answer.text
    assert [message.fault_code for message in engine.refused] == [code]
    assert found(await post(client, "/soap", GOOD), "ResultCode") == "0000"


async def test_addresses_are_understood_and_other_headers_left_alone(
    client: httpx2.AsyncClient, service: Service
) -> None:
    await service(FakeEngine(), convention="call")
    head = '<w:To xmlns:w="http://www.w3.org/2005/08/addressing" e:mustUnderstand="1">a</w:To><x>b</x>'
    body = enveloped("<Call><tradeCode>1</tradeCode><xml>a</xml></Call>", SOAP12, head)
    answer = await post(client, "/soap", body, SOAP12.media_type)
    assert (answer.headers["content-type"], found(answer, "ResultCode")) == (
        "application/soap+xml; charset=UTF-8",
        "0000",
    )


async def test_gzip_and_mtom_are_unpacked(client: httpx2.AsyncClient, service: Service) -> None:
    engine = FakeEngine()
    await service(engine, convention="call")
    headers = {"content-encoding": "gzip", "content-type": "text/xml"}
    packed = gzip.compress(GOOD.encode())
    assert found(await client.post("/soap", content=packed, headers=headers), "ResultCode") == "0000"
    answer = await client.post("/soap", content=packed[:-9], headers=headers)
    assert (answer.status_code, code_of(answer)) == (400, "JL-E218")
    xop = '<Include xmlns="http://www.w3.org/2004/08/xop/include" href="cid:a@b"/>'
    root = GOOD.replace("&lt;Request&gt;&lt;TradeCode&gt;2131&lt;/TradeCode&gt;&lt;/Request&gt;", xop)
    parts = (
        f"--B\r\nContent-Type: application/xop+xml\r\n\r\n{root}\r\n--B\r\nContent-ID: <a@b>\r\n\r\nbytes\r\n"
    )
    kind = 'multipart/related; type="application/xop+xml"; boundary=B'
    assert found(await post(client, "/soap", f"{parts}--B--", kind), "ResultCode") == "0000"
    assert engine.got[-1].body == b"Ynl0ZXM="
    answer = await post(client, "/soap", parts, kind)
    assert (answer.status_code, code_of(answer)) == (500, "JL-E408")


async def test_whatever_comes_the_answer_is_an_envelope(client: httpx2.AsyncClient, service: Service) -> None:
    engine, chance = FakeEngine(), random.Random(1)
    await service(engine, convention="call")
    for _ in range(100):
        body = bytearray(GOOD.encode())
        for _ in range(chance.randrange(1, 6)):
            at = chance.randrange(len(body))
            body[at : at + chance.randrange(3)] = chance.randbytes(chance.randrange(4))
        answer = await post(client, "/soap", bytes(body))
        assert answer.status_code in (200, 500)
        assert etree.fromstring(answer.content).tag.endswith("}Envelope")


async def test_strangers_are_refused_before_anything_is_read(
    client: httpx2.AsyncClient, service: Service
) -> None:
    engine = FakeEngine()
    await service(engine, convention="call", callers=["his"])
    answer = await post(client, "/soap", GOOD)
    assert (answer.status_code, answer.json()["code"]) == (401, "JL-E214")
    assert (await client.get("/soap?wsdl")).status_code == 401
    assert not engine.got
    assert not engine.refused


async def test_all_services_of_the_platform_have_a_channel_each_at_one_address(
    client: httpx2.AsyncClient, service: Service
) -> None:
    table = Path(__file__).parents[2] / "schemas" / "tables" / "hip-service.csv"
    rows = list(csv.DictReader(line for line in table.read_text("utf-8").splitlines() if line[:1] != "#"))
    assert len(rows) == 81
    engines = {}
    for row in rows:  # for those of results no name was found: they are called by their code
        action = row["action"] or row["code"]
        engines[action] = FakeEngine(Reply("accepted", id="1"))
        await service(engines[action], row["code"].lower(), convention="hip", path="/soap/hip", action=action)
    for row in rows:
        action = row["action"] or row["code"]
        message = f'&lt;{row["root"]} xmlns="urn:hl7-org:v3"/&gt;'
        inside = f"<HIPMessageServer><action>{action}</action><message>{message}</message></HIPMessageServer>"
        answer = await post(client, "/soap/hip", enveloped(inside), SOAP12.media_type)
        assert 'typeCode="AA"' in answer.text
    assert [len(engine.got) for engine in engines.values()] == [1] * 81
    told = [etree.QName(etree.fromstring(engine.got[0].body)).localname for engine in engines.values()]
    assert told == [row["root"] for row in rows]


async def test_names_that_libxml2_cuts_in_the_midst_of_a_letter_are_a_fault_too(
    client: httpx2.AsyncClient, service: Service
) -> None:
    await service(FakeEngine(), convention="call")
    for length in range(20, 60):
        name = "p:" + "x" * (length % 3) + "张" * length
        answer = await post(
            client, "/soap", enveloped(f'<Call xmlns:p="urn:p"><{name}><{name}/></{name}></Call>')
        )
        assert (answer.status_code, code_of(answer)) == (500, "JL-E404")
