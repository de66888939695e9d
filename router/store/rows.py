"""What travelled, as rows: cleaned of what a database refuses, cut to limits, bodies compressed."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from router.envelope import Attempt, Envelope

MAX_VALUE = 200  # characters of an index value
MAX_CODE = 100  # characters: it stands in an index
MAX_TEXT = 2_000  # characters of a reason, a source, a kind
MAX_HEADERS = 16_000  # characters of all headers as JSON
MAX_ANSWER = 65_536  # bytes of a receiver's answer
CUT = "…"  # ends what was cut
CUT_BYTES = b"...(cut)"

_WORTH_PACKING = 256  # bytes: below, the header of zlib eats what it saves
# A small window and little working memory: 8 microseconds for a 1 KB message instead of 70, at the same size.
_WINDOW, _MEMORY = 13, 4

Row = tuple[Any, ...]
_json = msgspec.json.Encoder()


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """Text that every database takes: PostgreSQL has no NUL, which becomes its picture (U+2400)."""
    if "\0" in text:
        text = text.replace("\0", "\u2400")
    return text if len(text) <= limit else text[: limit - len(CUT)] + CUT


def pack(body: bytes) -> tuple[int, bytes]:
    """(1, compressed) where that is smaller, else (0, body)."""
    if len(body) < _WORTH_PACKING:
        return 0, body
    packer = zlib.compressobj(1, zlib.DEFLATED, _WINDOW, _MEMORY)
    packed = packer.compress(body) + packer.flush()
    return (1, packed) if len(packed) < len(body) else (0, body)


def unpack(packed: int, body: bytes) -> bytes:
    return zlib.decompress(body) if packed else bytes(body)


def names(text: str) -> tuple[str, ...]:
    """The column `destinations` or `filtered` as names."""
    return tuple(text.split())


def message_row(e: Envelope) -> Row:
    """In the order of `tables.message`."""
    packed, body = pack(e.body)
    return (
        e.id,
        e.channel,
        e.received_ms,
        e.state,
        _spaced(e.destinations),
        _spaced(e.filtered),
        len(e.destinations),
        clean(e.kind),
        clean(e.source),
        e.format,
        clean(e.charset),
        clean(e.code, MAX_CODE),
        clean(e.reason),
        clean(e.parent),
        _json.encode(_index(e)).decode() if e.index else "{}",
        _headers(e.headers) if e.headers else "{}",
        len(e.body),
        packed,
        body,
    )


def index_rows(e: Envelope) -> list[Row]:
    """In the order of `tables.message_index`."""
    return [(value, name, e.id) for name, value in _index(e).items()]


def attempt_row(a: Attempt) -> Row:
    """In the order of `tables.attempt`."""
    answer = a.answer
    if len(answer) > MAX_ANSWER:
        answer = answer[: MAX_ANSWER - len(CUT_BYTES)] + CUT_BYTES
    return (
        a.id,
        a.destination,
        a.attempt,
        a.outcome,
        a.channel,
        a.at_ms,
        a.took_ms,
        clean(a.code, MAX_CODE),
        clean(a.reason),
        answer,
    )


def _index(e: Envelope) -> dict[str, str]:
    return {clean(name, MAX_VALUE): clean(value, MAX_VALUE) for name, value in e.index.items() if value}


def _spaced(parts: Iterable[str]) -> str:
    return f" {' '.join(parts)} " if parts else ""


def _headers(headers: Mapping[str, str]) -> str:
    """As JSON; where they are too many, those that fit, and a mark."""
    text = _json.encode(headers).decode()
    if len(text) > MAX_HEADERS:
        kept, room = {CUT: "cut"}, MAX_HEADERS
        for name, value in headers.items():
            name, value = clean(name, MAX_VALUE), clean(value)
            room -= 2 * (len(name) + len(value)) + 6
            if room < 0:
                break
            kept[name] = value
        text = _json.encode(kept).decode()
    return text
