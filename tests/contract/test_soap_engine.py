"""SOAP through a whole engine: to a party and back, once for each number, large ones, and a WSDL that changes."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from xml.sax.saxutils import escape

import httpx2
import pytest
from asked_parts import Asked
from engine_parts import running, settled, write_site
from missing import missing

from endpoints.webservice.options import SourceOptions
from router.engine import Engine
from router.search import Query

CHANNEL = """\
channel: front
from: {{soap: {{path: /soap/his, convention: call, action: "2131", charset: GBK{soap}}}}}
format: xml
index: {{patient: $/Request/PatientID}}
duplicates: {{by: $/Request/HISTradeNo, within: 1h}}
to:
  party: {{send: {{http: {{url: "http://127.0.0.1:{port}/his", timeout: 20s}}}}, retry: {{first: 100ms, max: 100ms}}}}
reply: party
timeout: {timeout}
"""


class Party(Asked):
    """Answers with the name that it was asked about."""

    kind = "application/xml; charset=GB18030"

    def __init__(self) -> None:
        super().__init__()
        self.got: list[bytes] = []

    def answer(self, body: bytes) -> bytes:
        self.got.append(body)
        name = re.search("<PatientName>(.*?)<", body.decode())
        said = f"<Response><ResultCode>0000</ResultCode><Name>{name[1] if name else ''}</Name></Response>"
        return f'<?xml version="1.0" encoding="GB18030"?>{said}'.encode("gb18030")


@pytest.fixture
async def party() -> AsyncIterator[Party]:
    made = await Party().start()
    yield made
    await made.stop()


def site(folder: Path, party: Party, soap: str = "", timeout: str = "10s") -> Path:
    return write_site(folder, {"front": CHANNEL.format(port=party.port, soap=soap, timeout=timeout)})


def envelope(number: str, code: str = "2131", name: str = "张三", filling: int = 0) -> bytes:
    request = f"<HISTradeNo>{number}</HISTradeNo><PatientID>P1</PatientID><PatientName>{name}</PatientName>"
    request = f'<?xml version="1.0" encoding="gb2312"?><Request>{request}<Content>{"x" * filling}</Content></Request>'
    inside = f"<tradeCode>{code}</tradeCode><xml>{escape(request)}</xml>"
    body = f'<Call xmlns="http://tempuri.org/">{inside}</Call>'
    return f'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>{body}</s:Body></s:Envelope>'.encode(
        "gb18030"
    )


def url_of(engine: Engine) -> str:
    return f"http://127.0.0.1:{engine.web.port}/soap/his"


async def ask(engine: Engine, body: bytes) -> httpx2.Response:
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as client:
        return await client.post(
            url_of(engine), content=body, headers={"content-type": "text/xml; charset=GBK"}
        )


def said(answer: httpx2.Response, name: str) -> str:
    found = re.search(f"&lt;{name}&gt;(.*?)&lt;", answer.content.decode("gbk"))
    return found[1] if found else ""


async def test_a_call_goes_to_a_party_and_back_once_for_each_number(
    tmp_path: Path, party: Party, broker: str
) -> None:
    async with running(site(tmp_path, party), broker=broker) as engine:
        first, again, other = await asyncio.gather(
            ask(engine, envelope("1")), ask(engine, envelope("1")), ask(engine, envelope("2", name="李四"))
        )
        nobody = await ask(engine, envelope("3", code="9"))
        assert [said(one, "ResultCode") for one in (first, other, nobody)] == ["0000", "0000", "9999"]
        assert (said(first, "Name"), said(other, "Name")) == ("张三", "李四")
        assert again.headers["jingluo-id"] == first.headers["jingluo-id"]
        assert len(party.got) == 2
        await settled(engine, "accepted", 2)
        found = engine.store.search(Query(index={"patient": "P1"}), 10).found
        assert {one.channel for one in found} == {"front"}


async def test_who_waits_too_long_hears_not_to_send_it_again(tmp_path: Path, party: Party) -> None:
    party.open.clear()
    async with running(site(tmp_path, party, timeout="200ms")) as engine:
        answer = await ask(engine, envelope("1"))
        assert (said(answer, "ResultCode"), answer.headers["jingluo-state"]) == ("0004", "pending")
        party.open.set()


async def test_a_large_call_is_kept_apart(tmp_path: Path, party: Party) -> None:
    async with running(site(tmp_path, party)) as engine:
        answer = await ask(engine, envelope("1", filling=3_000_000))
        assert said(answer, "ResultCode") == "0000"
    assert [len(body) > 3_000_000 for body in party.got] == [True]


async def test_the_interface_of_rest_says_nothing_of_web_services(tmp_path: Path, party: Party) -> None:
    async with running(site(tmp_path, party)) as engine, httpx2.AsyncClient(trust_env=False) as client:
        document = (await client.get(f"http://127.0.0.1:{engine.web.port}/openapi.json")).json()
        assert "/soap/his" not in document["paths"]


async def test_what_is_no_soap_is_found_in_the_journal(tmp_path: Path, party: Party) -> None:
    async with running(site(tmp_path, party)) as engine:
        answer = await ask(engine, b"<a/>")
        assert answer.status_code == 500
        await settled(engine, "refused", 1)
        (found,) = engine.store.search(Query(state="refused"), 10).found
        assert engine.store.show(found.id).body == b"<a/>"


async def test_a_wsdl_that_changed_is_a_changed_door(tmp_path: Path, party: Party) -> None:
    own = SourceOptions(convention="call").contract(tmp_path)
    text = own.files[own.main]
    made = site(tmp_path, party, soap=", wsdl: his.wsdl")
    (made / "his.wsdl").write_bytes(text)
    async with running(made) as engine:
        assert said(await ask(engine, envelope("1")), "ResultCode") == "0000"
        (made / "his.wsdl").write_bytes(text.replace(b"http://tempuri.org/", b"urn:new"))
        await engine.reload.apply()
        answer = await ask(engine, envelope("2"))
        assert b'xmlns="urn:new"' in answer.content


async def test_curl_asks_as_the_manual_says(tmp_path: Path, party: Party) -> None:
    curl = shutil.which("curl")
    if curl is None:
        missing("curl is not here")
    (tmp_path / "call.xml").write_bytes(envelope("1"))
    async with running(site(tmp_path, party)) as engine:
        for arguments, wanted in (
            ((f"{url_of(engine)}?wsdl",), url_of(engine).encode()),
            (
                (url_of(engine), "-H", "content-type: text/xml; charset=gbk", "--data-binary", "@call.xml"),
                b"0000",
            ),
        ):
            asked = await asyncio.create_subprocess_exec(
                curl,
                "-s",
                "--noproxy",
                "*",
                "-m",
                "20",
                *arguments,
                stdout=asyncio.subprocess.PIPE,
                cwd=tmp_path,
            )
            out, _ = await asked.communicate()
            assert wanted in out
