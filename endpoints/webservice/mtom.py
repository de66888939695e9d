"""MTOM: what is long in Base64 travels beside the envelope, as bytes.

W3C: SOAP Message Transmission Optimization Mechanism (2005-01-25), XML-binary Optimized Packaging (2005-01-25); the
package is MIME multipart/related (RFC 2387).
"""

from __future__ import annotations

import base64
import binascii
import quopri
import re
import secrets
from collections.abc import Iterator
from email.message import Message as MimeHeaders
from email.utils import collapse_rfc2231_value
from typing import NamedTuple
from urllib.parse import unquote

from lxml import etree

from endpoints.webservice.envelope import written
from schemas.xml import Element

XOP = "http://www.w3.org/2004/08/xop/include"
MAX_PARTS = 1000
_INCLUDE = f"{{{XOP}}}Include"
_MAX_HEADERS = 10_000  # bytes of a part's
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_ROOT = "envelope@jingluo"


class BadPackage(ValueError):
    """What came is no multipart/related, or its parts do not fit its envelope."""


class Package(NamedTuple):
    content_type: str
    body: bytes


def pack(
    envelope: Element, least: int, media_type: str, action: str, charset: str = "UTF-8"
) -> Package | None:
    """The envelope and its texts in Base64 of `least` characters or more beside it; None where there is none.

    The envelope is changed. `media_type` is the SOAP version's; `action` goes with 1.2, which has no other place.
    """
    parts: list[tuple[str, bytes]] = []
    for element, content in _long(envelope, least):
        name = f"{secrets.token_hex(16)}@jingluo"
        element.text = None
        etree.SubElement(element, _INCLUDE, nsmap={"xop": XOP}).set("href", f"cid:{name}")
        parts.append((name, content))
    if not parts:
        return None
    boundary = f"jingluo-{secrets.token_hex(16)}"
    root = written(envelope, charset)
    about = f'application/xop+xml; charset={charset}; type="{media_type}"'
    body = b"".join(
        (
            _part(boundary, _ROOT, about, root),
            *(_part(boundary, name, "application/octet-stream", content) for name, content in parts),
            f"--{boundary}--\r\n".encode(),
        )
    )
    info = f'{media_type}; action="{action}"' if action else media_type
    quoted = info.replace("\\", "\\\\").replace('"', '\\"')
    kind = (
        f'multipart/related; type="application/xop+xml"; start="<{_ROOT}>"; '
        f'start-info="{quoted}"; boundary="{boundary}"'
    )
    return Package(kind, body)


def is_package(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "multipart/related"


def unpacked(body: bytes, content_type: str) -> tuple[bytes, str]:
    """The envelope's bytes and what its part's headers call their charset; what stood beside it is in it, in Base64.

    Each part is included once at the most, so nobody makes much of little. Raises BadPackage.
    """
    boundary = _parameter(content_type, "boundary")
    parts = list(_parts(body, boundary.encode("latin-1", "replace"))) if boundary else []
    if not parts:
        raise BadPackage("a multipart/related without parts")
    start = _id(_parameter(content_type, "start"))
    head, root = next(
        ((h, content) for h, content in parts if start and _id(h.get("content-id", "")) == start), parts[0]
    )
    charset = _parameter(head.get("content-type", ""), "charset")
    if XOP.encode() not in root:
        return root, charset
    rest = {_id(h.get("content-id", "")): content for h, content in parts if content is not root}
    return _included(root, rest), ""


def _included(root: bytes, rest: dict[str, bytes]) -> bytes:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        envelope = etree.fromstring(root, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise BadPackage("the envelope in it is no XML") from None
    huge = False
    for include in list(envelope.iter(_INCLUDE)):
        content = rest.pop(_id(unquote(include.get("href", "").removeprefix("cid:"))), None)
        holder = include.getparent()
        if content is None or holder is None:
            raise BadPackage("the envelope includes a part that is not there, or twice")
        huge = huge or len(content) > 7_000_000
        holder.remove(include)
        holder.text = base64.b64encode(content).decode()
    if huge:
        raise BadPackage("a part of more than 7 MB is more than an element's text can hold")
    return bytes(etree.tostring(envelope, encoding="UTF-8", xml_declaration=True))


def _long(envelope: Element, least: int) -> Iterator[tuple[Element, bytes]]:
    """Elements whose whole text is Base64 in its canonical form (XML Schema part 2, section 3.2.16)."""
    for element in list(envelope.iter()):
        text = element.text or ""
        if len(element) or not isinstance(element.tag, str) or len(text) < least or len(text) % 4:
            continue
        if not _BASE64.fullmatch(text):
            continue
        content = base64.b64decode(text)
        if base64.b64encode(content).decode() == text:
            yield element, content


def _part(boundary: str, name: str, content_type: str, content: bytes) -> bytes:
    head = (
        f"--{boundary}\r\nContent-Type: {content_type}\r\nContent-Transfer-Encoding: binary\r\n"
        f"Content-ID: <{name}>\r\n\r\n"
    )
    return head.encode() + content + b"\r\n"


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[dict[str, str], bytes]]:
    pieces = re.split(rb"\r?\n--" + re.escape(boundary) + rb"(?=[ \t]*\r?\n|--)", b"\r\n" + body)
    if len(pieces) > MAX_PARTS:
        raise BadPackage(f"more than {MAX_PARTS} parts")
    for piece in pieces[1:]:
        if piece.startswith(b"--"):
            return
        piece = piece.lstrip(b" \t").removeprefix(b"\r").removeprefix(b"\n")
        if piece.startswith((b"\r\n", b"\n")):
            head, content = b"", piece.removeprefix(b"\r").removeprefix(b"\n")
        else:
            found = re.search(rb"\r?\n\r?\n", piece[:_MAX_HEADERS])
            if found is None:
                raise BadPackage("a part without an end of its headers")
            head, content = piece[: found.start()], piece[found.end() :]
        headers = _headers(head)
        yield headers, _decoded(content, headers.get("content-transfer-encoding", ""))
    raise BadPackage("its end is missing")


def _headers(head: bytes) -> dict[str, str]:
    """By name in small letters; a line that begins with a blank goes on with the one before."""
    lines = re.sub(r"\r?\n[ \t]+", " ", head.decode("latin-1")).splitlines()
    parted = (line.partition(":") for line in lines)
    return {name.strip().lower(): value.strip() for name, _, value in parted}


def _parameter(content_type: str, name: str) -> str:
    about = MimeHeaders()
    about["content-type"] = content_type
    return collapse_rfc2231_value(about.get_param(name, ""))


def _decoded(content: bytes, encoding: str) -> bytes:
    encoding = encoding.strip().lower()
    try:
        if encoding == "base64":
            return base64.b64decode(content)
    except binascii.Error:
        raise BadPackage("a part that is no Base64") from None
    return quopri.decodestring(content) if encoding == "quoted-printable" else content


def _id(text: str) -> str:
    return text.strip().removeprefix("<").removesuffix(">")
