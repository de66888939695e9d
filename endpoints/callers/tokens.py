"""OAuth2 access tokens: a JWT (RFC 7519, RFC 9068) to the caller whose it is, by the issuer's keys.

What was verified is remembered until the token is over, or the callers or a file of keys change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from config.callers import Caller, Callers, Tokens
from config.token_keys import KeyFile

MAX_TOKEN = 8000  # characters
LEEWAY_S = 30.0  # clocks differ
_REMEMBERED = 10_000


class Shown(NamedTuple):
    """A good token. `scopes`: what it is for, where it says so."""

    caller: Caller
    scopes: frozenset[str] | None
    until: float  # Unix seconds
    file: KeyFile | None
    changes: int  # of the file, when it was verified


class TokenBook:
    """One site's callers that show tokens."""

    def __init__(self, callers: Callers) -> None:
        self._callers = [caller for caller in callers.known.values() if caller.tokens is not None]
        self._good: dict[bytes, Shown] = {}

    def remembered(self, token: str, now: float) -> Shown | None:
        """A token that was good before, and still is."""
        known = self._good.get(_name(token))
        return known if known is not None and now < known.until and _fresh(known) else None

    def find(self, token: str, now: float) -> Shown | None:
        """None where it proves nothing. Costs a signature's verification."""
        if len(token) > MAX_TOKEN or not self._callers:
            return None
        name = _name(token)
        self._good.pop(name, None)
        found = self._verified(token, now)
        if found is not None:
            if len(self._good) >= _REMEMBERED:
                self._good.clear()
            self._good[name] = found
        return found

    def _verified(self, token: str, now: float) -> Shown | None:
        import jwt

        try:
            whole = jwt.decode_complete(token, options={"verify_signature": False})
            for caller in self._callers:
                tokens = caller.tokens
                if tokens is not None and _is_of(tokens, whole["payload"]):
                    return _shown(caller, tokens, token, whole["header"], now)
        except (jwt.PyJWTError, ValueError, RecursionError):
            return None
        return None


def _name(token: str) -> bytes:
    return hashlib.blake2b(token.encode(), digest_size=16).digest()


def _is_of(tokens: Tokens, claims: Mapping[str, Any]) -> bool:
    """By what it says itself, which is nothing yet."""
    return claims.get("iss") == tokens.issuer and all(
        claims.get(name) == wanted for name, wanted in tokens.claims.items()
    )


def _shown(caller: Caller, tokens: Tokens, token: str, header: Mapping[str, Any], now: float) -> Shown | None:
    import jwt

    algorithm, id = header.get("alg", ""), header.get("kid", "")
    file = tokens.source if isinstance(tokens.source, KeyFile) else None
    # The times are ours to judge: by the engine's clock.
    options: Any = {
        "require": ["exp", "iss", "aud"],
        "verify_exp": False,
        "verify_nbf": False,
        "verify_iat": False,
    }
    for key in tokens.keys:
        if algorithm not in key.algorithms or (id and key.id and id != key.id):
            continue
        try:
            claims = jwt.decode(
                token, key.key, [algorithm], options, audience=tokens.audience, issuer=tokens.issuer
            )
        except jwt.InvalidSignatureError:
            continue
        since, until = claims.get("nbf", 0), claims["exp"]
        if not all(isinstance(moment, int | float) for moment in (since, until)):
            return None
        if not since - LEEWAY_S <= now < until + LEEWAY_S:
            return None
        return Shown(caller, _scopes(claims), until + LEEWAY_S, file, file.changes if file else 0)
    return None


def _scopes(claims: Mapping[str, Any]) -> frozenset[str] | None:
    """`scope` with spaces between (RFC 8693, section 4.2), or `scp`, a list."""
    said = claims.get("scope", claims.get("scp"))
    if isinstance(said, str):
        return frozenset(said.split())
    return frozenset(one for one in said if isinstance(one, str)) if isinstance(said, list) else None


def _fresh(known: Shown) -> bool:
    """`keys` looks whether the file has changed."""
    return known.file is None or (bool(known.file.keys) and known.file.changes == known.changes)
