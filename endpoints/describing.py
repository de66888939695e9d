"""What all web doors say alike in `/openapi.json`: how a refusal looks, and how a caller shows who it is."""

from __future__ import annotations

import gzip
import json
from typing import Any, NamedTuple


class Rendered(NamedTuple):
    """A document as it goes out: megabytes, where each transaction of a centre is in it. Made once."""

    body: bytes
    packed: bytes  # gzip


def rendered(document: Any) -> Rendered:
    """Takes its time: for a thread."""
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return Rendered(body, gzip.compress(body, 6))


PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457",
    "required": ["title", "status"],
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "stable; the manual explains each"},
        "id": {"type": "string", "description": "the journal's, where what came is filed"},
        "path": {"type": "string", "description": "where in the message"},
        "ref": {"type": "string", "description": "stands in the engine's log too"},
        "state": {"enum": ["refused", "failed"]},
        "errors": {"type": "array"},
    },
}
SECURITY: dict[str, Any] = {
    "signature": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "JINGLUO-HMAC-SM3 or JINGLUO-SM2: a signature over each request",
    },
    "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "certificate": {"type": "mutualTLS"},
}
