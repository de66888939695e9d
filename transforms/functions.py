"""The pipe functions for text, codes and identifiers: `$PID-5.1 | trim | upper`.

Every docstring is the manual's entry, and its example is run as a test. `transforms/pipes.py` says how a
signature is read. The others are in the files beside this one.
"""

from __future__ import annotations

import base64 as _base64
import binascii
import functools
import hashlib
import re
import urllib.parse
import uuid as _uuid
from collections.abc import Callable
from operator import itemgetter
from typing import Any, Literal

from config.registry import function
from transforms.pipes import Missing, Unusable, prepares, reach
from transforms.tables import Table

# Names of this engine's stable identifiers. Changing it would change every resource's id: never do.
_NAMESPACE = _uuid.UUID("6f0c7f3e-52a4-5d0e-9d56-3c1f5a0b7e21")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_GROUPS = itemgetter(slice(8), slice(8, 12), slice(13, 16), 16, slice(17, 20), slice(20, 32))
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
_OID = re.compile(r"[0-2](\.(0|[1-9]\d*))+")
_MAX_WIDTH = 1_000


# What to do with nothing.


@function
def default(value: Any | None, *, text: str) -> Any:
    """The text, where there is nothing.

    >>> default(None, text="unknown")
    'unknown'
    """
    return text if value is None or value in ("", [], {}) else value


@function
def required(value: Any | None) -> Any:
    """Refuses the message (JL-M050, with the path) where there is nothing.

    >>> required("P0001")
    'P0001'
    """
    if value is None or value in ("", [], {}):
        raise Missing("a value is required here")
    return value


@function
def table(
    value: str, *, name: Table, default: str = "", error: bool = False, column: str = "value"
) -> str | None:
    """What a code table says: `| table gender default unknown`. A code that it does not hold gives the
    table's own default, or refuses the message (JL-M051) with `error`. `column=display` reads another
    column.

    >>> table("M", name=Table("gender", {"value": {"M": "male"}}))
    'male'
    """
    found = name.columns.get(column, {}).get(value)
    if found is not None:
        return found
    if default:
        return default
    if error or name.error:
        raise Unusable(f"the table {name.name} does not hold this code")
    return name.default if column == "value" else None


@prepares(table)
def _table(
    *, name: Table, default: str = "", error: bool = False, column: str = "value"
) -> Callable[[str], str | None]:
    rows = name.columns.get(column, {})
    if error or name.error:
        return functools.partial(table, name=name, default=default, error=error, column=column)
    otherwise = default or (name.default if column == "value" else None)
    if otherwise is None:
        return rows.get
    return lambda value: rows.get(value, otherwise)


# Text.


@function
def trim(value: str) -> str:
    """Without white space around it, the Chinese wide space included.

    >>> trim(" 张三\u3000")
    '张三'
    """
    return value.strip()


@prepares(trim)
def _trim() -> Callable[[str], str]:
    return str.strip


@function
def upper(value: str) -> str:
    """Capital letters.

    >>> upper("a01")
    'A01'
    """
    return value.upper()


@function
def lower(value: str) -> str:
    """Small letters.

    >>> lower("A01")
    'a01'
    """
    return value.lower()


@function
def title(value: str) -> str:
    """A capital at the beginning of each word.

    >>> title("EVERYMAN ADAM")
    'Everyman Adam'
    """
    return value.title()


@function
def replace(value: str, *, old: str, new: str = "") -> str:
    """Every `old` replaced by `new`.

    >>> replace("010-5555", old="-")
    '0105555'
    """
    return value.replace(old, new)


@function
def prefix(value: str, *, text: str) -> str:
    """The text before it.

    >>> prefix("P0001", text="Patient/")
    'Patient/P0001'
    """
    return text + value


@prepares(prefix)
def _prefix(*, text: str) -> Callable[[str], str]:
    return text.__add__


@function
def suffix(value: str, *, text: str) -> str:
    """The text after it.

    >>> suffix("37.2", text=" ℃")
    '37.2 ℃'
    """
    return value + text


@function
def format_(value: str, *, text: str) -> str:
    """The text, with `{}` standing for the value.

    >>> format_("P0001", text="Patient?identifier={}")
    'Patient?identifier=P0001'
    """
    return text.replace("{}", value)


@function
def cut(value: str, *, start: int = 0, end: int = 0) -> str:
    """Characters from `start` (0 is the first) up to but without `end` (0: to the last); negative counts
    from behind.

    >>> cut("20260105", end=4), cut("20260105", start=-2)
    ('2026', '05')
    """
    return value[start : end or None]


@function
def pad(value: str, *, width: int, with_: str = "0", side: Literal["left", "right"] = "left") -> str:
    """Filled up to `width` characters: `| pad 8`, `| pad 20 with=" " side=right`.

    >>> pad("42", width=8)
    '00000042'
    """
    width = min(width, _MAX_WIDTH)
    return value.rjust(width, with_[:1] or "0") if side == "left" else value.ljust(width, with_[:1] or "0")


@function
def digits(value: str) -> str:
    """Only its digits.

    >>> digits("(555) 123-4567")
    '5551234567'
    """
    return "".join(char for char in value if "0" <= char <= "9")


@function
def match(value: str, *, pattern: re.Pattern[str], group: int = 0) -> str | None:
    """The first part that matches a regular expression, or one group of it; nothing where nothing matches.

    >>> match("ADT^A01", pattern=re.compile("[A-Z][0-9]+"))
    'A01'
    """
    if len(value) > reach(pattern, whole=False):
        raise Unusable("longer than what this pattern may look at")
    found = pattern.search(value)
    if found is None or group > pattern.groups:
        return None
    return found[group]


@function
def urlencode(value: str) -> str:
    """For a URL: everything but letters, digits and `-._~` as percent signs.

    >>> urlencode("urn:oid:1.2|P 1")
    'urn%3Aoid%3A1.2%7CP%201'
    """
    return value if value.isalnum() and value.isascii() else urllib.parse.quote(value, safe="")


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
def base64(value: str) -> str:
    """Base64 of the UTF-8 text.

    >>> base64("经络")
    '57uP57uc'
    """
    return _base64.b64encode(value.encode()).decode()


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
def hash_(value: str, *, by: Literal["sha256", "sm3", "md5"] = "sha256") -> str:
    """A digest of the UTF-8 text in hex: `| hash`, `| hash sm3` (GB/T 32905).

    >>> hash_("abc")[:16], hash_("abc", by="sm3")[:16]
    ('ba7816bf8f01cfea', '66c7f0f462eeedd9')
    """
    return hashlib.new(by, value.encode()).hexdigest()


# Identifiers.


@functools.lru_cache(maxsize=256)
def _space(name: str) -> Any:
    """A hash that has eaten the name space of one kind: to copy it is quicker than to begin another."""
    return hashlib.sha1(_uuid.uuid5(_NAMESPACE, name).bytes, usedforsecurity=False)


@function
def uuid(value: str, *, of: str = "") -> str:
    """A UUID that is always the same for the same text: `| uuid patient`. The word keeps kinds of things
    apart.

    >>> uuid("P0001", of="patient")
    '024e3084-c236-5be2-a358-046e40ebf6ac'
    """
    return _prepared_uuid(of=of)(value)


@prepares(uuid)
def _prepared_uuid(*, of: str = "") -> Callable[[str], str]:
    begin = _space(of).copy

    def uuid_of(value: str) -> str:
        """RFC 9562 version 5: the bits of version and variant stand over two hex digits of the SHA-1."""
        hash = begin()
        hash.update(value.encode())
        a, b, c, variant, d, e = _GROUPS(hash.hexdigest())
        return f"{a}-{b}-5{c}-{_VARIANT[variant]}{d}-{e}"

    return uuid_of


@function
def urn(value: str) -> str | None:
    """A UUID or an OID as a URI; what is one already stays; nothing of anything else.

    >>> urn("2.16.156.10011.2.3.3.4"), urn("http://a.cn/id"), urn("HIS")
    ('urn:oid:2.16.156.10011.2.3.3.4', 'http://a.cn/id', None)
    """
    if len(value) == 36 and _UUID.fullmatch(value):
        return "urn:uuid:" + value.lower()
    if value[1:2] == "." and _OID.fullmatch(value):
        return "urn:oid:" + value
    return value if value.startswith(("urn:", "http://", "https://")) else None
