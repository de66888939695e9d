"""SM2 signatures with SM3 (GB/T 32918.2), verified by the system's OpenSSL, or by gmssl where that cannot.

OpenSSL 3 takes 0.6 ms, gmssl (pure Python) about 15. gmssl's constructor spoils keys that begin with 04, so the key is
put in afterwards; and what it does not look at, the range of a signature, is looked at here for both.
"""

from __future__ import annotations

import base64
import binascii
import ctypes
import ctypes.util
import functools
from collections.abc import Callable
from typing import Any

from config.crypto import digest

SIGNER = b"1234567812345678"  # the signer's id where nobody agreed on another: GM/T 0009, section 10
POINT = 64  # bytes of a public key: x, y
P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
A = P - 3
B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
G = bytes.fromhex(
    "32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7"
    "bc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0"
)
# A SubjectPublicKeyInfo up to the point: id-ecPublicKey, the curve 1.2.156.10197.1.301, 65 bytes, not compressed.
_HEAD = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d03420004")
_BEGIN, _END = "-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----"

Verify = Callable[[bytes, bytes, bytes], bool]  # a public key's point; data; r and s, 32 bytes each


def point_of(text: str) -> bytes:
    """A public key in PEM, or its x and y as 128 hexadecimal digits (04 may stand before). Raises ValueError."""
    body = "".join(text.split())
    begin, end = "".join(_BEGIN.split()), "".join(_END.split())
    try:
        if body.startswith(begin) and body.endswith(end):
            point = base64.b64decode(body[len(begin) : -len(end)]).removeprefix(_HEAD)
        else:
            point = bytes.fromhex(body)
    except ValueError:
        raise ValueError("the key is neither PEM nor hexadecimal") from None
    if len(point) == POINT + 1 and point[0] == 4:
        point = point[1:]
    if len(point) != POINT or not _on_curve(point):
        raise ValueError("the key is none of SM2")
    return point


def r_and_s(signature: bytes) -> bytes:
    """64 bytes of a signature that is these, or DER (GM/T 0009). Raises ValueError."""
    if len(signature) != POINT:
        from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

        signature = b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(signature))
    if not all(0 < int.from_bytes(signature[at : at + 32], "big") < N for at in (0, 32)):
        raise ValueError("out of range")
    return signature


def verify(point: bytes, data: bytes, signature: bytes) -> bool:
    """Whether who has the point's private key signed `data`; the signature is DER, or r and s. Never raises."""
    try:
        pair = r_and_s(signature)
    except (ValueError, OverflowError):
        return False
    return _backend()(point, data, pair)


def unhex_or_base64(text: str) -> bytes:
    """A signature as it is written. Raises ValueError."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        try:
            return base64.b64decode(text, validate=True)
        except binascii.Error:
            raise ValueError("neither hexadecimal nor Base64") from None


def _on_curve(point: bytes) -> bool:
    x, y = int.from_bytes(point[:32], "big"), int.from_bytes(point[32:], "big")
    return max(x, y) < P and (y * y - (x * x * x + A * x + B)) % P == 0


@functools.cache
def _backend() -> Verify:
    return by_openssl() or by_gmssl()


def by_openssl() -> Verify | None:
    """None where there is no OpenSSL 3, or one that was built without SM2."""
    try:
        lib: Any = ctypes.CDLL(ctypes.util.find_library("crypto") or "libcrypto.so.3")
        lib.EVP_PKEY_CTX_set1_id  # noqa: B018  # in OpenSSL 1.1.1 a macro
    except (OSError, AttributeError):
        return None
    for name in ("d2i_PUBKEY", "EVP_MD_CTX_new", "EVP_PKEY_CTX_new_from_pkey", "EVP_sm3"):
        getattr(lib, name).restype = ctypes.c_void_p
    verified = functools.partial(_by_libcrypto, lib)
    try:
        return verified if verified(_SAMPLE_POINT, b"message digest", _SAMPLE) else None
    except (AttributeError, MemoryError):
        return None


def _by_libcrypto(lib: Any, point: bytes, data: bytes, pair: bytes) -> bool:
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    spki = _HEAD + point
    key = lib.d2i_PUBKEY(None, ctypes.byref(ctypes.c_char_p(spki)), ctypes.c_long(len(spki)))
    if not key:
        return False
    made = encode_dss_signature(int.from_bytes(pair[:32], "big"), int.from_bytes(pair[32:], "big"))
    pkey = ctypes.c_void_p(key)
    context = ctypes.c_void_p(lib.EVP_MD_CTX_new())
    named = ctypes.c_void_p(lib.EVP_PKEY_CTX_new_from_pkey(None, pkey, None))
    try:
        lib.EVP_MD_CTX_set_pkey_ctx(context, named)
        sm3 = ctypes.c_void_p(lib.EVP_sm3())
        return bool(
            lib.EVP_PKEY_CTX_set1_id(named, SIGNER, ctypes.c_size_t(len(SIGNER))) == 1
            and lib.EVP_DigestVerifyInit(context, None, sm3, None, pkey) == 1
            and lib.EVP_DigestVerify(
                context, made, ctypes.c_size_t(len(made)), data, ctypes.c_size_t(len(data))
            )
            == 1
        )
    finally:
        lib.ERR_clear_error()  # Python's own TLS, in this thread, would find it
        lib.EVP_MD_CTX_free(context)
        lib.EVP_PKEY_CTX_free(named)
        lib.EVP_PKEY_free(pkey)


def by_gmssl() -> Verify:
    """Raises ImportError where gmssl is not installed."""
    from gmssl.sm2 import CryptSM2

    def verified(point: bytes, data: bytes, pair: bytes) -> bool:
        engine = CryptSM2("", "")
        engine.public_key = point.hex()
        return bool(engine.verify(pair.hex(), digest(_signer(point) + data)))

    return verified


def _signer(point: bytes) -> bytes:
    """Z of GB/T 32918.2, 5.5: the signer's id, the curve and the key."""
    curve = b"".join(number.to_bytes(32, "big") for number in (A, B)) + G
    return digest((len(SIGNER) * 8).to_bytes(2, "big") + SIGNER + curve + point)


# GB/T 32918.5-2017, A.2: what a back-end must say yes to before it is trusted.
_SAMPLE_POINT = bytes.fromhex(
    "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
    "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
)
_SAMPLE = bytes.fromhex(
    "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
    "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
)
