"""callers.yaml of a site to `Callers`: what is wrong with one of them is a finding, and shuts out that one alone."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from config import sm2
from config.callers import (
    ANYBODY,
    NOBODY,
    Caller,
    Callers,
    CallersText,
    CallerText,
    Key,
    KeyText,
    Tokens,
    TokenText,
)
from config.crypto import Mac
from config.errors import ConfigError, Problem
from config.models import problems_of
from config.secrets import Secret, Secrets, Unneeded, filled, inline_secrets
from config.text import At, Document, read
from config.token_keys import KeyFile, NoKey, TokenKey, of_secret

MAX_CALLERS = 5000
KEY_LENGTH = 32  # characters, the least of an HMAC key: as many bytes as an SM3 digest has
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


def read_callers(
    path: Path, shown_as: str, site: Path, secrets: Secrets, env: Mapping[str, str], now: float | None = None
) -> Callers:
    """Never raises: what is wrong is in its findings. `site`: where files lie; `now`: Unix seconds."""
    if not path.exists():
        return NOBODY
    try:
        document = read(path, shown_as, env)
    except ConfigError as error:
        return Callers(findings=error.findings, unreadable=True)
    at = datetime.now(UTC).timestamp() if now is None else now
    return _Reader(document, site, secrets, at).callers()


class _Reader:
    def __init__(self, document: Document, site: Path, secrets: Secrets, now: float) -> None:
        self._document, self._site, self._secrets, self._now = document, site, secrets, now
        self._problems = list(document.problems)

    def callers(self) -> Callers:
        data = self._document.data if self._document.data is not None else {}
        entries = data.get("callers", {}) if isinstance(data, dict) else None
        if not isinstance(entries, dict):
            self._problems.append(Problem((), "JL-C012", "must be a mapping `callers: {name: {...}}`"))
            return Callers(findings=tuple(self._document.findings(self._problems)), unreadable=True)
        if len(entries) > MAX_CALLERS:
            what = f"too large: more than {MAX_CALLERS} callers"
            self._problems.append(Problem(("callers",), "JL-C008", what))
        window_s = self._window({key: value for key, value in data.items() if key != "callers"})
        made = [self._caller(str(name), entry) for name, entry in list(entries.items())[:MAX_CALLERS]]
        known = {caller.name: caller for caller in made if caller is not None}
        self._distinct(known.values())
        text = json.dumps(data, sort_keys=True, ensure_ascii=False, default=str)
        return Callers(
            {name: caller for name, caller in known.items() if name not in self._broken()},
            window_s,
            frozenset(map(str, entries)),
            frozenset(scope for entry in entries.values() for scope in _said_scopes(entry)),
            hashlib.sha256(text.encode()).hexdigest()[:16],
            tuple(self._document.findings(self._problems)),
            document=self._document,
        )

    def _broken(self) -> set[str | int]:
        errors = (problem for problem in self._problems if problem.severity == "error")
        return {problem.at[1] for problem in errors if problem.at[:1] == ("callers",) and len(problem.at) > 1}

    def _window(self, rest: dict[str, Any]) -> float:
        try:
            return CallersText.model_validate(rest).window
        except ValidationError as error:
            self._problems += problems_of(error, CallersText)
            return NOBODY.window_s

    def _caller(self, name: str, entry: Any) -> Caller | None:
        at: At = ("callers", name)
        if not _NAME.fullmatch(name) or name == ANYBODY:
            hint = f"small letters, digits and hyphens; not `{ANYBODY}`"
            self._problems.append(Problem(at, "JL-C090", f"{name!r} cannot name a caller", hint, on_key=True))
        if not isinstance(entry, dict):
            self._problems.append(Problem(at, "JL-C012", f"{name} must be a mapping (key: value)"))
            return None
        before = len(self._problems)
        self._problems += [*inline_secrets(entry, at), *_inline_keys(entry, at)]
        noted: list[Problem] = []
        answered = filled(entry, self._secrets, at, noted)
        unanswered = {problem.at for problem in noted}
        try:
            text = CallerText.model_validate(answered)
        except ValidationError as error:
            noted += [p for p in problems_of(error, CallerText, at) if p.at not in unanswered]
            text = None
        self._problems += noted
        if text is None or any(p.severity == "error" for p in self._problems[before:]):
            return None
        return Caller(
            name=name,
            keys=tuple(self._keys(text, at)),
            tokens=self._tokens(text.token, (*at, "token")) if text.token else None,
            certificates=frozenset(certificate.lower() for certificate in text.certificate),
            networks=text.addresses,
            scopes=frozenset(text.scopes),
            rate=text.rate,
            burst=text.burst,
        )

    def _keys(self, text: CallerText, at: At) -> Iterator[Key]:
        for number, said in enumerate(text.keys):
            here = (*at, "keys", number)
            if said.until is not None and said.until <= self._now:
                what = "this key's time is over"
                self._problems.append(Problem((*here, "until"), "JL-C094", what, "remove it", "warning"))
            key = self._key(said, here)
            if key is not None:
                yield key
        if text.keys and all(said.until is not None and said.until <= self._now for said in text.keys):
            what = "no key of this caller is good any more: its signatures are refused"
            self._problems.append(Problem((*at, "keys"), "JL-C094", what, "", "warning", on_key=True))

    def _key(self, said: KeyText, at: At) -> Key | None:
        if said.sm2:
            point = self._point(said.sm2, (*at, "sm2"))
            return Key(None, point, Secret(""), said.from_, said.until) if point else None
        if len(said.hmac_sm3) < KEY_LENGTH and not isinstance(self._secrets, Unneeded):
            what = f"the key is shorter than {KEY_LENGTH} characters"
            self._wrong((*at, "hmac-sm3"), what, "openssl rand -hex 32 makes one")
            return None
        return Key(Mac(said.hmac_sm3.encode()), b"", said.hmac_sm3, said.from_, said.until)

    def _point(self, text: str, at: At) -> bytes:
        try:
            if re.fullmatch(r"(04)?[0-9A-Fa-f]{128}", text):
                return sm2.point_of(text)
            return sm2.point_of(Path(self._site, text).read_text("ascii"))
        except OSError as error:
            what = f"{text} cannot be read: {error.strerror or error}"
        except ValueError as error:
            what = str(error) if "key is" in str(error) else f"{text} holds no public key"
        self._wrong(at, what, "PEM, as `openssl pkey -pubout` writes it, or 128 hexadecimal digits")
        return b""

    def _tokens(self, text: TokenText, at: At) -> Tokens | None:
        source: KeyFile | TokenKey
        if text.secret and isinstance(self._secrets, Unneeded):
            return None
        where = "secret" if text.secret else "keys"
        try:
            source = of_secret(text.secret) if text.secret else KeyFile(Path(self._site, text.keys))
        except (NoKey, OSError) as error:
            what = error.strerror if isinstance(error, OSError) else str(error)
            name = "the secret" if text.secret else text.keys
            self._wrong((*at, where), f"{name}: {what}", "a JWKS (JSON) or a public key in PEM")
            return None
        return Tokens(text.issuer, text.audience, text.claims, source)

    def _wrong(self, at: At, what: str, hint: str) -> None:
        self._problems.append(Problem(at, "JL-C093", what, hint))

    def _distinct(self, callers: Iterable[Caller]) -> None:
        """A certificate's name is one caller's: else nobody knows whose scopes count."""
        owner: dict[str, str] = {}
        for caller in callers:
            for name in sorted(caller.certificates):
                first = owner.setdefault(name, caller.name)
                if first != caller.name:
                    what = f"the certificate {name} is the caller {first}'s"
                    at = ("callers", caller.name, "certificate")
                    self._problems.append(Problem(at, "JL-C095", what, "a name of its own for each"))


def _inline_keys(entry: dict[str, Any], at: At) -> Iterator[Problem]:
    """What both sides know is never in the file."""
    keys = entry.get("keys")
    for number, key in enumerate(keys if isinstance(keys, list) else ()):
        said = key.get("hmac-sm3") if isinstance(key, dict) else None
        if said and not str(said).startswith("secret://"):
            here = (*at, "keys", number, "hmac-sm3")
            yield Problem(here, "JL-C031", "a key stands in the file", "write secret://name in its place")


def _said_scopes(entry: Any) -> list[str]:
    said = entry.get("scopes") if isinstance(entry, dict) else None
    return [scope for scope in said if isinstance(scope, str)] if isinstance(said, list) else []
