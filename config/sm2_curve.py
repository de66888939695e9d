"""The curve of SM2 (GB/T 32918.5-2017), and what a back-end of its signatures must offer."""

from __future__ import annotations

from typing import Protocol

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
PUBLIC_HEAD = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d03420004")
CURVE_OID = bytes.fromhex("06082a811ccf5501822d")


class KeyPair(Protocol):
    @property
    def point(self) -> bytes:
        """The public key: x and y, 64 bytes."""

    def sign(self, data: bytes) -> bytes:
        """r and s, 64 bytes, other ones at each call: the nonce is the system's. Any thread may call."""


class Backend(Protocol):
    """Who computes. A hardware module is one that finds its key by what `private` says in its place."""

    name: str

    def verify(self, point: bytes, data: bytes, pair: bytes) -> bool:
        """`pair` is r and s, both within the curve's order."""

    def key_pair(self, private: bytes) -> KeyPair:
        """Of 32 bytes, a number from 1 to N - 2."""


def on_curve(point: bytes) -> bool:
    x, y = int.from_bytes(point[:32], "big"), int.from_bytes(point[32:], "big")
    return max(x, y) < P and (y * y - (x * x * x + A * x + B)) % P == 0


def signed_digest(point: bytes, data: bytes) -> bytes:
    """What is signed of `data`: e of GB/T 32918.2, 6.1, with Z of 5.5: the signer's id, the curve and the key."""
    curve = b"".join(number.to_bytes(32, "big") for number in (A, B)) + G
    return digest(digest((len(SIGNER) * 8).to_bytes(2, "big") + SIGNER + curve + point) + data)


# GB/T 32918.5-2017, A.2: what a back-end must say yes to before it is trusted.
SAMPLE_DATA = b"message digest"
SAMPLE_PRIVATE = bytes.fromhex("3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8")
SAMPLE_POINT = bytes.fromhex(
    "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
    "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
)
SAMPLE_SIGNATURE = bytes.fromhex(
    "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
    "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
)
