"""`Idempotency-Key`: what is sent again under its key is done once, and answered as it was the first time.

As Stripe's interface has it, and draft-ietf-httpapi-idempotency-key-header: another request under the same key is
refused (422), and so is the same one while the first is under way (409). A key is its caller's own.
"""

from __future__ import annotations

import hashlib
import re

from fastapi import Request

from endpoints.limits import Hashed, Limit
from schemas.message import Once

HEADER = "idempotency-key"
_KEY = re.compile(r'"?([\x21\x23-\x7e]{1,255})"?')


class Repeatable:
    """A request with a key. `request` is to be read in its place: what it holds decides whether another is the same."""

    def __init__(self, request: Request, key: str) -> None:
        query = request.scope["query_string"]
        what = b" ".join((request.method.encode(), request.scope["raw_path"], query)) + b"\n"
        self._hashed = Hashed(request.receive, what)
        self._key = f"{getattr(request.state, 'caller', '')}\0{key}".encode()
        self.request = Request(request.scope, self._hashed)

    def once(self) -> Once:
        """When all is read."""
        return Once(hashlib.blake2b(self._key, digest_size=16).digest(), self._hashed.digest())


def repeatable(request: Request, required: bool) -> Repeatable | None:
    """None where it has no key. Raises Limit (400, JL-E217)."""
    said = request.headers.get(HEADER)
    if said is None:
        if required:
            raise Limit(400, "JL-E217", "an Idempotency-Key is needed here 此接口须带幂等键")
        return None
    key = _KEY.fullmatch(said.strip())
    if key is None:
        raise Limit(400, "JL-E217", "an Idempotency-Key has 1 to 255 printable characters and no blanks")
    return Repeatable(request, key[1])
