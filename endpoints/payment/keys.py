"""RSA keys of payment channels: SHA-256 signatures with PKCS #1 v1.5 padding, in Base64. Pure."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    load_der_private_key,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)
from cryptography.x509 import load_pem_x509_certificate

_LEAST_BITS = 2048


def private_key(text: str, known: bool = False) -> RSAPrivateKey:
    """PEM, or the Base64 of PKCS #8 or PKCS #1 that channels' own tools give. Raises ValueError.

    `known`: it was read before, and its numbers need no second look (50 ms).
    """
    try:
        if "-----" in text:
            key = load_pem_private_key(text.encode(), None, unsafe_skip_rsa_key_validation=known)
        else:
            der = b64decode("".join(text.split()), validate=True)
            key = load_der_private_key(der, None, unsafe_skip_rsa_key_validation=known)
    except (ValueError, TypeError, binascii.Error):
        raise ValueError("no RSA private key without a password, in PEM or Base64") from None
    if not isinstance(key, RSAPrivateKey) or key.key_size < _LEAST_BITS:
        raise ValueError(f"no RSA private key of {_LEAST_BITS} bits or more")
    return key


def public_key(text: str) -> RSAPublicKey:
    """PEM of a key or a certificate, or the Base64 of a key. Raises ValueError."""
    try:
        if "CERTIFICATE-----" in text:
            key = load_pem_x509_certificate(text.encode()).public_key()
        elif "-----" in text:
            key = load_pem_public_key(text.encode())  # type: ignore[assignment]
        else:
            key = load_der_public_key(b64decode("".join(text.split()), validate=True))  # type: ignore[assignment]
    except (ValueError, TypeError, binascii.Error):
        raise ValueError("no RSA public key in PEM or Base64, and no certificate") from None
    if not isinstance(key, RSAPublicKey) or key.key_size < _LEAST_BITS:
        raise ValueError(f"no RSA public key of {_LEAST_BITS} bits or more")
    return key


def signed(key: RSAPrivateKey, data: bytes) -> str:
    return b64encode(key.sign(data, PKCS1v15(), SHA256())).decode()


def holds(key: RSAPublicKey, data: bytes, signature: str) -> bool:
    """Whether who has the private key signed `data`. Never raises."""
    try:
        key.verify(b64decode(signature, validate=True), data, PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True
