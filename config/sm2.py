"""SM2 signatures with SM3 (GB/T 32918.2): made and verified by the system's OpenSSL, or by gmssl where that cannot.

Which computes is found out once: `backend()` has the first that proves itself on the standard's example. The range of a
signature, which gmssl does not look at, is looked at here for all.
"""

from __future__ import annotations

import base64
import binascii
import functools

from config import sm2_gmssl, sm2_openssl
from config.sm2_curve import POINT, Backend, KeyPair, N
from config.sm2_keys import point_of, private_of

__all__ = [
    "POINT",
    "Backend",
    "KeyPair",
    "backend",
    "backends",
    "key_pair",
    "point_of",
    "private_of",
    "r_and_s",
    "unhex_or_base64",
    "verify",
]


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
    return backend().verify(point, data, pair)


def key_pair(private: bytes) -> KeyPair:
    """What signs with this key (of `private_of`): `sign(data)` gives r and s, 64 bytes."""
    return backend().key_pair(private)


def unhex_or_base64(text: str) -> bytes:
    """A signature as it is written. Raises ValueError."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        try:
            return base64.b64decode(text, validate=True)
        except binascii.Error:
            raise ValueError("neither hexadecimal nor Base64") from None


def backends() -> tuple[Backend, ...]:
    """Those of this machine, the fastest first."""
    return tuple(made for made in (sm2_openssl.backend(), sm2_gmssl.backend()) if made is not None)


@functools.cache
def backend() -> Backend:
    """Raises OSError where there is none."""
    fastest: Backend | None = sm2_openssl.backend() or sm2_gmssl.backend()
    if fastest is None:
        raise OSError("SM2 needs OpenSSL 3 with SM2, or gmssl; pip install 'jingluo[gm]'")
    return fastest
