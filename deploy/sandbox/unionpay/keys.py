"""UnionPay's certificates, made at start: an authority, and what it gave to who signs answers and notices."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

SIGNER = "中国银联股份有限公司"
_BEGIN = datetime(2020, 1, 1, tzinfo=UTC)


def certificate(
    subject: str, key: RSAPublicKey, issuer: str, by: RSAPrivateKey, number: int, authority: bool = False
) -> str:
    """PEM, good for thirty years."""
    made = x509.CertificateBuilder().subject_name(_name(subject)).issuer_name(_name(issuer)).public_key(key)
    made = (
        made.serial_number(number).not_valid_before(_BEGIN).not_valid_after(_BEGIN + timedelta(days=10_950))
    )
    made = made.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    return made.sign(by, SHA256()).public_bytes(Encoding.PEM).decode()


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
