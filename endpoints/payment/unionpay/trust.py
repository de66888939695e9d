"""Whose signature an answer or a notice has: `signPubKeyCert` comes with it, and is UnionPay's or nobody's."""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509 import (
    BasicConstraints,
    Certificate,
    ExtensionNotFound,
    NameOID,
    load_pem_x509_certificate,
    load_pem_x509_certificates,
)

_KEPT = 8  # certificates that were looked at
_CHAIN = 5  # certificates from one to the root, at the most


class Trust:
    """`trusted` are UnionPay's root and intermediate certificates in PEM. Raises ValueError."""

    def __init__(self, trusted: str, signer: str) -> None:
        self._authorities = load_pem_x509_certificates(trusted.encode())
        self._signer = signer
        self._known: dict[str, Certificate] = {}

    def key_of(self, pem: str, now_ms: int) -> RSAPublicKey | None:
        """The key of a certificate that UnionPay's authorities gave to the signer; None for any other."""
        certificate = self._known.get(pem)
        if certificate is None:
            certificate = self._checked(pem)
            if certificate is None:
                return None
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[pem] = certificate
        now = datetime.fromtimestamp(now_ms / 1000, UTC)
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            return None
        key = certificate.public_key()
        return key if isinstance(key, RSAPublicKey) else None

    def _checked(self, pem: str) -> Certificate | None:
        try:
            certificate = load_pem_x509_certificate(pem.encode())
        except ValueError:
            return None
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        parts = str(names[0].value).split("@") if names else []
        if len(parts) < 3 or parts[2] != self._signer:
            return None
        return certificate if self._issued(certificate) else None

    def _issued(self, certificate: Certificate) -> bool:
        at = certificate
        for _ in range(_CHAIN):
            above = next((one for one in self._authorities if _by(at, one)), None)
            if above is None:
                return False
            if above.subject == above.issuer:
                return True
            at = above
        return False


def _by(certificate: Certificate, authority: Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
        return bool(authority.extensions.get_extension_for_class(BasicConstraints).value.ca)
    except (ValueError, TypeError, InvalidSignature, ExtensionNotFound):
        return False
