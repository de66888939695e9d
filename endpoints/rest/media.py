"""What a format is called on the web."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from email.message import Message as MimeHeaders

# The first is what we send, all are taken.
MEDIA_TYPES: Mapping[str, tuple[str, ...]] = {
    "json": ("application/json", "text/json"),
    "fhir": ("application/fhir+json", "application/json"),
    "xml": ("application/xml", "text/xml", "application/soap+xml"),
    "hl7v2": ("x-application/hl7-v2+er7", "application/hl7-v2", "application/edi-hl7", "text/plain"),
    "delimited": ("text/csv", "text/tab-separated-values", "application/csv", "text/plain"),
    "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",),
    "fixed": ("text/plain",),
    "form": ("application/x-www-form-urlencoded", "multipart/form-data"),
}
_UNKNOWN = ("application/octet-stream",)


def media_type(format: str) -> str:
    return MEDIA_TYPES.get(format, _UNKNOWN)[0]


@functools.lru_cache(256)
def content_type(header: str) -> tuple[str, str]:
    """`text/xml; charset=GBK` to its type and charset, in lower case."""
    parsed = MimeHeaders()
    parsed["content-type"] = header
    return (parsed.get_content_type() if header else ""), parsed.get_content_charset("")


def format_of(header: str) -> str:
    kind, _ = content_type(header)
    return next((format for format, types in MEDIA_TYPES.items() if kind in types), "")
