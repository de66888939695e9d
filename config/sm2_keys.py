"""SM2 keys as people and platforms write them: PEM, hexadecimal, Base64. No error quotes a key."""

from __future__ import annotations

import base64
import re

from config.sm2_curve import CURVE_OID, POINT, PUBLIC_HEAD, N, on_curve

_PEM = re.compile(r"-----BEGIN ((?:EC |SM2 )?(?:PUBLIC|PRIVATE) KEY)-----(.*?)-----END \1-----", re.DOTALL)
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_NUMBER = 32
_SEQUENCE, _OCTETS, _INTEGER = 0x30, 0x04, 0x02


def point_of(text: str) -> bytes:
    """A public key: PEM, or x and y (04 may stand before) in hexadecimal or Base64. Raises ValueError."""
    point = _bytes(text, "PUBLIC KEY", (POINT, POINT + 1)).removeprefix(PUBLIC_HEAD)
    if len(point) == POINT + 1 and point[0] == 4:
        point = point[1:]
    if len(point) != POINT or not on_curve(point):
        raise ValueError("the key is none of SM2")
    return point


def private_of(text: str) -> bytes:
    """A private key, 32 bytes: PEM (PKCS #8 or RFC 5915, not encrypted), or hexadecimal or Base64 of it.

    Java writes a 00 before a number that would look negative; it may stand there. Raises ValueError.
    """
    made = _bytes(text, "PRIVATE KEY", (_NUMBER, _NUMBER + 1))
    if len(made) > _NUMBER + 1:
        made = _number_in(made)
    if len(made) == _NUMBER + 1 and made[0] == 0:
        made = made[1:]
    if len(made) != _NUMBER or not 0 < int.from_bytes(made, "big") < N - 1:
        raise ValueError("the key is none of SM2")
    return made


def _bytes(text: str, kind: str, sizes: tuple[int, ...]) -> bytes:
    """What the text holds. Hexadecimal is what has the length of it: its digits are Base64's too."""
    body = text.strip()
    for found in _PEM.finditer(body):
        if found[1].endswith(kind):
            body = found[2]
            break
    body = "".join(body.split())
    if _HEX.fullmatch(body) and len(body) // 2 in sizes:
        return bytes.fromhex(body)
    try:
        return base64.b64decode(body, validate=True)
    except ValueError:
        raise ValueError("the key is neither PEM, hexadecimal nor Base64") from None


def _number_in(der: bytes) -> bytes:
    """The private number of a PKCS #8 or RFC 5915 key."""
    try:
        if CURVE_OID not in der:
            raise ValueError
        inside = _value(der, _SEQUENCE)[0]
        version, rest = _value(inside, _INTEGER)
        if version == b"\x00":  # PKCS #8: the algorithm, then the key proper
            rest = _value(rest, _SEQUENCE)[1]
            inside = _value(_value(rest, _OCTETS)[0], _SEQUENCE)[0]
            rest = _value(inside, _INTEGER)[1]
        return _value(rest, _OCTETS)[0].rjust(_NUMBER, b"\x00")
    except (ValueError, IndexError):
        raise ValueError("the key is none of SM2, or is encrypted") from None


def _value(der: bytes, tag: int) -> tuple[bytes, bytes]:
    """The first value of DER, which must have that tag, and what follows. Raises ValueError, IndexError."""
    if der[0] != tag:
        raise ValueError
    at, length = 2, der[1]
    if length == 0x81:
        at, length = 3, der[2]
    elif length > 0x80:
        raise ValueError
    if len(der) < at + length:
        raise ValueError
    return der[at : at + length], der[at + length :]
