"""Keys of the simulated WeChat Pay, by RSA or SM2: what it signs with, what it seals notices under."""

from __future__ import annotations

import secrets
from base64 import b64decode, b64encode
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from config import sm2
from config.crypto import digest

Crypto = Literal["rsa", "sm"]
AUTH = {"rsa": "WECHATPAY2-SHA256-RSA2048", "sm": "WECHATPAY2-SM2-WITH-SM3"}
ALGORITHM = {"rsa": "AEAD_AES_256_GCM", "sm": "AEAD_SM4_GCM"}


class SigningKey:
    """One of WeChat's: `public` is what merchants are given, PEM or hexadecimal."""

    def __init__(self, crypto: Crypto, key: RSAPrivateKey | None = None) -> None:
        self._sm = (
            sm2.key_pair((secrets.randbelow(2**250) + 2).to_bytes(32, "big")) if crypto == "sm" else None
        )
        self._rsa = (key or generate_private_key(65537, 2048)) if crypto == "rsa" else None

    @property
    def public(self) -> str:
        if self._sm is not None:
            return "04" + self._sm.point.hex()
        assert self._rsa is not None
        form = PublicFormat.SubjectPublicKeyInfo
        return self._rsa.public_key().public_bytes(Encoding.PEM, form).decode()

    def sign(self, data: bytes) -> str:
        if self._sm is not None:
            made = self._sm.sign(data)
            pair = int.from_bytes(made[:32], "big"), int.from_bytes(made[32:], "big")
            return b64encode(encode_dss_signature(*pair)).decode()
        assert self._rsa is not None
        return b64encode(self._rsa.sign(data, PKCS1v15(), SHA256())).decode()


def holds(crypto: Crypto, public: str, data: bytes, signature: str) -> bool:
    """Whether the merchant signed it."""
    try:
        raw = b64decode(signature, validate=True)
        if crypto == "sm":
            return sm2.verify(sm2.point_of(public), data, raw)
        key = load_pem_public_key(public.encode())
        key.verify(raw, data, PKCS1v15(), SHA256())  # type: ignore[call-arg, union-attr, arg-type]
    except (InvalidSignature, ValueError):
        return False
    return True


def sealed(crypto: Crypto, api_key: str, plain: bytes, nonce: bytes, beside: bytes) -> str:
    """AES-256-GCM under the key, or SM4-GCM under the first 16 bytes of its SM3; the tag at the end."""
    key = api_key.encode()
    cipher = algorithms.SM4(digest(key)[:16]) if crypto == "sm" else algorithms.AES(key)
    made = Cipher(cipher, modes.GCM(nonce)).encryptor()
    made.authenticate_additional_data(beside)
    return b64encode(made.update(plain) + made.finalize() + made.tag).decode()
