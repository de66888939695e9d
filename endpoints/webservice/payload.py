"""What a call carries: arguments as texts, and the message in the charset that it says itself."""

from __future__ import annotations

import html
import re
from typing import NamedTuple

from lxml import etree

from endpoints.webservice.wsdl import Operation, Part
from schemas import charsets
from schemas.xml import Element, text_within

_MAX_ARGUMENT = 1_000  # characters of an argument that is no message
_ENCODING = re.compile(r"""(<\?xml\s[^>]{0,200}?)\s+encoding\s*=\s*["'][^"']{0,40}["']""")


class Payload(NamedTuple):
    """`charset` is what the body is written in."""

    body: bytes
    charset: str


def renamed(child: Element, operation: Operation) -> None:
    """Gives a request the names that the WSDL has, where only their namespaces or their case differ.

    Callers of old tools take another namespace for the arguments, or none: what they mean is plain all the same.
    """
    child.tag = operation.tag
    known = {part.name.lower(): part.tag for part in operation.arguments}
    for one in child:
        if isinstance(one.tag, str):
            one.tag = known.get(etree.QName(one).localname.lower(), one.tag)


def arguments(child: Element, but: str) -> dict[str, str]:
    """The arguments that are texts, by name, without the one that is the message."""
    found = {}
    for one in child:
        name = etree.QName(one).localname if isinstance(one.tag, str) else ""
        if name and name != but and not len(one):
            value = (one.text or "").strip()
            if len(value) <= _MAX_ARGUMENT:
                found[name] = value
    return found


def payload(child: Element, name: str) -> Payload:
    """The message in an argument: CDATA and escaped text alike, or an element; with no name, all of the request.

    Its body is empty where there is none.
    """
    if not name:
        return _of_element(child)
    found = _argument(child, name)
    if found is None:
        return Payload(b"", "")
    inside = next((one for one in found if isinstance(one.tag, str)), None)
    return _of_element(inside) if inside is not None else of_text(text_within(found))


def without_elements(child: Element, part: Part) -> None:
    """Takes XML out of an argument that should be text, where it is as welcome as its text: after it was read."""
    found = _argument(child, part.name) if part.text else None
    if found is not None and len(found):
        del found[:]


def _argument(child: Element, name: str) -> Element | None:
    return next(
        (one for one in child if isinstance(one.tag, str) and etree.QName(one).localname == name), None
    )


def of_text(text: str) -> Payload:
    """Text that came in an envelope has no charset: it gets the one that it says, so that it says the truth."""
    text = text.lstrip("\ufeff \t\r\n")
    if text.startswith("&lt;"):  # escaped twice: within CDATA too
        text = html.unescape(text)
    if text.startswith("<"):
        return Payload(_ENCODING.sub(r'\1 encoding="UTF-8"', text, count=1).encode(), "utf-8")
    if text.startswith("MSH"):
        fields = text.split("\n", 1)[0].split("\r", 1)[0].split(text[3:4], 18)
        said = charsets.codec(fields[17]) if len(fields) > 17 else ""
        if said:
            try:
                return Payload(text.encode(said), said)
            except UnicodeEncodeError:
                pass
    return Payload(text.encode(), "utf-8")


def _of_element(element: Element) -> Payload:
    return Payload(
        bytes(etree.tostring(element, encoding="UTF-8", xml_declaration=True, with_tail=False)), "utf-8"
    )
