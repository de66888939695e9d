"""A settlement as rows, and back: what may speak of a patient is sealed, and the ledger is chained."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import Row

from config.crypto import KEY_BYTES, Mac, Sealer, subkey
from router.settlement.posting import Entry
from router.settlement.rows import Attempt, Decision, Notice, Place
from router.store.packing import pack, unpack

# Amounts are decimal numbers, in and out.
_encode = msgspec.json.Encoder(decimal_format="number").encode


class Key:
    """The data key, opened. Raises KeyTrouble (JL-K002) where a row was changed."""

    def __init__(self, key: bytes) -> None:
        self._sealer = Sealer(subkey(key, "settlement rows")[:KEY_BYTES])
        self._chain = Mac(subkey(key, "settlement ledger"))

    def sealed(self, tree: Any, place: str) -> bytes:
        return self._sealer.seal(pack(_encode(tree)), place.encode())

    def opened(self, sealed: bytes, place: str) -> Any:
        return decoded(unpack(self._sealer.open(bytes(sealed), place.encode())))

    def mac(self, before: bytes, id: str, at_ms: int, entries: Sequence[Entry]) -> bytes:
        """Of a journal: it holds for this one at this place alone. 32 bytes."""
        told = "\0".join([id, str(at_ms), *(f"{one.account}\1{one.fen}" for one in entries)])
        return self._chain(before + told.encode())

    def head(self, settlement: str, count: int, last: bytes) -> bytes:
        """Of how many journals there are. 32 bytes."""
        return self._chain(f"head\0{settlement}\0{count}\0".encode() + last)


# Every number that is not whole is a Decimal.
decoded = msgspec.json.Decoder(float_hook=Decimal).decode


def as_kept(tree: Any) -> Any:
    """A tree as it is read again: whole numbers are integers, whatever they were."""
    return decoded(_encode(tree))


def attempt_of(row: Row[Any], key: Key) -> Attempt:
    said = key.opened(row.said, said_of(row.settlement, row.number)) if row.said else {}
    return Attempt(
        row.number,
        Place(row.step, row.item),
        row.direction,
        row.operation,
        row.key,
        row.began_ms,
        row.outcome,
        row.ended_ms,
        bool(row.final),
        said.get("reply"),
        row.code,
        said.get("text", ""),
        row.about,
    )


def values_of(attempt: Attempt, settlement: str, key: Key) -> dict[str, Any]:
    said = {"reply": attempt.reply, "text": attempt.text} if attempt.reply or attempt.text else {}
    return {
        "settlement": settlement,
        "number": attempt.number,
        "step": attempt.place.step,
        "item": attempt.place.item,
        "direction": attempt.direction,
        "about": attempt.about,
        "operation": attempt.operation,
        "key": attempt.key,
        "began_ms": attempt.began_ms,
        "outcome": attempt.outcome,
        "ended_ms": attempt.ended_ms,
        "final": int(attempt.final),
        "code": attempt.code,
        "said": key.sealed(said, said_of(settlement, attempt.number)) if said else b"",
    }


def said_of(settlement: str, number: int) -> str:
    return f"attempt {settlement} {number}"


def word_of(row: Row[Any], key: Key) -> Notice | Decision:
    said = key.opened(row.said, f"word {row.settlement} {row.number}")
    return msgspec.convert(said, Notice) if row.kind == "notice" else msgspec.convert(said, Decision)
