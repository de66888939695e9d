"""The SM2/SM4 envelope of 移动支付中心, 电子凭证 and 电子处方中心, by the platform's own hand.

Read: decrypt with the key that the appId and the secret make, hold the signature against the institution's key. Write:
the same with the platform's private key. Numbers are signed as they stand in the JSON.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from deploy.sandbox.signing import KeyPair, Point, holds

_BLOCK = 16
_NOT_SIGNED = ("signData", "encData", "extra")


class Unreadable(Exception):
    """The envelope is no good; the text says how."""


class Number(str):
    """A number's own digits."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Application:
    """Of one institution for one use. `public` is the institution's key, `key` the platform's for its answers."""

    app_id: str
    secret: str
    public: Point
    key: KeyPair
    use: Literal["payment", "voucher", "prescription"]
    hospital: str  # fixmedins_code
    portal: bool = False  # appCode, version 1.0.0, encrypted in `data`, Chinese escaped
    short_numbers: bool = (
        False  # signs numbers as a language does that reads them into floats: 36.5 for 36.50
    )

    @property
    def cipher(self) -> bytes:
        """K: of the secret encrypted under the first 16 characters of the appId, the first 16 hexadecimal digits."""
        first = encrypt(self.app_id[:_BLOCK].encode(), self.secret.encode())
        return first.hex().upper()[:_BLOCK].encode()


@dataclass(frozen=True, slots=True)
class Letter:
    """What came: `data` in plain form and the rest beside it."""

    data: Any
    head: Mapping[str, Any]


def opened(body: bytes, application: Application) -> Letter:
    """Raises Unreadable."""
    tree = parsed(body)
    sealed = tree.get("encData") or tree.get("data")
    if not isinstance(sealed, str):
        raise Unreadable("encData不能为空")
    try:
        plain = decrypt(application.cipher, bytes.fromhex(sealed))
    except ValueError:
        raise Unreadable("encData解密失败") from None
    data = parsed(plain)
    try:
        signature = base64.b64decode(str(tree.get("signData") or ""), validate=True)
    except ValueError:
        raise Unreadable("signData格式错误") from None
    if not holds(
        application.public, sign_text({**tree, "data": data}, application.secret).encode(), signature
    ):
        raise Unreadable("signData验签失败")
    return Letter(data, tree)


def sealed(head: Mapping[str, Any], data: Any, application: Application, forged: bool = False) -> bytes:
    """The bytes of an answer or a notice; with `forged` signed by a key that nobody knows."""
    key = KeyPair.new() if forged else application.key
    plain = parsed(_dumped(data).encode()) if data is not None else None
    base = {
        "appCode" if application.portal else "appId": application.app_id,
        "version": "1.0.0" if application.portal else "2.0.1",
        "encType": "SM4",
        "signType": "SM2",
        **head,
    }
    told = sign_text(
        {**base, "data": _shortened(plain) if application.short_numbers else plain}, application.secret
    )
    made = {**base, "signData": base64.b64encode(bytes.fromhex(key.sign(told.encode()))).decode()}
    if plain is not None:
        text = _dumped(plain)
        if application.portal:
            text = "".join(letter if letter < "\x80" else _escaped(letter) for letter in text)
        made["data" if application.portal else "encData"] = (
            encrypt(application.cipher, text.encode()).hex().upper()
        )
    return _dumped(made).encode()


def sign_text(body: Mapping[str, Any], secret: str) -> str:
    """`k1=v1&...&key=secret`: without what is empty, sorted, nested values as compact JSON."""
    kept = _pruned({name: value for name, value in body.items() if name not in _NOT_SIGNED})
    pairs = [
        f"{name}={value if isinstance(value, str) else _dumped(value)}"
        for name, value in sorted(kept.items())
    ]
    return "&".join([*pairs, f"key={secret}"])


def parsed(body: bytes) -> dict[str, Any]:
    """JSON whose numbers keep their digits. Raises Unreadable."""
    try:
        tree = json.loads(body, parse_float=Number, parse_int=Number)
    except (ValueError, RecursionError):
        raise Unreadable("报文不是有效的JSON") from None
    if not isinstance(tree, dict):
        raise Unreadable("报文不是JSON对象")
    return tree


def encrypt(key: bytes, plain: bytes) -> bytes:
    pad = _BLOCK - len(plain) % _BLOCK
    return Cipher(algorithms.SM4(key), modes.ECB()).encryptor().update(plain + bytes([pad]) * pad)


def decrypt(key: bytes, sealed: bytes) -> bytes:
    """Raises ValueError."""
    if not sealed or len(sealed) % _BLOCK:
        raise ValueError("no whole blocks")
    plain = Cipher(algorithms.SM4(key), modes.ECB()).decryptor().update(sealed)
    pad = plain[-1]
    if not 1 <= pad <= _BLOCK or plain[-pad:] != bytes([pad]) * pad:
        raise ValueError("no padding")
    return plain[:-pad]


def _dumped(value: Any) -> str:
    """Compact JSON: names in their order, numbers by their digits, Chinese as it is."""
    if isinstance(value, Number):
        return value
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, Mapping):
        pairs = [f"{json.dumps(name, ensure_ascii=False)}:{_dumped(inner)}" for name, inner in value.items()]
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_dumped, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _pruned(value: Any) -> Any:
    """Without null, "", {} and [], and with names in the order of their code points, all the way down."""
    if isinstance(value, Mapping):
        below = {name: _pruned(value[name]) for name in sorted(value)}
        return {name: inner for name, inner in below.items() if not _empty(inner)}
    if isinstance(value, list):
        return [inner for inner in map(_pruned, value) if not _empty(inner)]
    return value


def _empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | list | Mapping) and not value)


def _shortened(value: Any) -> Any:
    if isinstance(value, Number):
        short = Decimal(value).normalize()
        return Number(f"{short:f}")
    if isinstance(value, Mapping):
        return {name: _shortened(inner) for name, inner in value.items()}
    return [_shortened(inner) for inner in value] if isinstance(value, list) else value


def _escaped(letter: str) -> str:
    return json.dumps(letter)[1:-1]
