"""Reconciliation as rows, and back: what may speak of a payer is sealed to its place."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy import Row

from config.crypto import KEY_BYTES, KeyTrouble, Sealer, subkey
from router.reconcile.books import Item
from router.reconcile.kept import Event, Signature, Source, Statement
from router.store.opened import CHANGED
from router.store.packing import pack, unpack

_encode = msgspec.json.Encoder().encode


class Key:
    """The data key, opened. Raises KeyTrouble (JL-K002) where a row was changed, but for items: those say so."""

    def __init__(self, key: bytes) -> None:
        self._sealer = Sealer(subkey(key, "reconcile rows")[:KEY_BYTES])

    def sealed(self, tree: Any, *place: str) -> bytes:
        return self._sealer.seal(pack(_encode(tree)), _place(place))

    def opened(self, sealed: bytes, *place: str) -> Any:
        return msgspec.json.decode(unpack(self._sealer.open(bytes(sealed), _place(place))))

    def body(self, body: bytes, system: str, day: str, digest: str) -> bytes:
        return self._sealer.seal(pack(body), _place(("statement", system, day, digest)))

    def statement(self, row: Row[Any]) -> Statement:
        place = _place(("statement", row.system, row.day, row.digest))
        return Statement(
            row.system,
            row.day,
            row.number,
            row.at_ms,
            row.digest,
            msgspec.json.decode(row.source, type=Source),
            row._mapping["count"],
            row.paid_fen,
            row.back_fen,
            row.fee_fen,
            unpack(self._sealer.open(bytes(row.body), place)),
        )

    def item_row(self, item: Item) -> dict[str, Any]:
        names = ("id", "system", "day", "book", "cls", "state", "theirs_fen", "ours_fen")
        row = {name: getattr(item, name) for name in names}
        return row | {"said": self.sealed(msgspec.to_builtins(item), *_bound(row))}

    def item(self, row: Row[Any]) -> Item:
        try:
            tree = self.opened(row.said, *_bound(row._mapping))
            return replace(msgspec.convert(tree, Item), state=row.state)
        except KeyTrouble:
            return Item(
                row.id,
                row.system,
                row.day,
                row.book,
                row.cls,
                "OPEN",
                row.theirs_fen,
                row.ours_fen,
                text=CHANGED,
            )

    def event(self, row: Row[Any]) -> Event:
        return Event(
            row.number, row.at_ms, row.what, self.opened(row.said, "event", row.item, str(row.number))
        )

    def signature(self, row: Row[Any]) -> Signature:
        return msgspec.convert(
            self.opened(row.said, "signature", row.system, row.day, str(row.at_ms)), Signature
        )


def _bound(row: Any) -> list[str]:
    """What an item's seal holds for: not its state, which is moved by events."""
    names = ("id", "system", "day", "book", "cls", "theirs_fen", "ours_fen")
    return ["item", *(str(row[name]) for name in names)]


def _place(parts: Any) -> bytes:
    return "\0".join(["reconcile", *parts]).encode("utf-8", "surrogatepass")
