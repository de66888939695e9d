"""How HISes want to be spoken to: one profile for each way, by what stands on the wire."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from his_parts import NOW
from lxml import etree

from config.errors import Refused
from endpoints.hisparty.party import HisParty
from endpoints.hisparty.profile import load
from endpoints.hisparty.wire import Wire
from endpoints.rest.sending import Answer

XML = """
his: own
speaks: {soap: %s}
body: {Request: {Code: $trade, Content: $content}}
answer: {code: $.Response.Code, content: $.Response.Content}
codes: {yes: ["0"], no: ["1"]}
operations:
  unpaid:
    trade: "2090"
    send: {Name: $.name, Day: "$.day|%%Y%%m%%d", At: "$now|%%Y%%m%%d%%H%%M%%S%%3f", None: $.none}
    keep: {bills: {each: $.Bills.Bill, make: {bill_no: $.@No, amount: $.Amt|fen}}}
"""
JSON = """
his: own
speaks: {json: %s}
body: {service: $trade, data: $content, sign: $sign}
content: json
sign: %s
answer: {code: $.code, content: $.data}
codes: {yes: ["0"], no: ["1"]}
operations:
  unpaid: {trade: bill.unpaid, send: {name: $.name}, keep: {bills: {each: $.list, make: {bill_no: $.no}}}}
"""
ASKED = {"name": "张三丰", "day": "2026-01-05"}


class Wired:
    """A party whose other side answers what it is told to; `url`, `headers`, `body` are the last request's."""

    def __init__(self, folder: Path, text: str, answer: bytes, secret: str = "k") -> None:
        (folder / "own.yaml").write_text(text, "utf-8")
        self.answer = answer
        self.party = HisParty(
            load(folder / "own.yaml"),
            Wire(load(folder / "own.yaml"), "http://his/ws", {}, secret, lambda: NOW),
            self.post,
        )

    async def post(self, method: str, url: str, headers: Any, body: bytes) -> Answer:
        self.url, self.headers, self.body = url, headers, body
        return Answer(200, "", {"content-type": "text/xml"}, self.answer)

    async def ask(self) -> dict[str, Any]:
        return await self.party.ask("unpaid", ASKED, {})


def soap(inside: str, charset: str = "utf-8") -> bytes:
    text = (
        f'<?xml version="1.0" encoding="{charset}"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">'
        f"<s:Body><R xmlns='urn:x'><out>{inside}</out></R></s:Body></s:Envelope>"
    )
    return text.encode(charset)


BILLS = '<Bills><Bill No="B1"><Amt>3010</Amt></Bill></Bills>'
INNER = (
    f'<?xml version="1.0" encoding="gb2312"?><Response><Code>0</Code><Content>{BILLS}</Content></Response>'
)


@pytest.mark.parametrize(
    "inside",
    [
        f"<![CDATA[{INNER}]]>",
        INNER.replace("<", "&lt;"),
        INNER.partition("?>")[2],
        f"<![CDATA[{INNER.replace(BILLS, BILLS.replace('<', '&lt;'))}]]>",
    ],
    ids=["cdata", "escaped", "elements", "escaped in cdata"],
)
async def test_an_answer_is_read_however_it_stands_in_its_envelope(tmp_path: Path, inside: str) -> None:
    wired = Wired(tmp_path, XML % "{operation: Call}", soap(inside))
    assert (await wired.ask())["bills"] == [{"bill_no": "B1", "amount": "30.10"}]


async def test_gbk_is_spoken_both_ways(tmp_path: Path) -> None:
    text = XML % "{operation: Call, charset: GBK}" + "prolog: gb2312\n"
    wired = Wired(tmp_path, text.replace("Amt|fen", "Name"), soap(f"<![CDATA[{INNER}]]>", "gbk"))
    wired.answer = wired.answer.replace(b"<Amt>3010</Amt>", "<Name>张三丰</Name>".encode("gbk"))
    assert (await wired.ask())["bills"] == [{"bill_no": "B1", "amount": "张三丰"}]
    assert b'encoding="GBK"' in wired.body
    assert "张三丰".encode("gbk") in wired.body


@pytest.mark.parametrize(("form", "raw"), [("cdata", b"<![CDATA[<"), ("text", b"&lt;Request")])
async def test_a_request_stands_as_the_his_wants_it(tmp_path: Path, form: str, raw: bytes) -> None:
    own = f"{{operation: 'Service{{trade}}', namespace: 'urn:h', arguments: {{user: JL, in: $body}}, form: {form}}}"
    wired = Wired(tmp_path, XML % own, soap(f"<![CDATA[{INNER}]]>"))
    await wired.ask()
    assert raw in wired.body
    root = etree.fromstring(wired.body)
    (called,) = root.iter("{urn:h}Service2090")
    assert called.findtext("{urn:h}user") == "JL"
    inner = etree.fromstring(called.findtext("{urn:h}in") or "")
    content = inner.find("Content")
    assert content is not None
    assert {one.tag: one.text for one in content} == {
        "Name": "张三丰",
        "Day": "20260105",
        "At": "20260105090000000",
    }
    assert wired.headers["soapaction"] == '"urn:h/Service2090"'


async def test_an_rsa_signature_is_over_the_content_as_it_is_sent(tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    sign = '{rsa: "{content}"}'
    wired = Wired(
        tmp_path, JSON % ("{path: '/{trade}'}", sign), b'{"code": 0, "data": "{\\"list\\": []}"}', pem
    )
    assert (await wired.ask())["bills"] == []
    assert wired.url == "http://his/ws/bill.unpaid"
    sent = json.loads(wired.body)
    key.public_key().verify(
        base64.b64decode(sent["sign"]), sent["data"].encode(), padding.PKCS1v15(), hashes.SHA256()
    )


async def test_a_form_is_sent_in_the_charset_that_the_his_reads(tmp_path: Path) -> None:
    answer = '{"code": "0", "data": {"list": [{"no": "单1"}]}}'.encode("gbk")
    wired = Wired(tmp_path, JSON % ("{form: form, charset: GBK}", '{md5: "{secret}{content}"}'), answer)
    assert (await wired.ask())["bills"] == [{"bill_no": "单1"}]
    assert b"%D5%C5%C8%FD%B7%E1" in wired.body


async def test_what_a_code_means_that_stands_nowhere_is_nobodys_yes(tmp_path: Path) -> None:
    wired = Wired(tmp_path, JSON % ("{}", '{md5: "{content}"}'), b'{"code": "77"}')
    told = await wired.ask()
    assert (told["outcome"], told["code"]) == ("UNKNOWN", "77")


@pytest.mark.parametrize("name", ["甲\x00", "甲\ud800"])
async def test_what_cannot_be_written_is_refused_and_nothing_leaves(tmp_path: Path, name: str) -> None:
    wired = Wired(tmp_path, XML % "{}", soap(f"<![CDATA[{INNER}]]>"))
    with pytest.raises(Refused, match="JL-H003"):
        await wired.party.ask("unpaid", {"name": name}, {})
    assert not hasattr(wired, "body")
