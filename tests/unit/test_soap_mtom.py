"""MTOM: packages that others read, packages that others made, and those that are none."""

from __future__ import annotations

import base64
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from lxml import etree
from requests_toolbelt.multipart.decoder import MultipartDecoder
from soap_parts import NS, Heard, Service, envelope, site_with
from zeep.wsdl.attachments import MessagePack
from zeep.wsdl.messages.xop import process_xop

from config import registry
from config.errors import Unreachable
from endpoints.base import Ground
from endpoints.webservice.destination import SoapDestination
from endpoints.webservice.mtom import BadPackage, is_package, pack, unpacked
from schemas.message import Message

DOCUMENT = b"%PDF-1.7\r\n--bc\r\n" + os.urandom(100_000)
INCLUDE = '<i:Include xmlns:i="http://www.w3.org/2004/08/xop/include" href="cid:{}"/>'
TOLD = f'<StoreResponse xmlns="{NS}"><StoreResult>{{}}</StoreResult></StoreResponse>'


def of_zeep(heard: Heard) -> etree._Element:
    """The envelope as another library reads it, with what stood beside it in its place."""
    parts = MultipartDecoder(heard.body, heard.headers["content-type"], "utf-8").parts
    root = etree.fromstring(parts[0].content)
    assert process_xop(root, MessagePack(parts=parts[1:]))
    return root


def packed(
    *parts: tuple[str, bytes], boundary: str = "b", line: bytes = b"\r\n", start: str = ""
) -> web.Response:
    """A package by hand. `parts`: headers and content."""
    said = f'; start="<{start}>"' if start else ""
    lines = b"the preamble" + line
    for headers, content in parts:
        lines += b"--" + boundary.encode() + line + headers.replace("\n", line.decode()).encode() + line * 2
        lines += content + line
    lines += b"--" + boundary.encode() + b"--" + line
    kind = f'multipart/related; type="application/xop+xml"; boundary="{boundary}"{said}'
    return web.Response(body=lines, headers={"content-type": kind})


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    made = Service()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def destination(tmp_path: Path, service: Service) -> AsyncIterator[SoapDestination]:
    kind = registry.destinations.get("soap")
    options = kind.Options(
        wsdl="lis.wsdl", operation="Store", url=service.url, form="base64", result_form="base64", mtom="64KB"
    )
    made = kind(options, Ground("his.archive", "", base_dir=str(site_with(tmp_path))))
    await made.start()
    yield made
    await made.stop()


async def test_a_long_document_goes_beside_the_envelope_and_comes_back_so(
    destination: SoapDestination, service: Service
) -> None:
    async def answer(heard: Heard) -> web.StreamResponse:
        told = envelope(TOLD.format(INCLUDE.format("doc%40his")))
        kind = 'Content-Type: application/xop+xml; charset=UTF-8; type="text/xml"\nContent-ID: <r@his>'
        document = ("Content-ID: <doc@his>\nContent-Transfer-Encoding: binary", DOCUMENT + b"\r\n")
        return packed(document, (kind, told), start="r@his")

    service.answer = answer
    receipt = await destination.send(Message(DOCUMENT))
    assert receipt.answer == DOCUMENT + b"\r\n"
    (heard,) = service.got
    assert DOCUMENT in heard.body
    assert heard.headers["content-type"].startswith('multipart/related; type="application/xop+xml"')
    assert 'start-info="text/xml"' in heard.headers["content-type"]
    assert base64.b64decode(of_zeep(heard).findtext(f".//{{{NS}}}document") or "") == DOCUMENT


async def test_a_short_document_stays_in_the_envelope(destination: SoapDestination, service: Service) -> None:
    async def answer(heard: Heard) -> web.StreamResponse:
        told = TOLD.format("\n" + base64.encodebytes(b"stored").decode())
        return web.Response(body=envelope(told), content_type="text/xml")

    service.answer = answer
    assert (await destination.send(Message(b"%PDF"))).answer == b"stored"
    assert service.got[0].text("document") == base64.b64encode(b"%PDF").decode()


def test_only_base64_as_schema_writes_it_goes_beside() -> None:
    root = etree.fromstring("<a><b/><c/><d/><e/></a>")
    texts = ("QUJD" * 30, "QUJD" * 29 + "QUI", "QUJD" * 29 + "QQ==", "QUJD" * 29 + "QR==")
    for element, text in zip(root, texts, strict=True):
        element.text = text
    made = pack(root, 100, "application/soap+xml", 'urn:"a"')
    assert made is not None
    assert [len(one) for one in root] == [1, 0, 1, 0]
    assert r'start-info="application/soap+xml; action=\"urn:\"a\"\""' in made.content_type
    assert pack(etree.fromstring("<a>short</a>"), 100, "text/xml", "") is None


@pytest.mark.parametrize("line", [b"\r\n", b"\n"])
@pytest.mark.parametrize("encoding", ["8bit", "base64", "quoted-printable"])
def test_packages_are_read_as_others_write_them(line: bytes, encoding: str) -> None:
    content = {"8bit": b"ABC\n", "base64": b"QUJDCg==", "quoted-printable": b"AB=43=0A"}[encoding]
    told = envelope(INCLUDE.format("1"), charset="gbk")
    made = packed(
        ("Content-Type: application/xop+xml; charset=gbk", told),
        (f"content-id: 1\ncontent-transfer-encoding: {encoding}", content),
        line=line,
    )
    body, _ = unpacked(bytes(made.body), made.headers["content-type"])  # type: ignore[arg-type]
    assert base64.b64decode(etree.fromstring(body)[0].text or "") == b"ABC\n"


def test_headers_of_a_part_may_be_folded_and_in_any_letters() -> None:
    told = envelope(INCLUDE.format("\u00e9"))
    made = packed(
        ("Content-Type: text/xml;\n\tcharset=utf-8", told), ("X: \u00e9\ncontent-id:\n <\u00e9>", b"1")
    )
    body = bytes(made.body).replace("\u00e9>".encode(), b"\xe9>").replace("X: \u00e9".encode(), b"X: \xe9")  # type: ignore[arg-type]
    assert b"MQ==" in unpacked(body, made.headers["content-type"])[0]


def test_attachments_that_nothing_includes_are_left_alone() -> None:
    made = packed(("Content-Type: text/xml; charset=gbk", "<李/>".encode("gbk")), ("Content-ID: <x>", b"1"))
    body, charset = unpacked(bytes(made.body), made.headers["content-type"])  # type: ignore[arg-type]
    assert (body.decode("gbk"), charset) == ("<李/>", "gbk")
    assert is_package(made.headers["content-type"])
    assert not is_package("text/xml")


ROOT = ("Content-ID: <r>", envelope(INCLUDE.format("x")))
PART = ("Content-ID: <x>", b"1")
TWICE = ("Content-ID: <r>", envelope(f"<a>{INCLUDE.format('x')}</a><b>{INCLUDE.format('x')}</b>"))


@pytest.mark.parametrize(
    ("parts", "cut"),
    [
        ([ROOT], 0),
        ([TWICE, PART], 0),
        ([("Content-ID: <r>", ROOT[1][:-3]), PART], 0),
        ([ROOT, PART], 5),
        ([ROOT, PART], 10_000),
        ([ROOT, ("Content-ID: <x>\nContent-Transfer-Encoding: base64", b"A")], 0),
        ([ROOT, *[PART] * 1001], 0),
        ([ROOT, ("Content-ID: <x>", b"1" * 7_000_001)], 0),
    ],
)
async def test_what_is_no_whole_package_is_an_answer_that_is_none(
    destination: SoapDestination, service: Service, parts: list[tuple[str, bytes]], cut: int
) -> None:
    made = packed(*parts)
    body, kind = bytes(made.body), made.headers["content-type"]  # type: ignore[arg-type]
    with pytest.raises(BadPackage):
        unpacked(body[: len(body) - cut], kind)

    async def answer(heard: Heard) -> web.StreamResponse:
        return web.Response(body=body[: max(len(body) - cut, 0)], headers={"content-type": kind})

    service.answer = answer
    with pytest.raises(Unreachable, match="JL-E421"):
        await destination.send(Message(b"1"))


def test_a_package_without_a_boundary_is_none() -> None:
    with pytest.raises(BadPackage):
        unpacked(b"--b\r\n\r\n<a/>\r\n--b--", "multipart/related")
