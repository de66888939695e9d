"""What a caller reads: an operation's result, or a fault, as an answer of HTTP.

SOAP 1.1 answers every fault with 500 (its section 6.2), SOAP 1.2 those of the caller with 400. A limit keeps its own
status (413, 503), which proxies understand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from fastapi import Response
from lxml import etree

from endpoints.webservice.conventions import Said
from endpoints.webservice.envelope import SOAP12, Fault, Version, element_of, printable, write, write_fault
from endpoints.webservice.wsdl import Operation
from schemas.message import Reply
from schemas.xml import Element

if TYPE_CHECKING:
    from endpoints.webservice.options import SourceOptions


def respond(
    version: Version, operation: Operation, said: Said, reply: Reply, options: SourceOptions
) -> Response:
    body = write(version, result(operation, said.text, options.cdata), charset=options.charset)
    made = Response(body, 200, media_type=f"{version.media_type}; charset={options.charset}")
    made.headers["jingluo-state"] = reply.state
    if reply.id:
        made.headers["jingluo-id"] = reply.id
    return made


def respond_fault(
    version: Version, fault: Fault, status: int = 0, headers: Mapping[str, str] | None = None
) -> Response:
    status = status or (400 if version is SOAP12 and fault.role != "receiver" else 500)
    media_type = f"{version.media_type}; charset=utf-8"
    return Response(write_fault(version, fault), status, dict(headers or {}), media_type)


def _empty(tag: str, inside: str) -> Element:
    """Where the parts inside have no namespace, the element's own gets a prefix: they need no `xmlns=""` then."""
    namespace = etree.QName(tag).namespace if tag else None
    if not namespace:
        return etree.Element(tag or "answer")
    return etree.Element(tag, nsmap={"m" if inside and inside[0] != "{" else None: namespace})  # type: ignore[dict-item]


def result(operation: Operation, text: str, cdata: bool = False) -> Element:
    """The answer's element in the body. The text is the operation's first result; where that has elements, its XML."""
    part = operation.results[0] if operation.results else None
    document = element_of(text) if part is None or not part.text else None
    if document is not None and document.tag == operation.answer:
        return document
    made = _empty(operation.answer, part.tag if part is not None else "")
    if part is None:
        return made
    if document is not None and document.tag == part.tag:
        made.append(document)
        return made
    inside = etree.SubElement(made, part.tag)
    if document is not None:
        inside.append(document)
    else:
        text = printable(text)
        inside.text = etree.CDATA(text) if cdata and "]]>" not in text else text
    return made
