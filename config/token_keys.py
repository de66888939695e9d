"""The keys that access tokens (JWT, RFC 7519) are verified by: a JWKS or PEM file of the site, or one secret.

A file is read again, at the next token, when it has changed: an issuer's new key needs no restart. Which algorithms a
key serves is decided by the key, never by the token.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

log = structlog.get_logger()

MAX_FILE = 1_000_000  # bytes
MAX_KEYS = 100
SECRET_BYTES = 32  # the least of a key for HS256, RFC 7518 section 3.2
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_RSA_BITS = 2048


@dataclass(frozen=True, slots=True)
class TokenKey:
    """`id` is the `kid` of a JWKS; empty where the key has none."""

    id: str
    algorithms: tuple[str, ...]
    key: Any


class NoKey(ValueError):
    """A file or a secret that holds no key to verify by; the text says why."""


def of_secret(text: str) -> TokenKey:
    """Raises NoKey."""
    if len(text.encode()) < SECRET_BYTES:
        raise NoKey(f"shorter than {SECRET_BYTES} bytes")
    return TokenKey("", ("HS256", "HS384", "HS512"), text.encode())


def of_file(path: Path) -> tuple[TokenKey, ...]:
    """Raises NoKey, and OSError where it cannot be read."""
    if path.stat().st_size > MAX_FILE:
        raise NoKey(f"larger than {MAX_FILE} bytes")
    data = path.read_bytes()
    return _of_pem(data) if data.lstrip().startswith(b"-----BEGIN") else _of_jwks(data)


def _of_pem(data: bytes) -> tuple[TokenKey, ...]:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    if b"PRIVATE KEY" in data:
        raise NoKey("holds a private key: the public one belongs here")
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        raise NoKey("holds no public key in PEM") from None
    return (TokenKey("", _algorithms(key), key),)


def _of_jwks(data: bytes) -> tuple[TokenKey, ...]:
    try:
        said = json.loads(data)
    except ValueError:
        raise NoKey("is neither JSON nor PEM") from None
    listed = said.get("keys") if isinstance(said, dict) else None
    if not isinstance(listed, list) or not listed:
        raise NoKey("is no JWKS: an object with `keys`")
    if len(listed) > MAX_KEYS:
        raise NoKey(f"has more than {MAX_KEYS} keys")
    made = [key for one in listed if isinstance(one, dict) for key in _of_jwk(one)]
    if not made:
        raise NoKey("has no key for signatures: kty RSA, EC or OKP, use sig")
    return tuple(made)


def _of_jwk(said: dict[str, Any]) -> Sequence[TokenKey]:
    """Nothing of a key that is for something else. A shared secret (`oct`) does not belong in a file."""
    import jwt

    if said.get("kty") not in ("RSA", "EC", "OKP") or said.get("use", "sig") != "sig":
        return ()
    try:
        key = jwt.PyJWK(said).key
        if hasattr(key, "private_numbers") or hasattr(key, "private_bytes"):
            raise NoKey("holds a private key: the public one belongs here")
        algorithms = _algorithms(key)
    except jwt.PyJWTError:
        raise NoKey(f"the key {str(said.get('kid', ''))[:64]!r} cannot be used") from None
    if "alg" in said:
        algorithms = tuple(name for name in algorithms if name == said["alg"])
    return (TokenKey(str(said.get("kid", "")), algorithms, key),)


def _algorithms(key: Any) -> tuple[str, ...]:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    match key:
        case rsa.RSAPublicKey():
            if key.key_size < _RSA_BITS:
                raise NoKey(f"an RSA key of {key.key_size} bits; {_RSA_BITS} are the least")
            return _RSA
        case ec.EllipticCurvePublicKey() if key.curve.name in _CURVES:
            return (_CURVES[key.curve.name],)
        case ed25519.Ed25519PublicKey():
            return ("EdDSA",)
    raise NoKey("a kind of key that tokens are not signed by")


class KeyFile:
    """What a file says now; what it said before, where it cannot be used now. `changes` counts its contents."""

    def __init__(self, path: Path) -> None:
        """Raises NoKey and OSError."""
        self.path = path
        self.changes = 0
        self._stamp = self._look()
        self._keys = of_file(path)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeyFile) and (self.path, self._keys) == (other.path, other._keys)

    def __hash__(self) -> int:
        return hash(self.path)

    @property
    def keys(self) -> tuple[TokenKey, ...]:
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._keys = of_file(self.path)
            except (OSError, NoKey) as error:  # in the midst of being written, perhaps
                log.warning("callers.keys_not_renewed", file=str(self.path), reason=str(error))
            else:
                self.changes += 1
                log.info("callers.keys_renewed", file=str(self.path))
        return self._keys

    def _look(self) -> tuple[int, int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
