"""TLS for every door and every way out: what YAML says of it, and the one place that makes an `ssl.SSLContext`.

TLS 1.2 or newer, only ciphers that authenticate and have forward secrecy. Whoever we call shows a certificate that
is verified with its name; no option turns that off. Certificate files are read again, at the next connection, when
they have changed: a renewal needs no restart.
"""

from __future__ import annotations

import functools
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import structlog
from pydantic import BaseModel, ConfigDict, Field, model_validator

from config.secrets import Secret
from config.units import Seconds

log = structlog.get_logger()

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:@SECLEVEL=2"  # of TLS 1.2; those of 1.3 are all good
PEM = "-----BEGIN "
_ASKED = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
# RFC 4514's short names for what OpenSSL calls the parts of a subject.
_SHORT = {
    "commonName": "CN",
    "countryName": "C",
    "domainComponent": "DC",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "stateOrProvinceName": "ST",
    "streetAddress": "STREET",
    "userId": "UID",
}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ClientCertificates(_Part):
    """Who may come in, by the certificate that the caller shows."""

    client: Literal["none", "optional", "required"] = Field(
        default="none", description="whether a caller shows a certificate of its own"
    )
    names: tuple[str, ...] = Field(
        default=(),
        description="whose: a DNS name, address or common name of the certificate; none given is everybody",
    )

    @model_validator(mode="after")
    def _asks_for_names(self) -> ClientCertificates:
        if self.names and self.client == "none":
            raise ValueError("names of callers need their certificates; write client: required")
        return self


class Identity(_Part):
    """What we show, and whom we trust. Files are PEM, relative to the site."""

    ca: str = Field(
        default="", description="who may have signed the other side's certificate; else the system's list"
    )
    certificate: str = Field(default="", description="ours, with the chain below it")
    key: Secret = Field(
        default=Secret(""),
        description="its private key: a file, or secret://name; else in the certificate's file",
    )
    key_password: Secret = Field(default=Secret(""), description="of an encrypted key, by secret://name")

    @model_validator(mode="after")
    def _whole(self) -> Identity:
        if (self.key or self.key_password) and not self.certificate:
            raise ValueError("a key needs its certificate")
        return self

    def within(self, base: Path) -> Self:
        """The same with its files' names absolute."""
        said = {name: getattr(self, name) for name in ("ca", "certificate", "key")}
        files = {name: file for name, file in said.items() if file and not file.startswith(PEM)}
        return self.model_copy(update={name: type(file)(base / file) for name, file in files.items()})


class ServerTls(Identity, ClientCertificates):
    """`tls:` of a door."""

    certificate: str = Field(min_length=1, description="ours, with the chain below it")
    handshake_within: Seconds = Field(default=10.0, gt=0, description="a caller that takes longer is cut off")

    @model_validator(mode="after")
    def _knows_callers(self) -> ServerTls:
        if self.client != "none" and not self.ca:
            raise ValueError("callers' certificates need `ca`: who may have signed them")
        return self


class ClientTls(Identity):
    """`tls:` of a way out."""

    name: str = Field(
        default="", description="in the receiver's certificate, where it is not the host that is called"
    )


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end, by a certificate that was verified. `names` are in lower case."""

    subject: str  # RFC 4514: "CN=his.hospital.local,O=Hospital"
    names: frozenset[str]

    def among(self, names: tuple[str, ...]) -> bool:
        return not names or not self.names.isdisjoint(name.lower() for name in names)


def peer_of(connection: Any) -> Peer | None:
    """Of an `ssl.SSLObject`; None where there is no TLS, or the caller showed no certificate."""
    shown = connection.getpeercert() if connection is not None else None
    if not shown:
        return None
    parts = [pair for part in shown.get("subject", ()) for pair in part]
    names = {
        value for kind, value in shown.get("subjectAltName", ()) if kind in ("DNS", "IP Address", "email")
    }
    names |= {value for kind, value in parts if kind == "commonName"}
    subject = ",".join(f"{_SHORT.get(kind, kind)}={_escaped(value)}" for kind, value in reversed(parts))
    return Peer(subject, frozenset(name.lower() for name in names))


def _escaped(value: str) -> str:
    """A value of a subject, RFC 4514 section 2.4.

    >>> print(_escaped("Ward 3, East "), _escaped("#1"))
    Ward 3\\, East\\  \\#1
    """
    made = "".join(f"\\{c}" if c in ',+"\\<>;' else c for c in value).replace("\0", "\\00")
    if made[:1] in (" ", "#"):
        made = f"\\{made}"
    return f"{made[:-1]}\\ " if made.endswith(" ") and made != "\\ " else made


def refusal(error: BaseException) -> str:
    """Why a handshake failed, in a few words and without a file's or a line's name."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return (getattr(error, "reason", "") or "TLS failed").replace("_", " ").lower()
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


def server_context(tls: ServerTls, base: Path | str = ".") -> ssl.SSLContext:
    """Raises OSError where a file cannot be used."""

    def make() -> ssl.SSLContext:
        context = _strict(ssl.PROTOCOL_TLS_SERVER)
        context.verify_mode = _ASKED[tls.client]
        if tls.ca:
            _trust(context, Path(base, tls.ca))
        _show(context, tls, base)
        return context

    return _Renewed.of(ssl.PROTOCOL_TLS_SERVER, make, files_of(tls, base))


def client_context(tls: ClientTls, base: Path | str = ".") -> ssl.SSLContext:
    """Raises OSError where a file cannot be used."""

    def make() -> ssl.SSLContext:
        context = _strict(ssl.PROTOCOL_TLS_CLIENT)
        if tls.ca:
            _trust(context, Path(base, tls.ca))
        else:
            context.load_default_certs()
        if tls.certificate:
            _show(context, tls, base)
        return context

    return _Renewed.of(ssl.PROTOCOL_TLS_CLIENT, make, files_of(tls, base), tls.name)


def pinned_context(certificate: Path) -> ssl.SSLContext:
    """For a door of our own on this machine: trusts that one certificate, whatever name it is called by.

    Raises OSError.
    """
    context = _strict(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    end = "-----END CERTIFICATE-----"
    first, found, _ = certificate.read_text(encoding="ascii").partition(end)
    with _named(certificate):
        context.load_verify_locations(cadata=first + found)
    return context


def libpq_options(tls: Identity) -> dict[str, str]:
    """The same for PostgreSQL's own client, which reads the files at each connection."""
    made = {
        "sslmode": "verify-full",
        "sslrootcert": tls.ca or "system",
        "sslcert": tls.certificate,
        "sslkey": _in_memory(tls.key) if tls.key.startswith(PEM) else str(tls.key or tls.certificate),
        "sslpassword": str(tls.key_password),
        "ssl_min_protocol_version": "TLSv1.2",
    }
    return {name: value for name, value in made.items() if value}


def files_of(tls: Identity, base: Path | str) -> tuple[Path, ...]:
    """The files it names, of which a key that is a secret is none."""
    names = (tls.ca, tls.certificate, "" if tls.key.startswith(PEM) else tls.key)
    return tuple(Path(base, name) for name in names if name)


@functools.cache
def _in_memory(key: str) -> str:
    """OpenSSL takes keys from files only: a file that is this process's own, in memory, as long as it lives."""
    memory = os.memfd_create("key")
    os.fchmod(memory, 0o600)
    os.write(memory, key.encode())
    return f"/proc/self/fd/{memory}"


def _strict(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


def _trust(context: ssl.SSLContext, file: Path) -> None:
    with _named(file):
        context.load_verify_locations(str(file))


def _show(context: ssl.SSLContext, tls: Identity, base: Path | str) -> None:
    file = Path(base, tls.certificate)
    key = _in_memory(tls.key) if tls.key.startswith(PEM) else str(Path(base, tls.key or tls.certificate))
    with _named(file):
        context.load_cert_chain(str(file), key, lambda: str(tls.key_password))


@contextmanager
def _named(file: Path) -> Iterator[None]:
    """OpenSSL's errors name no file."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, f"{error.filename or file}: {refusal(error)}") from error


class _Renewed(ssl.SSLContext):
    """Makes each connection with what the files say now; with what they said before, where that is unusable.

    asyncio, uvloop and anyio all ask a context for its connections by `wrap_bio`, drivers that block by `wrap_socket`.
    """

    _make: Callable[[], ssl.SSLContext]
    _files: tuple[Path, ...]
    _stamp: tuple[object, ...]
    _now: ssl.SSLContext
    _name: str

    @classmethod
    def of(
        cls, protocol: int, make: Callable[[], ssl.SSLContext], files: tuple[Path, ...], name: str = ""
    ) -> _Renewed:
        made = cls(protocol)
        made._make, made._files, made._name = make, files, name
        made._stamp, made._now = made._look(), make()
        return made

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        host = self._name or server_hostname
        return self._newest().wrap_bio(incoming, outgoing, server_side, host, session)

    def wrap_socket(
        self,
        sock: socket.socket,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLSocket:
        host = self._name or server_hostname
        return self._newest().wrap_socket(
            sock, server_side, do_handshake_on_connect, suppress_ragged_eofs, host, session
        )

    def _newest(self) -> ssl.SSLContext:
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp = stamp
            self._renew()
        return self._now

    def _renew(self) -> None:
        files = ", ".join(map(str, self._files))
        try:
            self._now = self._make()
        except OSError as error:  # half a renewal: the other file changes in a moment
            log.warning("tls.not_renewed", reason=refusal(error))
        else:
            log.info("tls.renewed", files=files)

    def _look(self) -> tuple[object, ...]:
        return tuple(map(_stamp, self._files))


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
