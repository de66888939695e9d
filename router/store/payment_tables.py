"""Tables of orders and refunds at payment channels: the site's own, beside the journal's.

Money is integer fen. Sealed are the facts and reasons: they may name a payer. A seal holds for the row's number, key,
amounts and state alone, so that a row in which one of them was changed does not open.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text, text

from router.store.durable import Schema

payments = MetaData()

# Compared byte by byte on every database.
_Key = Text().with_variant(Text(collation="C"), "postgresql")
OPEN = ("CREATED", "PREPAID", "PAYING", "UNKNOWN")
REFUND_OPEN = ("CREATED", "UNKNOWN", "PROCESSING")


def _text(name: str) -> Column[str]:
    return Column(name, _Key, nullable=False)


def _number(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _sealed(name: str) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=False)


def _open(states: tuple[str, ...]) -> dict[str, Any]:
    where = text(f"state IN ({', '.join(repr(state) for state in states)})")
    return {"sqlite_where": where, "postgresql_where": where}


schema_version = Table("payment_version", payments, Column("version", Integer, primary_key=True))

data_key = Table("payment_key", payments, Column("id", Integer, primary_key=True), _sealed("wrapped"))

order = Table(
    "payment_order",
    payments,
    Column("number", _Key, primary_key=True),  # out_trade_no: of one system, and never of two orders
    _text("system"),
    _text("key"),
    _number("fen"),
    _text("method"),
    _number("at_ms"),
    _text("state"),
    _text("settlement"),
    _number("paid_fen"),
    _number("paid_ms"),
    _text("channel_no"),
    _sealed("facts"),
    _number("counted_ms"),  # when it was paid, or else placed
    Index("payment_order_key", "system", "key", unique=True),
    Index("payment_order_channel_no", "system", "channel_no"),
    Index("payment_order_counted", "system", "counted_ms"),
    Index("payment_order_open", "system", "at_ms", **_open(OPEN)),
)

refund = Table(
    "payment_refund",
    payments,
    Column("number", _Key, primary_key=True),
    _text("system"),
    _text("order_number"),
    _text("key"),
    _number("fen"),
    _number("at_ms"),
    _text("state"),
    _text("settlement"),
    _text("channel_no"),
    _number("done_ms"),
    _number("undoes"),
    _sealed("reason"),
    Index("payment_refund_key", "system", "key", unique=True),
    Index("payment_refund_order", "order_number"),
    Index("payment_refund_at", "system", "at_ms"),
    Index("payment_refund_open", "system", "at_ms", **_open(REFUND_OPEN)),
)

PAYMENTS = Schema(
    "payment",
    "the payments",
    payments,
    schema_version,
    1,
    data_key,
    ("JL-P020", "JL-P021", "JL-P022"),
)
