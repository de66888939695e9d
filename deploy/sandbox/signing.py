"""SM2 signatures of the sandbox's own, by the standard's formulas (GB/T 32918.2): of the engine's is only the curve.

Plain integers: some milliseconds a signature, and whoever can measure them learns of the key. For an example.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass

from config.sm2_curve import SIGNER, A, B, N, P
from config.sm2_curve import G as BASE

Point = tuple[int, int]

G: Point = (int.from_bytes(BASE[:32], "big"), int.from_bytes(BASE[32:], "big"))


@dataclass(frozen=True, slots=True)
class KeyPair:
    private: int
    public: Point

    @classmethod
    def new(cls) -> KeyPair:
        private = secrets.randbelow(N - 2) + 1
        return cls(private, _times(private, G))

    @property
    def shown(self) -> str:
        """The public key as a site's callers.yaml takes it: 128 hexadecimal digits."""
        return _bytes(*self.public).hex()

    def sign(self, data: bytes) -> str:
        """r and s, 128 hexadecimal digits."""
        told = sm3((len(SIGNER) * 8).to_bytes(2, "big") + SIGNER + _bytes(A, B, *G, *self.public))
        e = int.from_bytes(sm3(told + data), "big")
        while True:
            k = secrets.randbelow(N - 1) + 1
            r = (e + _times(k, G)[0]) % N
            s = pow(1 + self.private, -1, N) * (k - r * self.private) % N
            if r and s and r + k != N:
                return _bytes(r, s).hex()


def holds(public: Point, data: bytes, signature: bytes) -> bool:
    """Whether `signature` (r and s, 64 bytes) is of this key and these bytes."""
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    t = (r + s) % N
    if len(signature) != 64 or not (0 < r < N and 0 < s < N and t):
        return False
    told = sm3((len(SIGNER) * 8).to_bytes(2, "big") + SIGNER + _bytes(A, B, *G, *public))
    e = int.from_bytes(sm3(told + data), "big")
    met = _sum(_times(s, G), _times(t, public))
    return met is not None and (e + met[0]) % N == r


def point_of(text: str) -> Point:
    """A public key of 128 hexadecimal digits."""
    return int(text[:64], 16), int(text[64:128], 16)


def authorization(app: str, key: KeyPair, method: str, path: str, body: bytes) -> str:
    """The header of a signed request, as endpoints/callers/README.md has it."""
    when, nonce, digest = str(int(time.time())), secrets.token_hex(12), sm3(body).hex()
    lines = "".join(f"{line}\n" for line in (method, path, when, nonce, digest))
    said = f"app={app}, time={when}, nonce={nonce}, digest={digest}, signature={key.sign(lines.encode())}"
    return f"JINGLUO-SM2 {said}"


def sm3(data: bytes) -> bytes:
    return hashlib.new("sm3", data).digest()


def _bytes(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(32, "big") for number in numbers)


def _times(factor: int, point: Point) -> Point:
    """Never the point at infinity, for a factor from 1 below the curve's order."""
    made: Point | None = None
    for bit in bin(factor)[2:]:
        made = _sum(made, made) if made else None
        if bit == "1":
            made = _sum(made, point) if made else point
    assert made is not None
    return made


def _sum(one: Point | None, other: Point | None) -> Point | None:
    if one is None or other is None:
        return one or other
    (x1, y1), (x2, y2) = one, other
    if x1 == x2 and (y1 + y2) % P == 0:
        return None
    if one == other:
        slope = (3 * x1 * x1 + A) * pow(2 * y1, -1, P)
    else:
        slope = (y2 - y1) * pow(x2 - x1, -1, P)
    x = (slope * slope - x1 - x2) % P
    return x, (slope * (x1 - x) - y1) % P
