"""How UnionPay writes and signs fields. Pure.

An answer is `k=v&k=v`, not URL-encoded, and a value may be `{k=v&k=v}` or `[...]`. Signed is what is sorted by name, of
it the SHA-256 in hexadecimal, and of that an RSA signature (signMethod 01); with 11 and 12 a digest together with the
digest of a shared key. Source: UnionPay's own SDK for version 5.1.0.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from config.crypto import digest
from endpoints.payment.keys import holds, signed

Keyed = Literal["11", "12"]


def content(fields: Mapping[str, str]) -> str:
    """
    >>> content({"txnType": "00", "merId": "1", "signature": "x", "reserved": ""})
    'merId=1&txnType=00'
    """
    return "&".join(
        f"{name}={fields[name]}" for name in sorted(fields) if name != "signature" and fields[name]
    )


def sign(key: RSAPrivateKey, fields: Mapping[str, str]) -> str:
    return signed(key, _digest(fields))


def verified(key: RSAPublicKey, fields: Mapping[str, str]) -> bool:
    return holds(key, _digest(fields), fields.get("signature", ""))


def keyed(method: Keyed, secure_key: str, fields: Mapping[str, str]) -> str:
    """`signature` by a shared key: SHA-256 (11) or SM3 (12)."""
    return _hash(method, f"{content(fields)}&{_hash(method, secure_key)}")


def keyed_holds(method: Keyed, secure_key: str, fields: Mapping[str, str]) -> bool:
    made = keyed(method, secure_key, fields).encode()
    return hmac.compare_digest(made, fields.get("signature", "").encode())


def parsed(text: str) -> dict[str, str]:
    """Raises ValueError.

    >>> parsed("a=1&b={c=2&d=[x&y]}&e=Zm9v==")
    {'a': '1', 'b': '{c=2&d=[x&y]}', 'e': 'Zm9v=='}
    """
    parts, depth, begin = [], 0, 0
    for index, char in enumerate(text):
        if char in "{[":
            depth += 1
        elif char in "}]":
            depth -= 1
        elif char == "&" and depth == 0:
            parts.append(text[begin:index])
            begin = index + 1
    parts.append(text[begin:])
    fields = dict(part.split("=", 1) for part in parts if "=" in part)
    if depth or len(fields) != len(parts):
        raise ValueError("no fields k=v&k=v")
    return fields


def _digest(fields: Mapping[str, str]) -> bytes:
    return hashlib.sha256(content(fields).encode()).hexdigest().encode()


def _hash(method: Keyed, text: str) -> str:
    if method == "12":
        return digest(text.encode()).hex()  # SM3
    return hashlib.sha256(text.encode()).hexdigest()
