"""A caller of the tests' own: signs requests with the standard library and openssl, and knows nothing of the engine."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import subprocess
import time
from base64 import b64encode
from pathlib import Path

KEY = "invented-key-of-the-kiosk-0123456789"


def parts(
    method: str,
    path: str,
    body: bytes = b"",
    *,
    app: str = "kiosk",
    key: str = KEY,
    at: float | None = None,
    nonce: str = "",
) -> dict[str, str]:
    """The parts of the header, to be changed by a forger."""
    when, nonce = str(int(time.time() if at is None else at)), nonce or secrets.token_hex(16)
    digest = hashlib.new("sm3", body).hexdigest()
    mac = hmac.new(key.encode(), _text(method, path, when, nonce, digest), "sm3").hexdigest()
    return {"app": app, "time": when, "nonce": nonce, "digest": digest, "signature": mac}


def header(said: dict[str, str], scheme: str = "JINGLUO-HMAC-SM3") -> str:
    return f"{scheme} " + ", ".join(f'{name}="{value}"' for name, value in said.items())


def signed(method: str, path: str, body: bytes = b"", **more: str | float) -> str:
    return header(parts(method, path, body, **more))  # type: ignore[arg-type]


def sm2_key(folder: Path) -> tuple[Path, Path]:
    """A new key pair's files, made by openssl: private, public."""
    private, public = folder / "sm2.key", folder / "sm2.pem"
    _openssl("genpkey", "-algorithm", "SM2", "-out", str(private))
    _openssl("pkey", "-in", str(private), "-pubout", "-out", str(public))
    return private, public


def sm2_signed(private: Path, method: str, path: str, body: bytes = b"", app: str = "his") -> str:
    when, nonce, digest = str(int(time.time())), secrets.token_hex(16), hashlib.new("sm3", body).hexdigest()
    text = private.with_name("signed.txt")
    text.write_bytes(_text(method, path, when, nonce, digest))
    made = _openssl(
        "pkeyutl", "-sign", "-rawin", "-digest", "sm3", "-pkeyopt", "distid:1234567812345678",
        "-inkey", str(private), "-in", str(text),
    )  # fmt: skip
    said = {"app": app, "time": when, "nonce": nonce, "digest": digest, "signature": b64encode(made).decode()}
    return header(said, "JINGLUO-SM2")


def _text(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _openssl(*words: str) -> bytes:
    return subprocess.run(["openssl", *words], check=True, capture_output=True).stdout
