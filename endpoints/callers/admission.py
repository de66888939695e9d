"""The one place that decides whether a request may come to a web door: who calls, from where, what for, how often.

Strangers hear one answer, whatever they got wrong (401, JL-E214); the log and `jingluo_callers_refused` say which part
it was. Cheap questions come first: a forger costs a header's reading, not a signature's verification.
"""

from __future__ import annotations

import functools
import hashlib
import ipaddress
import secrets
from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple, Protocol

import structlog

from config.callers import ANYBODY, NOBODY, Caller, Callers, Network
from config.errors import JingluoError
from config.tls import Peer
from endpoints.base import RETRY_AFTER_S, WebOptions
from endpoints.callers import signature
from endpoints.callers.rate import Failures, Rates
from endpoints.callers.tokens import Shown, TokenBook

log = structlog.get_logger()

Reason = Literal[
    "unknown",  # nothing shown, or by nobody that is known
    "address",  # not from where the caller may come
    "time",  # signed too long ago, or too far ahead
    "signature",
    "replay",
    "digest",  # the body is not the one that was signed
    "token",
    "certificate",
    "machine",  # the channel names nobody: only this machine may call
    "scope",  # known, and not let in by this channel
    "rate",
    "failures",  # too many of its proofs from there were false
    "store",  # nobody can say now whether it is a replay
]
REASONS: tuple[Reason, ...] = Reason.__args__  # type: ignore[attr-defined]

UNPROVED = "who calls is not known, or not proved 调用方身份未能确认"
NOT_HERE = "this caller may not come in here 该调用方无权访问"
NO_CERTIFICATE = "this needs a certificate that may come in 需要受信任的客户端证书"
TOO_OFTEN = "too many requests of this caller 请求过于频繁"
TOO_FALSE = "too many requests from there proved nothing 未通过验证的请求过多"
NOT_NOW = "whether the request is new cannot be said now 暂时无法判断请求是否重复"
CHALLENGE = {"www-authenticate": ", ".join((*signature.NAMES, "Bearer"))}


class Asked(NamedTuple):
    """What is known of a request before its body. `target`: path and query as they came."""

    method: str
    target: bytes
    authorization: str
    address: str
    peer: Peer | None


class Entered(NamedTuple):
    """`caller` is empty where nobody was asked. `digest`: what the body's SM3 must be, in hexadecimal digits."""

    caller: str = ""
    digest: str = ""
    scopes: frozenset[str] = frozenset()  # that it has here


class Refusal(NamedTuple):
    """`ref` stands in the log too: who calls can name it to who looks."""

    status: int
    code: str
    detail: str
    ref: str
    headers: dict[str, str]


class Nonces(Protocol):
    """What was used already, in all processes of the site."""

    def known(self, key: bytes) -> bool: ...
    def claim(self, key: bytes, until_s: int) -> Awaitable[bool]:
        """Whether it is ours: nobody had it before. Durable then. Raises JingluoError where nobody can say."""


class NoNonces:
    """For a web server without an engine: nothing that is signed comes in."""

    def known(self, key: bytes) -> bool:
        return False

    async def claim(self, key: bytes, until_s: int) -> bool:
        raise JingluoError("JL-E216", "there is no memory of what was used")


class Admission:
    """`callers` may be exchanged at any time."""

    def __init__(
        self,
        now: Callable[[], float],
        nonces: Nonces | None = None,
        count: Callable[[str, Reason], None] = lambda channel, reason: None,
    ) -> None:
        """`now`: Unix seconds. `count` hears of each refusal: the channel, and why."""
        self._now = now
        self._nonces = nonces or NoNonces()
        self._count = count
        self._rates = Rates()
        self._failures = Failures()
        self._told = Rates()  # lines of the log
        self.callers = NOBODY

    @property
    def callers(self) -> Callers:
        return self._callers

    @callers.setter
    def callers(self, callers: Callers) -> None:
        self._callers = callers
        self._tokens = TokenBook(callers)
        self._by_certificate = {
            name: caller for caller in callers.known.values() for name in caller.certificates
        }

    async def admit(self, asked: Asked, who: WebOptions, channel: str) -> Entered | Refusal:
        refused = functools.partial(self.refused, channel, asked.address)
        if not _certified(asked.peer, who):
            return refused("certificate", 403, "JL-E213", NO_CERTIFICATE)
        if who.callers == (ANYBODY,):
            return Entered()
        if not who.callers and not who.scope:
            if (asked.peer is not None and who.tls.client != "none") or _this_machine(asked.address):
                return Entered()
            return refused("machine", 403, "JL-E213", NOT_HERE)
        now = self._now()
        scheme, _, rest = asked.authorization.partition(" ")
        scheme = scheme.lower()
        if scheme in (signature.HMAC, signature.SM2):
            return await self._signed(asked, who, refused, signature.read(scheme, rest), now)
        return self._shown(asked, who, refused, rest.strip() if scheme == "bearer" else None, now)

    def refused(
        self, channel: str, address: str, reason: Reason, status: int = 401, code: str = "JL-E214",
        detail: str = UNPROVED, caller: str = "", after_s: int = 0,
    ) -> Refusal:  # fmt: skip
        """Says it in the log and in the metrics."""
        ref = secrets.token_hex(4)
        self._count(channel, reason)
        # One line a second of one kind, for a forger may try thousands: each is counted.
        if not self._told.wait_s(f"{channel} {reason} {caller} {address}", 1.0, 5, self._now()):
            log.warning(
                "caller.refused", channel=channel, reason=reason, caller=caller, peer=address, ref=ref
            )
        headers = dict(CHALLENGE) if status == 401 else {}
        if after_s:
            headers["retry-after"] = str(after_s)
        return Refusal(status, code, detail, ref, headers)

    async def _signed(
        self, asked: Asked, who: WebOptions, refused: Callable[..., Refusal], signed: signature.Signed | None,
        now: float,
    ) -> Entered | Refusal:  # fmt: skip
        caller = self._callers.known.get(signed.app) if signed is not None else None
        if signed is None or caller is None or not caller.keys:
            return refused("unknown")
        name = {"caller": caller.name}
        if not _from_here(asked.address, caller.networks):
            return refused("address", **name)
        if abs(now - signed.time) > self._callers.window_s:
            return refused("time", **name)
        until_s = signed.time + int(self._callers.window_s) + 1
        key = _key(signed)
        if self._nonces.known(key):
            return refused("replay", **name)
        if refusal := self._doubted(caller.name, asked, refused, now):
            return refusal
        if not signature.proves(signed, signature.text(asked.method, asked.target, signed), caller, now):
            self._failures.add(caller.name, _place(asked.address), now)
            return refused("signature", **name)
        refusal = self._may(caller, caller.scopes, who, refused, now)
        if refusal is not None:
            return refusal
        try:
            first = await self._nonces.claim(key, until_s)
        except JingluoError:
            return refused("store", 503, "JL-E216", NOT_NOW, after_s=RETRY_AFTER_S, **name)
        entered = Entered(caller.name, signed.digest, caller.scopes)
        return entered if first else refused("replay", **name)

    def _shown(
        self, asked: Asked, who: WebOptions, refused: Callable[..., Refusal], token: str | None, now: float
    ) -> Entered | Refusal:
        """By a token, or else by a certificate."""
        caller: Caller | None
        if token is not None:
            shown = self._tokens.remembered(token, now) or self._verified(token, asked, refused, now)
            if isinstance(shown, Refusal):
                return shown
            caller, narrowed = shown.caller, shown.scopes
        else:
            names = sorted(asked.peer.names) if asked.peer is not None else ()
            caller = next(
                (self._by_certificate[name] for name in names if name in self._by_certificate), None
            )
            narrowed = None
        if caller is None:
            return refused("unknown")
        if not _from_here(asked.address, caller.networks):
            return refused("address", caller=caller.name)
        scopes = caller.scopes if narrowed is None else caller.scopes & narrowed
        return self._may(caller, scopes, who, refused, now) or Entered(caller.name, scopes=scopes)

    def _verified(
        self, token: str, asked: Asked, refused: Callable[..., Refusal], now: float
    ) -> Shown | Refusal:
        """Whose it is, is what is to be proved: so failures are the address's."""
        if refusal := self._doubted("", asked, refused, now):
            return refusal
        shown = self._tokens.find(token, now)
        if shown is None:
            self._failures.add("", _place(asked.address), now)
            return refused("token")
        return shown

    def _doubted(
        self, caller: str, asked: Asked, refused: Callable[..., Refusal], now: float
    ) -> Refusal | None:
        """Before a verification. A flood of false proofs must not take the core, which is everybody's."""
        wait_s = self._failures.wait_s(caller, _place(asked.address), now)
        if not wait_s:
            return None
        return refused("failures", 429, "JL-E228", TOO_FALSE, caller=caller, after_s=max(1, round(wait_s)))

    def _may(
        self,
        caller: Caller,
        scopes: frozenset[str],
        who: WebOptions,
        refused: Callable[..., Refusal],
        now: float,
    ) -> Refusal | None:
        if (who.callers and caller.name not in who.callers) or (who.scope and not who.lets_in(scopes)):
            return refused("scope", 403, "JL-E213", NOT_HERE, caller=caller.name)
        wait_s = self._rates.wait_s(caller.name, caller.rate, caller.burst, now)
        if wait_s:
            after_s = max(1, round(wait_s))
            return refused("rate", 429, "JL-E215", TOO_OFTEN, caller=caller.name, after_s=after_s)
        return None


def _certified(peer: Peer | None, who: WebOptions) -> bool:
    return peer.among(who.tls.names) if peer is not None else who.tls.client != "required"


def _key(signed: signature.Signed) -> bytes:
    said = f"{signed.app}\0{signed.time}\0{signed.nonce}"
    return hashlib.blake2b(said.encode(), digest_size=16).digest()


@functools.lru_cache(4096)
def _this_machine(address: str) -> bool:
    found = _address(address)
    return found is not None and found.is_loopback


@functools.lru_cache(16_384)
def _from_here(address: str, networks: tuple[Network, ...]) -> bool:
    if not networks:
        return True
    found = _address(address)
    return found is not None and any(found in network for network in networks)


@functools.lru_cache(16_384)
def _place(address: str) -> str:
    """One machine has all addresses of its IPv6 network of 64 bits."""
    found = _address(address)
    return str(found) if not isinstance(found, ipaddress.IPv6Address) else str(int(found) >> 64)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """A door on `::` sees IPv4 callers as ::ffff:10.1.2.3."""
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found
