"""Tables of reconciliation: statements as they came, what differs, what people said of it, and the days' signatures.

Rows are added; of a difference only its state changes, and each change is an event. Statements name payers: sealed.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text

from router.store.durable import Schema

reconcile = MetaData()

# Compared byte by byte on every database.
_Key = Text().with_variant(Text(collation="C"), "postgresql")


def _text(name: str) -> Column[str]:
    return Column(name, _Key, nullable=False)


def _number(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _sealed(name: str) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=False)


schema_version = Table("reconcile_version", reconcile, Column("version", Integer, primary_key=True))

data_key = Table("reconcile_key", reconcile, Column("id", Integer, primary_key=True), _sealed("wrapped"))

# The last number is the one that counts; those before stay.
statement = Table(
    "reconcile_statement",
    reconcile,
    Column("system", _Key, primary_key=True),
    Column("day", _Key, primary_key=True),
    Column("number", Integer, primary_key=True),
    _number("at_ms"),
    _text("digest"),  # SHA-256 of the bytes
    Column("source", Text, nullable=False),  # how it is read, JSON
    _number("count"),
    _number("paid_fen"),
    _number("back_fen"),
    _number("fee_fen"),
    _sealed("body"),
)

run = Table(
    "reconcile_run",
    reconcile,
    Column("system", _Key, primary_key=True),
    Column("day", _Key, primary_key=True),
    Column("number", Integer, primary_key=True),
    _number("at_ms"),
    _number("statement"),  # its number; 0 where there was none
    _number("theirs"),
    _number("ours"),
    _number("found"),
    _number("changed"),
)

item = Table(
    "reconcile_item",
    reconcile,
    Column("id", _Key, primary_key=True),
    _text("system"),
    _text("day"),
    _text("book"),
    _text("cls"),
    _text("state"),
    _number("theirs_fen"),
    _number("ours_fen"),
    _number("first_ms"),
    _number("changed_ms"),
    _sealed("said"),
    Index("reconcile_item_day", "system", "day"),
    Index("reconcile_item_state", "state", "day"),
)

event = Table(
    "reconcile_event",
    reconcile,
    Column("item", _Key, primary_key=True),
    Column("number", Integer, primary_key=True),
    _number("at_ms"),
    _text("what"),
    _sealed("said"),
)

signature = Table(
    "reconcile_signature",
    reconcile,
    Column("system", _Key, primary_key=True),
    Column("day", _Key, primary_key=True),
    _number("at_ms"),
    _sealed("said"),  # who, and the digests of what was signed
)

# Who took a report out of the system.
export = Table(
    "reconcile_export",
    reconcile,
    Column("system", _Key, primary_key=True),
    Column("day", _Key, primary_key=True),
    Column("number", Integer, primary_key=True),
    _number("at_ms"),
    _sealed("said"),
)

RECONCILE = Schema(
    "reconcile",
    "the reconciliation",
    reconcile,
    schema_version,
    1,
    data_key,
    ("JL-Q020", "JL-Q021", "JL-Q022"),
)
