"""Signatures and seals of WeChat Pay API v3: RSA with SHA-256 and AES-GCM, or SM2 with SM3 and SM4-GCM (国密).

A request is signed over method, path with query, time, nonce and body; an answer and a notice over time, nonce and
body: lines that each end with LF. Whose key it is, its serial says. What a notice tells is sealed under the APIv3 key,
in 国密 under the first 16 bytes of its SM3.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from config import sm2
from config.crypto import digest
from schemas.json import Json

_JSON = Json()
_TAG = 16
PROBE = "WECHATPAY/SIGNTEST/"
AUTH = {"rsa": "WECHATPAY2-SHA256-RSA2048", "sm": "WECHATPAY2-SM2-WITH-SM3"}
SEALED = {"rsa": "AEAD_AES_256_GCM", "sm": "AEAD_SM4_GCM"}
Crypto = Literal["rsa", "sm"]


class Unsigned(Exception):
    """It is not WeChat's: JL-P101 no signature of a known key, JL-P102 its time, JL-P103 what was sealed."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code, self.text = code, text


class Key(NamedTuple):
    """Either half of a key pair. `sign` is missing of a public one."""

    verify: Callable[[bytes, bytes], bool]
    sign: Callable[[bytes], bytes] | None = None
    seal: Callable[[bytes], bytes] | None = None  # 敏感信息加密, RSA-OAEP with SHA-1


def key_of(text: str, crypto: Crypto, private: bool = False) -> Key:
    """PEM: a key, or a certificate. Raises ValueError."""
    if crypto == "sm":
        return _sm_private(text) if private else _sm_public(text)
    try:
        if private:
            return _rsa_private(serialization.load_pem_private_key(text.encode(), None))
        if "CERTIFICATE" in text:
            return _rsa_public(x509.load_pem_x509_certificate(text.encode()).public_key())
        return _rsa_public(serialization.load_pem_public_key(text.encode()))
    except (ValueError, TypeError) as error:
        raise ValueError(f"no PEM of an RSA key: {str(error)[:60]}") from None


def _rsa_private(key: Any) -> Key:
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("the key is none of RSA")
    return Key(
        _rsa_public(key.public_key()).verify, lambda data: key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    )


def _rsa_public(key: Any) -> Key:
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("the key is none of RSA")

    def verify(data: bytes, signature: bytes) -> bool:
        try:
            key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        return True

    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
    return Key(verify, None, lambda plain: key.encrypt(plain, oaep))


def _sm_private(text: str) -> Key:
    pair = sm2.key_pair(sm2.private_of(text))

    def sign(data: bytes) -> bytes:
        made = pair.sign(data)
        return encode_dss_signature(int.from_bytes(made[:32], "big"), int.from_bytes(made[32:], "big"))

    return Key(lambda data, signature: sm2.verify(pair.point, data, signature), sign)


def _sm_public(text: str) -> Key:
    point = sm2.point_of(text)
    return Key(lambda data, signature: sm2.verify(point, data, signature))


def request_text(method: str, path: str, at_s: int, nonce: str, body: bytes) -> bytes:
    """`path` with its query, as it stands in the request's first line."""
    return f"{method}\n{path}\n{at_s}\n{nonce}\n".encode() + body + b"\n"


def answer_text(at: str, nonce: str, body: bytes) -> bytes:
    return f"{at}\n{nonce}\n".encode() + body + b"\n"


class Signing:
    """Of one merchant: pure, for any thread."""

    def __init__(
        self,
        crypto: Crypto,
        api_key: str,
        wechat_keys: Mapping[str, str],
        clock_s: float,
        merchant: str = "",
        serial: str = "",
        private_key: str = "",
    ) -> None:
        """Without `private_key` it only verifies."""
        self.crypto = crypto
        self._api_key = api_key.encode()
        self._theirs = {name: key_of(text, crypto) for name, text in wechat_keys.items()}
        self._clock_s = clock_s
        self._merchant, self._serial = merchant, serial
        self._ours = key_of(private_key, crypto, private=True) if private_key else None

    def authorization(self, method: str, path: str, body: bytes, now_s: float, nonce: str) -> str:
        """The header of that name."""
        signature = self.signed(request_text(method, path, int(now_s), nonce, body))
        said = {
            "mchid": self._merchant,
            "nonce_str": nonce,
            "timestamp": str(int(now_s)),
            "serial_no": self._serial,
            "signature": signature,
        }
        return f"{AUTH[self.crypto]} " + ",".join(f'{name}="{value}"' for name, value in said.items())

    def signed(self, text: bytes) -> str:
        assert self._ours is not None
        assert self._ours.sign is not None
        return base64.b64encode(self._ours.sign(text)).decode()

    def pay_sign(self, app: str, at_s: int, nonce: str, package: str) -> str:
        """paySign: what a page or a mini-program calls WeChat's cashier with."""
        return self.signed(f"{app}\n{at_s}\n{nonce}\n{package}\n".encode())

    def sealed(self, text: str) -> tuple[str, str]:
        """A sensitive field for WeChat, and the id of the key: what `Wechatpay-Serial` must then say. Raises
        ValueError in 国密 mode, where it is not offered."""
        name = next(iter(self._theirs))
        seal = self._theirs[name].seal
        if seal is None:
            raise ValueError("sensitive fields are not sealed in 国密 mode")
        return base64.b64encode(seal(text.encode())).decode(), name

    def verify(self, headers: Mapping[str, str], body: bytes, now_s: float) -> None:
        """Of an answer or a notice; header names in small letters. Raises Unsigned."""
        said = {
            name: headers.get(f"wechatpay-{name}", "")
            for name in ("serial", "signature", "timestamp", "nonce")
        }
        if said["signature"].startswith(PROBE):
            raise Unsigned("JL-P101", "a probe of signatures 签名探测流量")
        kind = headers.get("wechatpay-signature-type", "")
        if kind and kind != AUTH[self.crypto]:
            raise Unsigned("JL-P101", "signed by another algorithm 签名算法不符")
        key = self._theirs.get(said["serial"])
        if key is None:
            raise Unsigned("JL-P101", f"no key is called {said['serial'][:60]!r} 未知的微信支付公钥")
        try:
            signature = base64.b64decode(said["signature"], validate=True)
        except (binascii.Error, ValueError):
            signature = b""
        if not key.verify(answer_text(said["timestamp"], said["nonce"], body), signature):
            raise Unsigned("JL-P101", "the signature is wrong 签名错误")
        if not said["timestamp"].isdigit() or abs(int(said["timestamp"]) - now_s) > self._clock_s:
            raise Unsigned("JL-P102", "it was signed too long ago 时间戳超出允许范围")

    def opened(self, resource: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a notice seals. Raises Unsigned."""
        try:
            if resource.get("algorithm") != SEALED[self.crypto]:
                raise ValueError("algorithm")
            sealed = base64.b64decode(str(resource["ciphertext"]), validate=True)
            plain = self.unsealed(
                sealed, str(resource["nonce"]).encode(), str(resource.get("associated_data") or "").encode()
            )
            tree = _JSON.decode(plain)
        except (KeyError, ValueError, InvalidTag) as error:
            raise Unsigned("JL-P103", f"it does not open: {type(error).__name__} 解密失败") from None
        if not isinstance(tree, dict):
            raise Unsigned("JL-P103", "what it seals is no JSON object 解密后格式错误")
        return tree

    def unsealed(self, sealed: bytes, nonce: bytes, beside: bytes) -> bytes:
        """Raises InvalidTag, ValueError. The tag is the last 16 bytes."""
        made = Cipher(
            gcm_key(self._api_key, self.crypto), modes.GCM(nonce, sealed[-_TAG:], min_tag_length=_TAG)
        ).decryptor()
        made.authenticate_additional_data(beside)
        return made.update(sealed[:-_TAG]) + made.finalize()


def gcm_key(api_key: bytes, crypto: Crypto) -> Any:
    return algorithms.SM4(digest(api_key)[:16]) if crypto == "sm" else algorithms.AES(api_key)
