"""What Alipay signs: RSA2 over sorted parameters, and over the raw text of an answer. Pure.

Sources: opendocs.alipay.com "签名" and "公钥证书方式"; checked against python-alipay-sdk both ways (tests/payment).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.x509 import Certificate, load_pem_x509_certificates

from endpoints.payment.keys import holds, signed

_RSA = "1.2.840.113549.1.1."  # signature algorithms with RSA


def content(fields: Mapping[str, str]) -> str:
    """What is signed of a request: what has a value, by name.

    >>> content({"b": "2", "a": "1", "sign": "x", "empty": ""})
    'a=1&b=2'
    """
    return "&".join(f"{name}={fields[name]}" for name in sorted(fields) if name != "sign" and fields[name])


def sign(key: RSAPrivateKey, fields: Mapping[str, str], charset: str) -> str:
    """`sign` of a request; `sign_type` is among what is signed."""
    return signed(key, content(fields).encode(charset))


def notice_holds(key: RSAPublicKey, fields: Mapping[str, str], charset: str) -> bool:
    """Whether an asynchronous notice is Alipay's: its `sign` is without `sign_type`."""
    told = sorted((name, value) for name, value in fields.items() if name not in ("sign", "sign_type"))
    data = "&".join("=".join(pair) for pair in told).encode(charset, "replace")  # empty values too
    return holds(key, data, fields.get("sign", ""))


def serial(certificate: Certificate) -> str:
    """A certificate's `cert_sn`: MD5, as Alipay wants it, of issuer and serial number."""
    text = f"{certificate.issuer.rfc4514_string()}{certificate.serial_number}"
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def root_serial(pem: str) -> str:
    """`alipay_root_cert_sn`: of those in the file that are signed with RSA. Raises ValueError."""
    known = load_pem_x509_certificates(pem.encode())
    return "_".join(
        serial(one) for one in known if one.signature_algorithm_oid.dotted_string.startswith(_RSA)
    )
