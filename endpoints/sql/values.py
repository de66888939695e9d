"""Values of a database and of JSON, both ways, and nothing lost: decimals digit by digit, dates as ISO 8601, bytes as
Base64.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import ipaddress
import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from config.errors import BadMessage
from schemas import charsets
from schemas.json import Json

_JSON = Json()
_AS_TEXT = (
    uuid.UUID,
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    ipaddress.IPv4Network,
    ipaddress.IPv6Network,
)


class Unreadable(Exception):
    """A value that cannot be taken. Says which column and why, and nothing of the value."""


def row_body(columns: Sequence[str], values: Sequence[Any], charset: str) -> bytes:
    """A row as a JSON object. Raises Unreadable."""
    tree = {}
    for name, value in zip(columns, values, strict=True):
        try:
            tree[name] = plain(value, charset)
        except ValueError as error:
            raise Unreadable(f"the column {name} {error}") from None
    return encoded(tree)


def encoded(tree: Any) -> bytes:
    """Raises Unreadable."""
    try:
        return _JSON.encode(tree)
    except BadMessage as error:
        raise Unreadable(error.text) from None


def plain(value: Any, charset: str = "") -> Any:
    """What JSON has for it. Raises ValueError that completes `the column x ...`."""
    match value:
        case None | bool() | int():
            return value
        case str():
            return relabelled(value, charset) if charset else value
        case Decimal():
            if not value.is_finite():
                raise ValueError("holds no number")
            return value
        case float():
            if value != value or value in (float("inf"), float("-inf")):
                raise ValueError("holds no number")
            return value
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat()
        case datetime.timedelta():
            return _duration(value)
        case bytes() | bytearray() | memoryview():
            return base64.b64encode(value).decode()
        case list() | tuple():
            return [plain(one, charset) for one in value]
        case dict():
            return {str(key): plain(one, charset) for key, one in value.items()}
    if isinstance(value, _AS_TEXT):
        return str(value)
    raise ValueError(f"is of type {type(value).__name__}, for which JSON has no word; cast it in the query")


def relabelled(text: str, charset: str) -> str:
    """A text that the database called Latin-1, read as what it is. One that cannot be Latin-1 is what it says.

    >>> relabelled("张三".encode("gb18030").decode("latin-1"), "GBK"), relabelled("张三", "GBK")
    ('张三', '张三')
    """
    raw = _as_latin(text)
    if raw is None:
        return text
    try:
        return raw.decode(charsets.codec(charset))
    except UnicodeDecodeError:
        raise ValueError(f"is not written in {charset}") from None


def mislabelled(text: str, charset: str, kind: str) -> str:
    """The other way: as a database takes it that believes it is Latin-1. Raises UnicodeEncodeError."""
    raw = text.encode(charsets.codec(charset))
    if kind in ("mysql", "mariadb"):
        return "".join(_LATIN1_OF_MYSQL[byte] for byte in raw)
    return raw.decode("latin-1")


def _as_latin(text: str) -> bytes | None:
    """The bytes that were taken for Latin-1; None where the text has characters that this has not."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        pass
    try:
        return bytes(_BYTE_OF_MYSQL[character] for character in text)
    except KeyError:
        return None


def _latin1_of_mysql(byte: int) -> str:
    """MySQL's latin1 is Windows-1252, and what that has not is a control character."""
    try:
        return bytes([byte]).decode("cp1252")
    except UnicodeDecodeError:
        return chr(byte)


_LATIN1_OF_MYSQL = [_latin1_of_mysql(byte) for byte in range(256)]
_BYTE_OF_MYSQL = {character: byte for byte, character in enumerate(_LATIN1_OF_MYSQL)}


def bytes_of(text: str, charset: str) -> bytes:
    """A message that lies in a column of texts, as its sender wrote it. Raises Unreadable."""
    if not charset:
        return text.encode()
    if (raw := _as_latin(text)) is not None:
        return raw
    try:
        return text.encode(charsets.codec(charset))
    except UnicodeEncodeError:
        raise Unreadable(f"a character that {charset} does not have") from None


def _duration(value: datetime.timedelta) -> str:
    """`838:59:59`: MariaDB's TIME is a duration."""
    sign, value = ("-", -value) if value.days < 0 else ("", value)
    minutes, seconds = divmod(value.days * 86_400 + value.seconds, 60)
    fraction = f".{value.microseconds:06}" if value.microseconds else ""
    return f"{sign}{minutes // 60:02}:{minutes % 60:02}:{seconds:02}{fraction}"


# The other way


def parameters(
    names: frozenset[str], item: Mapping[str, Any], types: Mapping[str, str], kind: str, charset: str
) -> dict[str, Any]:
    """What a statement's parameters are bound to; what the item does not have is NULL. Raises ValueError."""
    return {name: _bound(name, item.get(name), types.get(name, ""), kind, charset) for name in names}


def _bound(name: str, value: Any, type_: str, kind: str, charset: str) -> Any:
    if value is None:
        return None
    try:
        value = _typed(value, type_)
    except (ValueError, TypeError, ArithmeticError, binascii.Error):
        raise ValueError(f"{name} is no {type_}") from None
    if isinstance(value, dict | list):
        value = _JSON.encode(value).decode()
    if isinstance(value, str) and charset:
        try:
            return mislabelled(value, charset, kind)
        except UnicodeEncodeError:
            raise ValueError(f"{name} has a character that {charset} does not have") from None
    if kind == "sqlite" and isinstance(value, Decimal | datetime.date):
        return str(value)  # its columns make numbers of texts, where they are numbers
    return value


def _typed(value: Any, type_: str) -> Any:
    if not type_:
        return value
    text = value if isinstance(value, str) else str(value)
    match type_:
        case "number":
            return Decimal(text)
        case "date":
            return datetime.date.fromisoformat(text[:10])
        case "datetime":
            return datetime.datetime.fromisoformat(text)
        case "bytes":
            return base64.b64decode(text, validate=True)
        case _:
            return text
