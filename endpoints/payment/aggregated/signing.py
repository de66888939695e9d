"""Signatures of aggregators: over fields by name, by MD5, HMAC-SHA256, RSA (SHA-256) or SM2. Pure.

MD5 is what some counterparties demand; it stands here and nowhere else.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from config import sm2
from endpoints.payment.aggregated.profile import Sign
from endpoints.payment.keys import holds, private_key, public_key, signed
from schemas.json import Json

_JSON = Json()


class Signer:
    """Raises ValueError where what its kind needs is missing, or no key."""

    def __init__(self, sign: Sign, secret: str, private: str, public: str) -> None:
        self._sign = sign
        self._secret = secret
        if sign.kind in ("md5", "hmac-sha256"):
            if not secret:
                raise ValueError("the profile signs with a secret: `sign_key: secret://name`")
        elif not private or not public:
            raise ValueError("the profile signs with keys: `private_key: secret://name` and `public_key`")
        elif sign.kind == "rsa":
            self._rsa, self._their_rsa = private_key(private), public_key(public)
        else:
            self._sm2, self._their_point = sm2.key_pair(sm2.private_of(private)), sm2.point_of(public)

    def sign(self, fields: Mapping[str, Any]) -> str:
        text = told(fields, self._sign, self._secret)
        kind = self._sign.kind
        if kind == "rsa":
            return signed(self._rsa, text)
        if kind == "sm2":
            return b64encode(self._sm2.sign(text)).decode()
        return self._digest(text)

    def holds(self, fields: Mapping[str, Any]) -> bool:
        """Whether the other side signed these. Never raises."""
        given, kind = str(fields.get(self._sign.field) or ""), self._sign.kind
        try:
            text = told(fields, self._sign, self._secret)
            if kind == "rsa":
                return holds(self._their_rsa, text, given)
            if kind == "sm2":
                return bool(given) and sm2.verify(self._their_point, text, sm2.unhex_or_base64(given))
        except ValueError:
            return False
        return hmac.compare_digest(self._digest(text).lower().encode(), given.lower().encode())

    def _digest(self, text: bytes) -> str:
        if self._sign.kind == "md5":
            made = hashlib.md5(text, usedforsecurity=False).hexdigest()
        else:
            made = hmac.new(self._secret.encode(), text, hashlib.sha256).hexdigest()
        return made.upper() if self._sign.upper else made


def told(fields: Mapping[str, Any], sign: Sign, secret: str) -> bytes:
    """
    >>> told({"b": 2, "a": "x", "sign": "s", "c": ""}, Sign(kind="md5", tail="&key={secret}"), "k")
    b'a=x&b=2&key=k'
    """
    named = sorted(
        (name, value) for name, value in fields.items() if name != sign.field and value not in (None, "")
    )
    text = "&".join(f"{name}={_text(value)}" for name, value in named)
    return (text + sign.tail.replace("{secret}", secret)).encode()


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return _JSON.encode(value).decode() if isinstance(value, dict | list) else str(value)
