"""SOAP counterparts of the tests' own, which know nothing of the engine: a WSDL, and a service by aiohttp and lxml."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from lxml import etree

NS = "urn:invented:lis"
ENVELOPES = {
    "1.1": "http://schemas.xmlsoap.org/soap/envelope/",
    "1.2": "http://www.w3.org/2003/05/soap-envelope",
}
_SOAP = {"1.1": "http://schemas.xmlsoap.org/wsdl/soap/", "1.2": "http://schemas.xmlsoap.org/wsdl/soap12/"}

# Three operations: two text arguments and one of their results; one of bytes; one with several results.
_TYPES = """
  <types><x:schema targetNamespace="urn:invented:lis" elementFormDefault="qualified">
    <x:element name="Send"><x:complexType><x:sequence>
      <x:element name="action" type="x:string"/><x:element name="message" type="x:string" minOccurs="0"/>
    </x:sequence></x:complexType></x:element>
    <x:element name="SendResponse"><x:complexType><x:sequence>
      <x:element name="SendResult" type="x:string" minOccurs="0"/>
    </x:sequence></x:complexType></x:element>
    <x:element name="Store"><x:complexType><x:sequence>
      <x:element name="document" type="x:base64Binary"/>
    </x:sequence></x:complexType></x:element>
    <x:element name="StoreResponse"><x:complexType><x:sequence>
      <x:element name="StoreResult" type="x:base64Binary"/>
    </x:sequence></x:complexType></x:element>
    <x:element name="Find"><x:complexType><x:sequence>
      <x:element name="patient" type="x:string"/><x:element name="item" type="x:string" maxOccurs="unbounded"/>
    </x:sequence></x:complexType></x:element>
    <x:element name="FindResponse"><x:complexType><x:sequence>
      <x:element name="code" type="x:int"/><x:element name="found" type="x:string"/>
    </x:sequence></x:complexType></x:element>
    <x:element name="Tell"><x:complexType><x:sequence>
      <x:element name="text" type="x:string"/>
    </x:sequence></x:complexType></x:element>
  </x:schema></types>
"""


def wsdl(address: str = "http://127.0.0.1:1/", versions: tuple[str, ...] = ("1.1", "1.2")) -> str:
    messages = operations = ""
    for name in ("Send", "Store", "Find", "Tell"):
        messages += f'<message name="{name}In"><part name="p" element="t:{name}"/></message>'
        answered = f'<output message="t:{name}Out"/>' if name != "Tell" else ""
        if answered:
            messages += f'<message name="{name}Out"><part name="p" element="t:{name}Response"/></message>'
        operations += f'<operation name="{name}"><input message="t:{name}In"/>{answered}</operation>'
    bindings = ports = ""
    for version in versions:
        called = ""
        for name in ("Send", "Store", "Find", "Tell"):
            output = '<output><s:body use="literal"/></output>' if name != "Tell" else ""
            called += (
                f'<operation name="{name}"><s:operation soapAction="urn:invented:lis:{name}"/>'
                f'<input><s:body use="literal"/></input>{output}</operation>'
            )
        name, space = f"B{version.replace('.', '')}", f'xmlns:s="{_SOAP[version]}"'
        bindings += (
            f'<binding name="{name}" type="t:P" {space}>'
            f'<s:binding transport="http://schemas.xmlsoap.org/soap/http"/>{called}</binding>'
        )
        ports += f'<port name="{name}" binding="t:{name}" {space}><s:address location="{address}"/></port>'
    return (
        '<?xml version="1.0"?><definitions name="Lis" targetNamespace="urn:invented:lis" xmlns:t="urn:invented:lis" '
        'xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:x="http://www.w3.org/2001/XMLSchema">'
        f'{_TYPES}{messages}<portType name="P">{operations}</portType>{bindings}<service name="S">{ports}</service>'
        "</definitions>"
    )


@dataclass
class Heard:
    """A request as it came. `root` is its envelope."""

    headers: dict[str, str]
    body: bytes

    @property
    def root(self) -> Any:
        return etree.fromstring(self.body)

    @property
    def child(self) -> Any:
        return self.root.find("{*}Body")[0]

    def text(self, name: str) -> str:
        return str(self.child.findtext(f"{{*}}{name}"))


Answer = Callable[[Heard], Awaitable[web.StreamResponse]]


@dataclass
class Service:
    """Answers as `answer` says, by default with a result that is empty."""

    answer: Answer | None = None
    got: list[Heard] = field(default_factory=list)
    port: int = 0
    _runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/lis"

    async def start(self, tls: Any = None) -> None:
        app = web.Application(client_max_size=50_000_000)
        app.router.add_route("*", "/{any:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        heard = Heard({name.lower(): value for name, value in request.headers.items()}, await request.read())
        self.got.append(heard)
        return await self.answer(heard) if self.answer else result("Send", "")


def envelope(inner: str, version: str = "1.1", charset: str = "utf-8") -> bytes:
    text = f'<?xml version="1.0" encoding="{charset}"?><s:Envelope xmlns:s="{ENVELOPES[version]}"><s:Body>'
    return f"{text}{inner}</s:Body></s:Envelope>".encode(charset)


def result(operation: str, text: str, version: str = "1.1", charset: str = "utf-8") -> web.Response:
    """The answer of an operation with one result, its text escaped."""
    made = etree.Element("x")
    made.text = text
    inner = etree.tostring(made, encoding="unicode")[3:-4] if text else ""
    name = f"{operation}Result"
    body = f'<{operation}Response xmlns="{NS}"><{name}>{inner}</{name}></{operation}Response>'
    return says(envelope(body, version, charset), charset=charset)


def says(body: bytes, status: int = 200, kind: str = "text/xml", charset: str = "utf-8") -> web.Response:
    return web.Response(body=body, status=status, headers={"content-type": f"{kind}; charset={charset}"})


def fault(code: str, text: str = "why", version: str = "1.1", status: int = 500) -> web.Response:
    if version == "1.2":
        inner = (
            f"<s:Fault><s:Code><s:Value>s:{code}</s:Value></s:Code>"
            f'<s:Reason><s:Text xml:lang="en">{text}</s:Text></s:Reason></s:Fault>'
        )
    else:
        inner = f"<s:Fault><faultcode>s:{code}</faultcode><faultstring>{text}</faultstring></s:Fault>"
    return says(envelope(inner, version), status)


def always(response: Callable[[], web.Response]) -> Answer:
    async def answer(heard: Heard) -> web.StreamResponse:
        return response()

    return answer


def site_with(folder: Path, text: str = "") -> Path:
    (folder / "lis.wsdl").write_text(text or wsdl(), encoding="utf-8")
    return folder


async def silent(heard: Heard) -> web.StreamResponse:
    await asyncio.sleep(5)
    return web.Response()
