"""What the tests of web services share: doors on the engine's web server, and envelopes byte by byte."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from xml.sax.saxutils import escape

import httpx2

from endpoints.webservice.envelope import SOAP11, Version
from endpoints.webservice.source import SoapSource

Service = Callable[..., Awaitable[SoapSource]]  # what the fixture `service` gives


def enveloped(inside: str, version: Version = SOAP11, head: str = "") -> str:
    head = f"<e:Header>{head}</e:Header>" if head else ""
    return f'<e:Envelope xmlns:e="{version.namespace}">{head}<e:Body>{inside}</e:Body></e:Envelope>'


def call(trade_code: str, xml: str, version: Version = SOAP11) -> str:
    """A front-end call, as programs write it: the payload escaped."""
    inside = f"<tradeCode>{trade_code}</tradeCode><xml>{escape(xml)}</xml>"
    return enveloped(f'<Call xmlns="http://tempuri.org/">{inside}</Call>', version)


async def post(
    client: httpx2.AsyncClient, path: str, body: str | bytes, kind: str = "text/xml; charset=utf-8"
) -> httpx2.Response:
    body = body if isinstance(body, bytes) else body.encode()
    return await client.post(path, content=body, headers={"content-type": kind})


def found(answer: httpx2.Response, name: str) -> str:
    """What stands in an element of the answer, or of the text that is its result."""
    text = re.sub("&(lt|gt|amp);", lambda m: {"lt": "<", "gt": ">", "amp": "&"}[m[1]], answer.text)
    match = re.search(rf"<(?:\w+:)?{name}[^>]*>([^<]*)<", text)
    return match[1] if match else ""
