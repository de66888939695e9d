"""SM4-GCM, SM3 and the keys: what the site's key protects.

The site's key wraps data keys, and only data keys touch data. Each wrapped key names the site key that opens it,
so a site key can be replaced while what older ones sealed stays readable. Algorithms: GB/T 32907 (SM4) in GCM as
RFC 8998 has it, GB/T 32905 (SM3) in HMAC; OpenSSL computes them. Nonces and keys come from the system's generator.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SM3, Hash
from cryptography.hazmat.primitives.hmac import HMAC

from config.errors import JingluoError
from config.private import make_folder

log = structlog.get_logger()

KEY_BYTES = 16
NONCE_BYTES = 12
TAG_BYTES = 16
OVERHEAD = NONCE_BYTES + TAG_BYTES  # bytes that sealing adds
_ID_BYTES = 4
WRAPPED_BYTES = _ID_BYTES + KEY_BYTES + OVERHEAD
_KEY_TEXT = re.compile(r"[0-9A-Fa-f]{32}")
_WRAPPING = b"jingluo data key"


class KeyTrouble(JingluoError):
    """JL-K001 no such site key, K002 sealed data that was changed, K003 no key text, K004 the key's file."""


def digest(data: bytes) -> bytes:
    """SM3, 32 bytes."""
    made = Hash(SM3())
    made.update(data)
    return made.finalize()


class Mac:
    """HMAC-SM3 under one key: 1 microsecond for a short text."""

    def __init__(self, key: bytes) -> None:
        self._keyed = HMAC(key, SM3())

    def __call__(self, data: bytes) -> bytes:
        """32 bytes."""
        made = self._keyed.copy()
        made.update(data)
        return made.finalize()


def subkey(key: bytes, purpose: str) -> bytes:
    """A key of one purpose: from one that is known, the others cannot be guessed. 32 bytes."""
    return Mac(key)(b"jingluo " + purpose.encode())


class Sealer:
    """SM4-GCM under one data key: nonce, ciphertext, tag. About 6 microseconds, and 8 a kilobyte.

    `context` is not stored: what was sealed for one place does not open in another.
    Random nonces: one key seals at the most 2 ** 32 times (NIST SP 800-38D, 8.3).
    """

    def __init__(self, key: bytes) -> None:
        self._cipher = algorithms.SM4(key)

    def seal(self, plain: bytes, context: bytes = b"") -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        made = Cipher(self._cipher, modes.GCM(nonce)).encryptor()
        made.authenticate_additional_data(context)
        return b"".join((nonce, made.update(plain), made.finalize(), made.tag))

    def open(self, sealed: bytes, context: bytes = b"") -> bytes:
        """Raises KeyTrouble (JL-K002) where it is not what was sealed with this key for this context."""
        if len(sealed) < OVERHEAD:
            raise _changed()
        nonce, tag = sealed[:NONCE_BYTES], sealed[-TAG_BYTES:]
        made = Cipher(self._cipher, modes.GCM(nonce, tag)).decryptor()
        made.authenticate_additional_data(context)
        try:
            return made.update(sealed[NONCE_BYTES:-TAG_BYTES]) + made.finalize()
        except InvalidTag:
            raise _changed() from None


class SiteKeys:
    """The site's key, and those before it that still open what they wrapped. Data keys lie beside their data."""

    def __init__(self, current: bytes, older: Sequence[bytes] = ()) -> None:
        self._wrappers = {_id(key): Sealer(key) for key in (*reversed(older), current)}
        self._current = _id(current)

    @property
    def id(self) -> str:
        """The current key's name, 8 hex digits: tells nothing about the key."""
        return self._current.hex()

    def wrap(self, data_key: bytes) -> bytes:
        """The key's id and the data key, sealed: WRAPPED_BYTES bytes."""
        return self._current + self._wrappers[self._current].seal(data_key, _WRAPPING)

    def unwrap(self, wrapped: bytes) -> bytes:
        """The data key. Raises KeyTrouble: JL-K001 where none of the site's keys wrapped it, JL-K002."""
        wrapper = self._wrappers.get(wrapped[:_ID_BYTES])
        if wrapper is None:
            raise KeyTrouble(
                "JL-K001",
                f"this was sealed with the site's key {key_id(wrapped)}; known here: "
                f"{', '.join(id.hex() for id in self._wrappers)}",
            )
        return wrapper.open(wrapped[_ID_BYTES:], _WRAPPING)


def key_id(wrapped: bytes) -> str:
    """Which site key wrapped this data key: 8 hex digits."""
    return wrapped[:_ID_BYTES].hex()


def site_keys(current: str, older: Sequence[str], file: Path, *, make: bool = True) -> SiteKeys:
    """Keys as settings say them: 32 hex digits each. Without a current one, `file` holds it.

    `make` the file where there is none: for the engine alone, whose user must be able to read it. Raises KeyTrouble.
    """
    return SiteKeys(
        key_bytes(current) if current else _filed_key(file, make), [key_bytes(text) for text in older]
    )


def key_bytes(text: str) -> bytes:
    """Raises KeyTrouble (JL-K003)."""
    if not _KEY_TEXT.fullmatch(text):
        raise KeyTrouble("JL-K003", "a site's key is 32 hexadecimal digits, as `openssl rand -hex 16` makes")
    return bytes.fromhex(text)


def _filed_key(file: Path, make: bool) -> bytes:
    try:
        if make and not file.exists():
            _make(file)
        if file.stat().st_mode & 0o077:
            raise KeyTrouble("JL-K004", "others may read the key: chmod 600")
        return key_bytes(file.read_text(encoding="ascii").strip())
    except OSError as error:
        raise KeyTrouble("JL-K004", f"the site's key: {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise KeyTrouble("JL-K004", f"{file} holds no key of 32 hexadecimal digits") from None
    except KeyTrouble as error:
        raise KeyTrouble("JL-K004", f"{file}: {error.text}") from None


def _make(file: Path) -> None:
    """A new key, on disk before anything is sealed with it. Of several who make it, one does."""
    make_folder(file.parent)
    own = file.with_name(f"{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as made:
            made.write(secrets.token_hex(KEY_BYTES) + "\n")
            made.flush()
            os.fsync(made.fileno())
        os.link(own, file)
        log.warning(
            "keys.made", file=str(file), keep="a copy of it elsewhere: what it seals opens with it only"
        )
    except FileExistsError:
        pass
    finally:
        own.unlink()


def _id(key: bytes) -> bytes:
    return subkey(key, "name of a key")[:_ID_BYTES]


def _changed() -> KeyTrouble:
    return KeyTrouble("JL-K002", "sealed data was changed, or was sealed for another place")
