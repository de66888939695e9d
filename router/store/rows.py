"""What travelled, as rows: cleaned of what a database refuses, cut to limits, compressed and sealed.

In the clear stands what lists are made by: ids, channel, destinations, kind, state, codes, times, sizes. Sealed is
what may speak of a patient: body, answer, headers, searchable values, reasons, and the source (a file has a name).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from config.crypto import TAG_BYTES, Sealer
from router.envelope import ANSWER_KEPT, Attempt, BlobRef, Envelope
from router.store.days import DayKey
from router.store.packing import pack, unpack
from schemas.message import NOTHING

MAX_VALUE = 200  # characters of an index value
MAX_CODE = 100  # characters: it stands in an index
MAX_TEXT = 2_000  # characters of a reason, a source, a kind
MAX_HEADERS = 16_000  # characters of all headers as JSON
CUT = "…"  # ends what was cut
CUT_BYTES = b"...(cut)"

_ELSEWHERE = b"\2"  # the first byte in a packed body's place (packing.py has 0 and 1)

Row = tuple[Any, ...]


class Facts(NamedTuple):
    """What of a message is sealed beside its body."""

    source: str
    reason: str
    found_by: dict[str, str]  # the searchable values
    headers: dict[str, str]
    item: int = 0  # which of its parent's items it is


class Answer(NamedTuple):
    """What of an attempt is sealed."""

    reason: str = ""
    answer: bytes = b""
    found_by: Mapping[str, str] = NOTHING  # the searchable values in the answer


_encode = msgspec.msgpack.Encoder().encode
_decode_ref = msgspec.msgpack.Decoder(BlobRef).decode
_decode_facts = msgspec.msgpack.Decoder(Facts).decode
_decode_answer = msgspec.msgpack.Decoder(Answer).decode
_json = msgspec.json.Encoder()


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """Text that every database takes: PostgreSQL has no NUL, which becomes its picture (U+2400)."""
    if "\0" in text:
        text = text.replace("\0", "\u2400")
    return text if len(text) <= limit else text[: limit - len(CUT)] + CUT


def clean_value(text: str) -> str:
    """A searchable value, as it is stored and as it is asked for."""
    return clean(text, MAX_VALUE)


def names(text: str) -> tuple[str, ...]:
    """The column `destinations` or `filtered` as names."""
    return tuple(text.split())


def seal_body(sealer: Sealer, e: Envelope) -> bytes:
    """Of a large body, where it lies."""
    packed = pack(e.body) if e.blob is None else _ELSEWHERE + _encode(e.blob)
    return sealer.seal(packed, b"body " + e.id.encode())


def open_body(sealer: Sealer, id: str, sealed: bytes) -> bytes | BlobRef:
    """Raises KeyTrouble."""
    packed = sealer.open(sealed, b"body " + id.encode())
    return _decode_ref(packed[1:]) if packed[:1] == _ELSEWHERE else unpack(packed)


def tag_of(sealed: bytes) -> bytes:
    """GCM's tag of a sealed body: nobody without the key can make another body with the same."""
    return sealed[-TAG_BYTES:]


def message_rows(e: Envelope, key: DayKey, body_tag: bytes) -> tuple[Row, list[Row]]:
    """Its row, in the order of `tables.message` without its place in the chain, and those of `tables.message_index`."""
    found_by = _found_by(e.index)
    facts = (clean(e.source), clean(e.reason), found_by, _headers(e.headers), e.item)
    row = (
        e.id,
        e.channel,
        e.received_ms,
        e.state,
        _spaced(e.destinations),
        _spaced(e.filtered),
        len(e.destinations),
        clean(e.kind),
        e.format,
        clean(e.charset),
        clean(e.code, MAX_CODE),
        clean(e.parent),
        len(e.body) if e.blob is None else e.blob.size,
        key.rows.seal(pack(_encode(facts)), b"message " + e.id.encode()),
        body_tag,
    )
    return row, _index_rows(found_by, key, e.id)


def _found_by(index: Mapping[str, str]) -> dict[str, str]:
    return {clean_value(name): clean_value(value) for name, value in index.items() if value}


def _index_rows(found_by: Mapping[str, str], key: DayKey, id: str) -> list[Row]:
    return [(key.tag(value), name, id) for name, value in found_by.items()]


def open_facts(key: DayKey, id: str, sealed: bytes) -> Facts:
    """Raises KeyTrouble."""
    return _decode_facts(unpack(key.rows.open(sealed, b"message " + id.encode())))


def attempt_rows(a: Attempt, key: DayKey) -> tuple[Row, list[Row]]:
    """In the order of `tables.attempt`, without its place in the chain; and those of `tables.message_index`."""
    answer, found_by = a.answer, _found_by(a.index)
    if len(answer) > ANSWER_KEPT:
        answer = answer[: ANSWER_KEPT - len(CUT_BYTES)] + CUT_BYTES
    sealed = b""
    if answer or a.reason or found_by:
        facts = (clean(a.reason), answer, found_by) if found_by else (clean(a.reason), answer)
        sealed = key.rows.seal(pack(_encode(facts)), b"attempt " + a.id.encode())
    row = (
        a.id,
        a.destination,
        a.attempt,
        a.outcome,
        a.channel,
        a.at_ms,
        a.took_ms,
        clean(a.code, MAX_CODE),
        sealed,
    )
    return row, _index_rows(found_by, key, a.id)


def open_answer(key: DayKey, message_id: str, sealed: bytes) -> Answer:
    """Raises KeyTrouble."""
    return (
        _decode_answer(unpack(key.rows.open(sealed, b"attempt " + message_id.encode())))
        if sealed
        else Answer()
    )


def seal_parked(key: DayKey, digest: str, body: bytes) -> bytes:
    return key.rows.seal(pack(body), b"parked " + digest.encode())


def open_parked(key: DayKey, digest: str, sealed: bytes) -> bytes:
    """Raises KeyTrouble."""
    return unpack(key.rows.open(sealed, b"parked " + digest.encode()))


def _spaced(parts: Iterable[str]) -> str:
    return f" {' '.join(parts)} " if parts else ""


def _headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Where they are too many, those that fit, and a mark."""
    if not headers or len(_json.encode(headers)) <= MAX_HEADERS:
        return dict(headers)
    kept, room = {CUT: "cut"}, MAX_HEADERS
    for name, value in headers.items():
        name, value = clean(name, MAX_VALUE), clean(value)
        room -= 2 * (len(name) + len(value)) + 6
        if room < 0:
            break
        kept[name] = value
    return kept
