"""A request that its caller signed: what stands in `Authorization`, what is signed, and whether a key made it.

    Authorization: JINGLUO-HMAC-SM3 app=kiosk, time=1767571200, nonce=9f2c51b0a4, digest=1ab2.., signature=66c7..

Signed are five lines, each ended by LF: the method, the path with its query as they stand in the request, the time
(Unix seconds), the nonce, and the body's SM3 in small hexadecimal digits. So a request is proved before a byte of its
body is read, and the body by its digest while it is.
"""

from __future__ import annotations

import hmac
import re
from typing import NamedTuple

from config import sm2
from config.callers import Caller

HMAC, SM2 = "jingluo-hmac-sm3", "jingluo-sm2"  # schemes are compared in small letters, RFC 9110 section 11.1
NAMES = ("JINGLUO-HMAC-SM3", "JINGLUO-SM2")
MAX_HEADER = 2000  # characters
_PART = re.compile(r'([a-z]+)=(?:"([^"]*)"|([^\s,"]*))')
_NONCE = re.compile(r"[A-Za-z0-9_-]{8,64}")
_TIME = re.compile(r"[0-9]{10}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Signed(NamedTuple):
    """`time` in Unix seconds."""

    scheme: str
    app: str
    time: int
    nonce: str
    digest: str
    signature: bytes


def read(scheme: str, parameters: str) -> Signed | None:
    """None where something is missing, or is not what it must be."""
    if len(parameters) > MAX_HEADER:
        return None
    said = {name: quoted or plain for name, quoted, plain in _PART.findall(parameters)}
    time, nonce, digest = said.get("time", ""), said.get("nonce", ""), said.get("digest", "")
    if not (_TIME.fullmatch(time) and _NONCE.fullmatch(nonce) and _DIGEST.fullmatch(digest)):
        return None
    try:
        signature = sm2.unhex_or_base64(said.get("signature", ""))
    except ValueError:
        return None
    return Signed(scheme, said.get("app", ""), int(time), nonce, digest, signature)


def text(method: str, target: bytes, signed: Signed) -> bytes:
    """What is signed. `target` is path and query as they came."""
    lines = (
        method.encode(),
        target,
        str(signed.time).encode(),
        signed.nonce.encode(),
        signed.digest.encode(),
    )
    return b"\n".join(lines) + b"\n"


def proves(signed: Signed, data: bytes, caller: Caller, now: float) -> bool:
    """Whether one of the caller's keys, of those that are good now, made the signature over `data`."""
    for key in caller.keys:
        if not key.good_at(now):
            continue
        if (
            key.mac is not None
            and signed.scheme == HMAC
            and hmac.compare_digest(key.mac(data), signed.signature)
        ):
            return True
        if key.point and signed.scheme == SM2 and sm2.verify(key.point, data, signed.signature):
            return True
    return False
