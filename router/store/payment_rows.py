"""Orders and refunds as rows, and back. Facts are sealed to what the row says of money and state."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import Row

from config.crypto import KEY_BYTES, KeyTrouble, Sealer, subkey
from config.errors import Refused
from endpoints.payment.orders import Order, Refund
from router.store.packing import pack, unpack
from router.store.rows import clean

_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


class Key:
    """The data key, opened. Raises Refused (JL-P023) where a row was changed: its money does not move then."""

    def __init__(self, key: bytes) -> None:
        self._sealer = Sealer(subkey(key, "payment rows")[:KEY_BYTES])

    def order_row(self, order: Order) -> dict[str, Any]:
        row = {name: getattr(order, name) for name in order.__struct_fields__ if name != "facts"}
        return {
            **row,
            "settlement": clean(order.settlement),
            "channel_no": clean(order.channel_no),
            "facts": self._sealer.seal(pack(_encode(dict(order.facts))), _place("order", row)),
            "counted_ms": order.paid_ms or order.at_ms,
        }

    def order(self, row: Row[Any]) -> Order:
        facts: Mapping[str, Any] = self._opened("order", row._mapping, row.facts)
        return Order(
            row.system,
            row.number,
            row.key,
            row.fen,
            row.method,
            row.at_ms,
            state=row.state,
            settlement=row.settlement,
            paid_fen=row.paid_fen,
            paid_ms=row.paid_ms,
            channel_no=row.channel_no,
            facts=facts,
        )

    def refund_row(self, refund: Refund) -> dict[str, Any]:
        names = ("system", "number", "key", "fen", "at_ms", "state", "done_ms")
        row: dict[str, Any] = {name: getattr(refund, name) for name in names} | {"order_number": refund.order}
        return {
            **row,
            "settlement": clean(refund.settlement),
            "channel_no": clean(refund.channel_no),
            "undoes": int(refund.undoes),
            "reason": self._sealer.seal(pack(_encode(refund.reason)), _place("refund", row)),
        }

    def refund(self, row: Row[Any]) -> Refund:
        reason: str = self._opened("refund", row._mapping, row.reason)
        return Refund(
            row.system,
            row.number,
            row.order_number,
            row.key,
            row.fen,
            row.at_ms,
            state=row.state,
            settlement=row.settlement,
            reason=reason,
            channel_no=row.channel_no,
            done_ms=row.done_ms,
            undoes=bool(row.undoes),
        )

    def _opened(self, what: str, row: Any, sealed: bytes) -> Any:
        try:
            return _decode(unpack(self._sealer.open(bytes(sealed), _place(what, row))))
        except KeyTrouble:
            text = f"the {what} {row['number']} was changed behind the engine's back 该行已被改动"
            raise Refused("JL-P023", text) from None


_BOUND = {
    "order": ("system", "number", "key", "fen", "state", "paid_fen"),
    "refund": ("system", "number", "order_number", "key", "fen", "state"),
}


def _place(what: str, row: Mapping[str, Any]) -> bytes:
    return "\0".join(["payment", what, *(str(row[name]) for name in _BOUND[what])]).encode()
