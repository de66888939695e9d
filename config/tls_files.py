"""What is wrong with the files of a `tls:`, before anybody connects: `jingluo check` says it.

What cannot work is an error. What only time made wrong is a warning, also where it is over: a certificate that ran
out tonight must not keep a restart from opening the door for those who look away.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from config.errors import Problem
from config.tls import PEM, ClientTls, Identity, ServerTls, client_context, refusal, server_context
from config.units import Size

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

SOON = timedelta(days=30)
MAX_FILE: Size = 1_000_000  # bytes: the list of every public authority is a fifth of it
_ANYWHERE = {"", "0.0.0.0", "::", "127.0.0.1", "::1", "localhost"}


def problems_of_files(
    tls: Identity, base: Path, host: str = "", now: datetime | None = None
) -> list[Problem]:
    """All that can be said of them; `at` begins within `tls`. `host` is where a door listens."""
    if not (tls.ca or tls.certificate):  # the system's own list is not ours to judge, and takes 70 ms to read
        return []
    at_now = now or datetime.now(UTC)
    problems: list[Problem] = []
    authorities = _read(tls.ca, base, "ca", _certificates, problems)
    chain = _read(tls.certificate, base, "certificate", _certificates, problems)
    key = _key(tls, base, problems) if tls.certificate else None
    for where, certificates in (("ca", authorities), ("certificate", chain)):
        for certificate in certificates or ():
            problems += _over(certificate, where, at_now)
    if chain and key and chain[0].public_key() != key.public_key():
        hint = "the certificate comes first in its file, those that signed it below"
        problems.append(Problem(("key",), "JL-C063", "the key is not the certificate's", hint))
    if chain and isinstance(tls, ServerTls) and host not in _ANYWHERE and host not in names_of(chain[0]):
        what = f"the certificate does not name {host}: callers that look will not come in"
        problems.append(Problem(("certificate",), "JL-C065", what, _named(chain[0]), "warning"))
    if not any(problem.severity == "error" for problem in problems):
        problems += _refused(tls, base)
    return problems


def names_of(certificate: Certificate) -> list[str]:
    """The DNS names and addresses that it is for."""
    from cryptography import x509

    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    addresses = found.get_values_for_type(x509.IPAddress)
    return [*found.get_values_for_type(x509.DNSName), *(str(a) for a in addresses if _single(a))]


def ends(path: Path) -> float | None:
    """When the first of a file's certificates ends (Unix seconds); None where nobody can read that."""
    try:
        found = _certificates(path.read_bytes())
    except (OSError, ValueError):
        return None
    return min((one.not_valid_after_utc.timestamp() for one in found), default=None)


def _single(address: Any) -> bool:
    return isinstance(address, ipaddress.IPv4Address | ipaddress.IPv6Address)


def _named(certificate: Certificate) -> str:
    return f"it names {', '.join(names_of(certificate)) or 'nobody'}"


def _read(name: str, base: Path, key: str, parse: Callable[[bytes], Any], problems: list[Problem]) -> Any:
    """What a file holds, None where it is not named or not usable."""
    if not name:
        return None
    try:
        path = Path(base, name)
        if path.stat().st_size > MAX_FILE:
            raise OSError(0, f"larger than {MAX_FILE} bytes")
        data = path.read_bytes()
    except OSError as error:
        what = f"{name} cannot be read: {refusal(error)}"
        problems.append(Problem((key,), "JL-C060", what, "a file's name is relative to the site"))
        return None
    try:
        return parse(data)
    except ValueError:
        hint = (
            "openssl x509 -inform DER makes PEM of it"
            if data[:1] == b"\x30"
            else "PEM begins with -----BEGIN"
        )
        problems.append(Problem((key,), "JL-C061", f"{name} holds no certificate", hint))
        return None


def _certificates(data: bytes) -> Sequence[Certificate]:
    from cryptography import x509

    return x509.load_pem_x509_certificates(data)


def _key(tls: Identity, base: Path, problems: list[Problem]) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    where = "key" if tls.key else "certificate"
    name = "the secret" if tls.key.startswith(PEM) else str(tls.key or tls.certificate)
    data = tls.key.encode()
    if not tls.key.startswith(PEM):
        found = _read(name, base, where, bytes, problems if tls.key else [])
        if found is None:
            return None
        data = found
        if Path(base, name).stat().st_mode & 0o007:
            what = f"{name}: everybody on this machine can read the private key"
            problems.append(Problem((where,), "JL-C066", what, "chmod o= takes that right away", "warning"))
    try:
        return load_pem_private_key(data, tls.key_password.encode() or None)
    except TypeError:
        hint = "key_password: secret://name opens one that is encrypted"
        what = "the key is encrypted" if not tls.key_password else "the key is not encrypted"
        problems.append(Problem((where,), "JL-C062", f"{name}: {what}", hint))
    except (ValueError, UnsupportedAlgorithm):
        what = "the password does not open the key" if tls.key_password else "holds no private key"
        problems.append(Problem((where,), "JL-C062", f"{name}: {what}", "PEM, as openssl genpkey writes it"))
    return None


def _over(certificate: Certificate, where: str, now: datetime) -> Iterator[Problem]:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    whose = certificate.subject.rfc4514_string() or "the certificate"
    if now < begins:
        yield Problem((where,), "JL-C064", f"{whose} is not valid before {begins:%Y-%m-%d}", "", "warning")
    elif ends <= now:
        yield Problem((where,), "JL-C064", f"{whose} expired on {ends:%Y-%m-%d}", "renew it", "warning")
    elif ends - now < SOON:
        what = f"{whose} expires on {ends:%Y-%m-%d}"
        hint = "a new file in its place is taken up without a restart"
        yield Problem((where,), "JL-C064", what, hint, "warning")


def _refused(tls: Identity, base: Path) -> Iterator[Problem]:
    """What else OpenSSL has against it: a key too small, a signature too weak."""
    try:
        if isinstance(tls, ServerTls):
            server_context(tls, base)
        else:
            client_context(ClientTls(**tls.model_dump()), base)
    except OSError as error:
        where = "certificate" if tls.certificate else "ca"
        yield Problem(
            (where,), "JL-C067", f"TLS cannot use it: {error.strerror}", "see config/tls.py for what is asked"
        )
