"""What all web doors say alike in `/openapi.json`: how a refusal looks, and how a caller shows who it is."""

from __future__ import annotations

from typing import Any

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
