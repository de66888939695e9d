"""Tables of orders and refunds at payment channels: the site's own, beside the journal's.

Money is integer fen. Sealed are the facts and reasons: they may name a payer. A seal holds for the row's number, key,
amounts and state alone, so that a row in which one of them was changed does not open.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Index, Integer, MetaData, Table, text

from router.store.columns import KEY, number_column, sealed_column, text_column
from router.store.durable import Schema

payments = MetaData()

OPEN = ("CREATED", "PREPAID", "PAYING", "UNKNOWN")
REFUND_OPEN = ("CREATED", "UNKNOWN", "PROCESSING")


def _open(states: tuple[str, ...]) -> dict[str, Any]:
    where = text(f"state IN ({', '.join(repr(state) for state in states)})")
    return {"sqlite_where": where, "postgresql_where": where}


schema_version = Table("payment_version", payments, Column("version", Integer, primary_key=True))

data_key = Table("payment_key", payments, Column("id", Integer, primary_key=True), sealed_column("wrapped"))

order = Table(
    "payment_order",
    payments,
    Column("number", KEY, primary_key=True),  # out_trade_no: of one system, and never of two orders
    text_column("system"),
    text_column("key"),
    number_column("fen"),
    text_column("method"),
    number_column("at_ms"),
    text_column("state"),
    text_column("settlement"),
    number_column("paid_fen"),
    number_column("paid_ms"),
    text_column("channel_no"),
    sealed_column("facts"),
    number_column("counted_ms"),  # when it was paid, or else placed
    Index("payment_order_key", "system", "key", unique=True),
    Index("payment_order_channel_no", "system", "channel_no"),
    Index("payment_order_counted", "system", "counted_ms"),
    Index("payment_order_open", "system", "at_ms", **_open(OPEN)),
)

refund = Table(
    "payment_refund",
    payments,
    Column("number", KEY, primary_key=True),
    text_column("system"),
    text_column("order_number"),
    text_column("key"),
    number_column("fen"),
    number_column("at_ms"),
    text_column("state"),
    text_column("settlement"),
    text_column("channel_no"),
    number_column("done_ms"),
    number_column("undoes"),
    sealed_column("reason"),
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
