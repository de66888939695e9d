"""A door's handler that sees only requests which may come in."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from cryptography.hazmat.primitives.hashes import SM3, Hash
from fastapi import Request, Response
from starlette.types import Receive

from endpoints.base import WebOptions
from endpoints.callers.admission import NOT_HERE, Admission, Asked, Entered, Refusal
from endpoints.limits import Limit, problem

Handler = Callable[[Request], Awaitable[Response]]


def asking(handler: Handler, admission: Admission, who: WebOptions, channel: str) -> Handler:
    """`request.state.caller` is then the name of who calls; empty where nobody was asked.

    `request.state.right` says what that one may where only the request itself tells what it is for.
    """

    async def asked(request: Request) -> Response:
        one = _asked(request)
        entered = await admission.admit(one, who, channel)
        if isinstance(entered, Refusal):
            return respond(entered)
        request.state.caller = entered.caller
        request.state.right = Right(who, entered, functools.partial(admission.refused, channel, one.address))
        if entered.digest:
            changed = functools.partial(
                admission.refused, channel, one.address, "digest", caller=entered.caller
            )
            request = Request(request.scope, Proved(request.receive, entered.digest, changed))
        return await handler(request)

    return asked


class Right:
    """What who calls may, beyond coming in."""

    def __init__(self, who: WebOptions, entered: Entered, refused: Callable[..., Refusal]) -> None:
        self._who, self._entered, self._refused = who, entered, refused

    def refusal(self, words: Iterable[str]) -> Refusal | None:
        """None where a scope of the caller names one of these words, or where `scope` asks nothing of the request."""
        wanted = self._who.scopes_for(words)
        if not wanted or not self._entered.scopes.isdisjoint(wanted):
            return None
        return self._refused("scope", 403, "JL-E213", NOT_HERE, caller=self._entered.caller)


class Proved:
    """A signed body: what comes must be what was signed. Else its last piece is a `Limit` (401)."""

    def __init__(self, receive: Receive, digest: str, changed: Callable[[], Refusal]) -> None:
        self._receive, self._digest, self._changed = receive, digest, changed
        self._read = Hash(SM3())
        self._over = False

    async def __call__(self) -> MutableMapping[str, Any]:
        event = await self._receive()
        if event["type"] == "http.request" and not self._over:
            self._read.update(event.get("body", b""))
            self._over = not event.get("more_body")
            if self._over and self._read.finalize().hex() != self._digest:
                refusal = self._changed()
                raise Limit(refusal.status, refusal.code, refusal.detail, refusal.headers)
        return event


def _asked(request: Request) -> Asked:
    query = request.scope["query_string"]
    return Asked(
        request.method,
        request.scope["raw_path"] + (b"?" + query if query else b""),
        request.headers.get("authorization", ""),
        request.client.host if request.client else "",
        getattr(request.state, "peer", None),
    )


def respond(refusal: Refusal) -> Response:
    return problem(
        refusal.status, refusal.code, detail=refusal.detail, headers=refusal.headers, ref=refusal.ref
    )


def caller_facts(request: Request) -> dict[str, str]:
    """What a message keeps of who sent it, as headers: names with a dot are no request's own."""
    peer, caller = getattr(request.state, "peer", None), getattr(request.state, "caller", "")
    return ({"tls.subject": peer.subject} if peer else {}) | ({"caller.name": caller} if caller else {})
