"""The platform's outer message `{appid, data, noise, version, sign}`: data in Base64, sign an MD5 in capitals. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Any, NamedTuple

from config.errors import BadMessage
from schemas.json import Json

VERSION = "1.0"
YES = "S0000"
_JSON = Json()


class Told(NamedTuple):
    """What an answer says: `result` is S0000 or an error's code, `message` a tree, or the error's text."""

    result: str
    message: Any


class Garbled(Exception):
    """No answer of the platform. `code` says what is wrong with it."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


def sign_of(appid: str, data: str, noise: str, key: str, version: str = VERSION) -> str:
    """
    >>> sign_of("A", "e30=", "n", "k")
    '3E13EDEE8E7FA5A1BD4BE242D46F911C'
    """
    text = f"appid={appid}&data={data}&noise={noise}&key={key}&version={version}"
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest().upper()


def sealed(tree: Any, appid: str, noise: str, key: str) -> bytes:
    """A request's body."""
    data = base64.b64encode(_JSON.encode(tree)).decode()
    made = {"appid": appid, "data": data, "noise": noise, "version": VERSION}
    return _JSON.encode({**made, "sign": sign_of(appid, data, noise, key)})


def opened(body: bytes, appid: str, key: str, verify: bool = True) -> Told:
    """An answer's. Raises Garbled: JL-I005 not readable, JL-I006 its signature is not the platform's."""
    try:
        outer = _JSON.decode(body)
        data = str(outer["data"])
        if verify:
            _verify(outer, data, appid, key)
        inner = _JSON.decode(base64.b64decode(data, validate=True))
        return Told(str(inner["result"]), _message(inner.get("message")))
    except (BadMessage, KeyError, TypeError, AttributeError, binascii.Error, ValueError):
        raise Garbled("JL-I005", "an answer that nobody can read 无法识别的应答") from None


def _verify(outer: Any, data: str, appid: str, key: str) -> None:
    said = str(outer.get("sign") or "")
    right = sign_of(
        str(outer.get("appid") or appid),
        data,
        str(outer.get("noise") or ""),
        key,
        str(outer.get("version") or VERSION),
    )
    if not hmac.compare_digest(said.upper().encode(), right.encode()):
        raise Garbled("JL-I006", "the answer's signature is wrong 应答验签失败")


def _message(held: Any) -> Any:
    """Base64 of JSON or of a text; some answers have the text itself."""
    if not isinstance(held, str):
        return held
    try:
        text = base64.b64decode(held, validate=True).decode()
    except (binascii.Error, ValueError):
        return held
    try:
        return _JSON.decode(text.encode())
    except BadMessage:
        return text
