"""SOAP's envelope, 1.1 and 1.2: read tolerantly, written strictly.

SOAP 1.1: W3C Note of 2000-05-08, faults in section 4.4. SOAP 1.2: W3C Recommendation of 2007-04-27, part 1, faults in
section 5.4. Payloads may be in any charset, and say another: `schemas.xml` reads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from lxml import etree

from config.errors import BadMessage
from schemas.xml import Element, Xml

_ADDRESSING = ("http://www.w3.org/2005/08/addressing", "http://schemas.xmlsoap.org/ws/2004/08/addressing")
DETAIL = "urn:jingluo:soap"  # the namespace of what a fault's detail holds
_XML = "http://www.w3.org/XML/1998/namespace"
_READER = Xml()


class Version(NamedTuple):
    name: str
    namespace: str
    media_type: str

    def tag(self, local: str) -> str:
        return f"{{{self.namespace}}}{local}"


SOAP11 = Version("1.1", "http://schemas.xmlsoap.org/soap/envelope/", "text/xml")
SOAP12 = Version("1.2", "http://www.w3.org/2003/05/soap-envelope", "application/soap+xml")
VERSIONS = {version.namespace: version for version in (SOAP11, SOAP12)}


@dataclass(frozen=True, slots=True)
class Envelope:
    """`child` is the body's first element: an operation's, or a fault. `headers` are the blocks of the header."""

    version: Version
    child: Element
    headers: Sequence[Element] = ()


Role = Literal["sender", "receiver", "version", "header"]
# Whose fault it is, in the words of 1.1 and 1.2. The same again helps with the receiver's alone.
_ROLES: dict[Role, tuple[str, str]] = {
    "sender": ("Client", "Sender"),
    "receiver": ("Server", "Receiver"),
    "version": ("VersionMismatch", "VersionMismatch"),
    "header": ("MustUnderstand", "MustUnderstand"),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """`code` is stable, and ours."""

    code: str
    text: str
    role: Role = "sender"


class NoEnvelope(Exception):
    """What came is not SOAP, and the fault that says so."""

    def __init__(self, fault: Fault, version: Version | None = None) -> None:
        """`version`: in which it is to be said, where that is known."""
        super().__init__(fault.text)
        self.fault, self.version = fault, version


def read(body: bytes, charset: str = "") -> Envelope:
    """The envelope. `charset` is what the request's `content-type` says; where it lies, the letters are tried.

    Raises NoEnvelope: JL-E401 not XML (or with a DTD), JL-E402 no SOAP.
    """
    try:
        root = _READER.decode(body, charset)
    except BadMessage as error:
        raise NoEnvelope(Fault("JL-E401", error.text)) from None
    name = etree.QName(root)
    version = VERSIONS.get(name.namespace or "")
    if version is None or name.localname != "Envelope":
        role: Role = "version" if name.localname == "Envelope" else "sender"
        raise NoEnvelope(Fault("JL-E402", "the document is no SOAP envelope, 1.1 or 1.2", role))
    found = root.find(version.tag("Body"))
    child = next((one for one in found if isinstance(one.tag, str)), None) if found is not None else None
    if child is None:
        raise NoEnvelope(Fault("JL-E402", "the SOAP envelope has no body, or nothing in it"))
    head = root.find(version.tag("Header"))
    blocks = [one for one in head if isinstance(one.tag, str)] if head is not None else []
    return Envelope(version, child, blocks)


def not_understood(read: Envelope) -> Element | None:
    """A header that its sender wants understood (SOAP 1.1 4.2.3, 1.2 part 1 5.2.3), and that is none of ours.

    Addresses (WS-Addressing) are understood: a call is answered where it came from.
    """
    tag = read.version.tag
    for block in read.headers:
        other = block.get(tag("actor")) or block.get(tag("role")) or ""
        asked = (block.get(tag("mustUnderstand")) or "").strip() in ("1", "true")
        ours = etree.QName(block).namespace in _ADDRESSING
        if asked and not ours and (not other or other.rpartition("/")[2] in ("next", "ultimateReceiver")):
            return block
    return None


def write(version: Version, child: Element, headers: Sequence[Element] = (), charset: str = "UTF-8") -> bytes:
    """An envelope around an element. What the charset lacks becomes `&#n;`."""
    return written(build(version, child, headers), charset)


def build(version: Version, child: Element, headers: Sequence[Element] = ()) -> Element:
    root = etree.Element(version.tag("Envelope"), nsmap={"soap": version.namespace})
    if headers:
        etree.SubElement(root, version.tag("Header")).extend(headers)
    etree.SubElement(root, version.tag("Body")).append(child)
    return root


def written(root: Element, charset: str = "UTF-8") -> bytes:
    """With a declaration as legacy software writes it."""
    body = etree.tostring(root, encoding=charset, xml_declaration=False)
    assert isinstance(body, bytes)
    return f'<?xml version="1.0" encoding="{charset}"?>'.encode(charset) + body


def element_of(text: str) -> Element | None:
    """A text as XML; None where it is none."""
    try:
        return _READER.decode(text.encode("utf-8", "surrogatepass"))
    except BadMessage:
        return None


def write_fault(version: Version, fault: Fault) -> bytes:
    """The version's own form of a fault; its detail is `<error xmlns="urn:jingluo:soap" code="JL-E402"/>`."""
    return write(version, _fault12(fault) if version is SOAP12 else _fault11(fault))


def _fault11(fault: Fault) -> Element:
    made = etree.Element(SOAP11.tag("Fault"), nsmap={"soap": SOAP11.namespace})
    etree.SubElement(made, "faultcode").text = f"soap:{_ROLES[fault.role][0]}"
    etree.SubElement(made, "faultstring").text = printable(fault.text)
    etree.SubElement(made, "detail").append(_detail(fault))
    return made


def _fault12(fault: Fault) -> Element:
    made = etree.Element(SOAP12.tag("Fault"), nsmap={"soap": SOAP12.namespace})
    code = etree.SubElement(made, SOAP12.tag("Code"))
    etree.SubElement(code, SOAP12.tag("Value")).text = f"soap:{_ROLES[fault.role][1]}"
    reason = etree.SubElement(made, SOAP12.tag("Reason"))
    text = etree.SubElement(reason, SOAP12.tag("Text"))
    text.set(f"{{{_XML}}}lang", "en")
    text.text = printable(fault.text)
    etree.SubElement(made, SOAP12.tag("Detail")).append(_detail(fault))
    return made


def _detail(fault: Fault) -> Element:
    made = etree.fromstring(f'<error xmlns="{DETAIL}"/>')
    made.set("code", fault.code)
    return made


def printable(text: str) -> str:
    """The text with nothing that XML 1.0 has no character for (its section 2.2)."""
    if text.isprintable():
        return text
    return "".join(
        c
        for c in text
        if c in "\t\n\r" or (c >= " " and c not in "\ufffe\uffff" and not "\ud800" <= c <= "\udfff")
    )
