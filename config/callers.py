"""Who may call the engine's web doors: callers.yaml of a site, beside systems.yaml.

A caller is known by what it can show: a signature over each request, an access token, or a client certificate. What
is wrong with one caller is a finding and shuts out that caller alone.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from config.crypto import Mac
from config.errors import Finding
from config.secrets import Secret
from config.text import Document
from config.token_keys import KeyFile, TokenKey
from config.units import Seconds

ANYBODY = "anybody"  # what a channel says that asks nobody who they are
SCOPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._/-]{0,63}")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _moment(value: Any) -> float:
    """Unix seconds of `2026-06-01` or `2026-06-01T08:00:00+08:00`; without a zone it is this machine's time."""
    try:
        if not isinstance(value, str):
            raise ValueError
        return datetime.fromisoformat(value).timestamp()
    except (ValueError, OverflowError):
        raise ValueError(f"{value!r} is no date; write 2026-06-01 or 2026-06-01T08:00:00+08:00") from None


def _network(value: Any) -> Network:
    try:
        return ipaddress.ip_network(value)
    except (ValueError, TypeError) as error:
        said = str(error) if "host bits" in str(error) else f"{value!r} is no address"
        raise ValueError(f"{said}; write 10.1.2.3 or 10.1.0.0/16") from None


def _scope(value: Any) -> str:
    if not isinstance(value, str) or not SCOPE.fullmatch(value):
        raise ValueError(f"{value!r} is no scope; letters, digits and : . _ / - inside")
    return value


Moment = Annotated[float, BeforeValidator(_moment, json_schema_input_type=str)]
NetworkText = Annotated[Any, BeforeValidator(_network, json_schema_input_type=str)]
ScopeText = Annotated[str, BeforeValidator(_scope)]


class _Text(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KeyText(_Text):
    """A key that requests are signed with. Of several, each is good in its time: that is how they rotate."""

    hmac_sm3: Secret = Field(
        Secret(""),
        alias="hmac-sm3",
        description="secret://name: what both sides know, 32 characters at least",
    )
    sm2: str = Field("", description="the caller's public key: a PEM file, or 128 hexadecimal digits")
    from_: Moment | None = Field(None, alias="from", description="not good before; a date, or a time")
    until: Moment | None = Field(None, description="not good from then on")

    @model_validator(mode="after")
    def _one(self) -> KeyText:
        if bool(self.hmac_sm3) == bool(self.sm2):
            raise ValueError("a key is either hmac-sm3 or sm2")
        if self.from_ is not None and self.until is not None and self.until <= self.from_:
            raise ValueError("until is not after from")
        return self


class TokenText(_Text):
    """OAuth2 access tokens (JWT) that a caller shows as `Authorization: Bearer`."""

    issuer: str = Field(min_length=1, description="what `iss` must be")
    audience: str = Field(
        min_length=1, description="what `aud` must hold: the name that the issuer has for us"
    )
    claims: Mapping[str, str] = Field(
        min_length=1, description="which tokens are this caller's: `{client_id: app}`; all must be so"
    )
    keys: str = Field("", description="the issuer's public keys: a JWKS file, or a PEM file with one")
    secret: Secret = Field(Secret(""), description="secret://name, where the issuer signs by HMAC (HS256)")

    @model_validator(mode="after")
    def _verified(self) -> TokenText:
        if bool(self.keys) == bool(self.secret):
            raise ValueError("a token is verified either by keys or by a secret")
        return self


class CallerText(_Text):
    """A caller: what it shows, from where it may come, and what it may."""

    title: str = Field("", description="for people")
    keys: tuple[KeyText, ...] = Field((), max_length=4, description="what its signatures are verified by")
    token: TokenText | None = Field(None, description="its access tokens")
    certificate: tuple[str, ...] = Field(
        (), description="names in its client certificate: DNS name, address or common name"
    )
    addresses: tuple[NetworkText, ...] = Field(
        (), description="where it may come from: 10.1.2.3, 10.1.0.0/16; without it, from anywhere"
    )
    scopes: tuple[ScopeText, ...] = Field((), description="what it may: words that channels ask for")
    rate: float = Field(100.0, gt=0, description="requests a second, in the long run, of each process")
    burst: int = Field(200, ge=1, description="requests at once, after it was quiet")

    @model_validator(mode="after")
    def _shows(self) -> CallerText:
        if not (self.keys or self.token or self.certificate):
            raise ValueError("a caller must show something; give it keys, a token or a certificate")
        return self


class CallersText(_Text):
    """callers.yaml: who may call."""

    window: Seconds = Field(
        300.0, gt=0, le=900, description="how far the time of a signed request may be from ours"
    )
    callers: Mapping[str, CallerText] = Field({}, description="the callers, by name")


@dataclass(frozen=True, slots=True)
class Key:
    """One of the two is there: `mac`, or an SM2 public key's point."""

    mac: Mac | None
    point: bytes
    secret: Secret  # what `mac` was made of: two of the same are equal by it
    since: float | None = None  # Unix seconds
    until: float | None = None

    def good_at(self, now: float) -> bool:
        return (self.since is None or self.since <= now) and (self.until is None or now < self.until)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self._facts == other._facts

    def __hash__(self) -> int:
        return hash(self._facts)

    @property
    def _facts(self) -> tuple[object, ...]:
        return self.secret, self.point, self.since, self.until


@dataclass(frozen=True, slots=True)
class Tokens:
    """How a caller's tokens are known."""

    issuer: str
    audience: str
    claims: Mapping[str, str]
    source: KeyFile | TokenKey

    @property
    def keys(self) -> tuple[TokenKey, ...]:
        return self.source.keys if isinstance(self.source, KeyFile) else (self.source,)


@dataclass(frozen=True, slots=True)
class Caller:
    name: str
    keys: tuple[Key, ...] = ()
    tokens: Tokens | None = None
    certificates: frozenset[str] = frozenset()  # in lower case
    networks: tuple[Network, ...] = ()
    scopes: frozenset[str] = frozenset()
    rate: float = 100.0
    burst: int = 200


@dataclass(frozen=True, slots=True)
class Callers:
    """All callers of a site. `names` and `scopes` are those of the file, also of callers with mistakes."""

    known: Mapping[str, Caller] = field(default_factory=dict)
    window_s: float = 300.0
    names: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    digest: str = ""  # of the file
    findings: tuple[Finding, ...] = field(default=(), compare=False)
    unreadable: bool = False
    document: Document | None = field(default=None, compare=False, repr=False)

    @property
    def sign(self) -> bool:
        return any(caller.keys for caller in self.known.values())


NOBODY = Callers()
