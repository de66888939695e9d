"""Encodings. Text within text: URLs, XML, JSON, Base64, hex, and digests."""

from __future__ import annotations

import base64 as _base64
import binascii
import hashlib
import re
import urllib.parse
from decimal import Decimal  # noqa: F401  (in an example)
from typing import Any, Literal

from config.errors import BadMessage
from config.registry import function
from schemas.json import Json
from transforms.pipes import Unusable


@function
def urlencode(value: str) -> str:
    """For a URL: everything but letters, digits and `-._~` as percent signs.

    >>> urlencode("urn:oid:1.2|P 1")
    'urn%3Aoid%3A1.2%7CP%201'
    """
    return value if value.isalnum() and value.isascii() else urllib.parse.quote(value, safe="")


@function
def urldecode(value: str) -> str:
    """The text in a part of a URL.

    >>> urldecode("urn%3Aoid%3A1.2%7CP%201")
    'urn:oid:1.2|P 1'
    """
    try:
        return urllib.parse.unquote(value, errors="strict")
    except UnicodeDecodeError:
        raise Unusable("not UTF-8 in percent signs") from None


@function
def escape(value: str, *, for_: Literal["xml", "html"] = "xml") -> str:
    """Marked up for text that goes into text: `& < > "` as entities. Formats escape what they write by
    themselves.

    >>> escape("a < b & c")
    'a &lt; b &amp; c'
    """
    made = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    return made.replace("'", "&#39;") if for_ == "html" else made


@function
def unescape(value: str) -> str:
    """Text that was marked up once too often: the five entities of XML and numbered ones, once.

    >>> unescape("&lt;ID&gt;P1&amp;2&lt;/ID&gt; &#24352;")
    '<ID>P1&2</ID> 张'
    """
    return _ENTITY.sub(_character, value)


_ENTITY = re.compile(r"&(?:(amp|lt|gt|quot|apos)|#([0-9]{1,7})|#x([0-9a-fA-F]{1,6}));")
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}


def _character(found: re.Match[str]) -> str:
    if found[1]:
        return _NAMED[found[1]]
    number = int(found[2]) if found[2] else int(found[3], 16)
    usable = number < 0x110000 and not 0xD800 <= number < 0xE000 and number not in _NO_CHARACTERS
    return chr(number) if usable else found[0]


_NO_CHARACTERS = frozenset(range(32)) - {9, 10, 13} | {0xFFFE, 0xFFFF}


@function
def json(value: Any) -> str:
    """Any value as JSON text, for an interface that wants JSON within a field.

    >>> json({"id": "P1", "fee": Decimal("12.50")})
    '{"id":"P1","fee":12.50}'
    """
    try:
        return _JSON.encode(value).decode()
    except BadMessage as error:
        raise Unusable(error.text) from None


@function
def unjson(value: str) -> Any:
    """The value in JSON text: `$.biz_content | unjson | member amount`.

    >>> unjson('{"amount": 12.50}')
    {'amount': Decimal('12.50')}
    """
    try:
        return _JSON.decode(value.encode())
    except BadMessage:
        raise Unusable("not JSON, or too large") from None


_JSON = Json()


@function
def base64(value: str, *, of: Literal["text", "hex", "base64"] = "text") -> str:
    """Base64 of the UTF-8 text, or of the bytes that it stands for: as hexadecimal digits, or already as Base64, which
    is only looked at (`^application^pdf^Base64^...` of HL7 v2). Refuses what is neither.

    >>> base64("经络"), base64("E7BB8F E7BB9C", of="hex"), base64("57uP\\n57uc", of="base64")
    ('57uP57uc', '57uP57uc', '57uP57uc')
    """
    try:
        if of == "base64":
            value = "".join(value.split())
            _base64.b64decode(value, validate=True)
            return value
        return _base64.b64encode(bytes.fromhex(value) if of == "hex" else value.encode()).decode()
    except ValueError:
        raise Unusable("not Base64" if of == "base64" else "not hexadecimal digits") from None


@function
def unbase64(value: str) -> str:
    """The text in Base64.

    >>> unbase64("57uP57uc")
    '经络'
    """
    try:
        return _base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise Unusable("not Base64 of UTF-8 text") from None


@function
def hex_(value: str) -> str:
    """The UTF-8 text in hexadecimal digits.

    >>> hex_("经络")
    'e7bb8fe7bb9c'
    """
    return value.encode().hex()


@function
def unhex(value: str) -> str:
    """The text in hexadecimal digits.

    >>> unhex("e7bb8fe7bb9c")
    '经络'
    """
    try:
        return bytes.fromhex(value).decode()
    except ValueError:
        raise Unusable("not hexadecimal digits of UTF-8 text") from None


@function
def hash_(value: str, *, by: Literal["sha256", "sm3", "md5"] = "sha256") -> str:
    """A digest of the UTF-8 text in hexadecimal digits: `| hash`, `| hash sm3` (GB/T 32905).

    >>> hash_("abc", by="sm3")
    '66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0'
    >>> hash_("abc", by="md5")
    '900150983cd24fb0d6963f7d28e17f72'
    """
    return hashlib.new(by, value.encode(), usedforsecurity=False).hexdigest()
