"""Tables of reconciliation: statements as they came, what differs, what people said of it, and the days' signatures.

Rows are added; of a difference only its state changes, and each change is an event. Statements name payers: sealed.
"""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, MetaData, Table, Text

from router.store.columns import KEY, number_column, sealed_column, text_column
from router.store.durable import Schema

reconcile = MetaData()


schema_version = Table("reconcile_version", reconcile, Column("version", Integer, primary_key=True))

data_key = Table(
    "reconcile_key", reconcile, Column("id", Integer, primary_key=True), sealed_column("wrapped")
)

# The last number is the one that counts; those before stay.
statement = Table(
    "reconcile_statement",
    reconcile,
    Column("system", KEY, primary_key=True),
    Column("day", KEY, primary_key=True),
    Column("number", Integer, primary_key=True),
    number_column("at_ms"),
    text_column("digest"),  # SHA-256 of the bytes
    Column("source", Text, nullable=False),  # how it is read, JSON
    number_column("count"),
    number_column("paid_fen"),
    number_column("back_fen"),
    number_column("fee_fen"),
    sealed_column("body"),
)

run = Table(
    "reconcile_run",
    reconcile,
    Column("system", KEY, primary_key=True),
    Column("day", KEY, primary_key=True),
    Column("number", Integer, primary_key=True),
    number_column("at_ms"),
    number_column("statement"),  # its number; 0 where there was none
    number_column("theirs"),
    number_column("ours"),
    number_column("found"),
    number_column("changed"),
)

item = Table(
    "reconcile_item",
    reconcile,
    Column("id", KEY, primary_key=True),
    text_column("system"),
    text_column("day"),
    text_column("book"),
    text_column("cls"),
    text_column("state"),
    number_column("theirs_fen"),
    number_column("ours_fen"),
    number_column("first_ms"),
    number_column("changed_ms"),
    sealed_column("said"),
    Index("reconcile_item_day", "system", "day"),
    Index("reconcile_item_state", "state", "day"),
)

event = Table(
    "reconcile_event",
    reconcile,
    Column("item", KEY, primary_key=True),
    Column("number", Integer, primary_key=True),
    number_column("at_ms"),
    text_column("what"),
    sealed_column("said"),
)

signature = Table(
    "reconcile_signature",
    reconcile,
    Column("system", KEY, primary_key=True),
    Column("day", KEY, primary_key=True),
    number_column("at_ms"),
    sealed_column("said"),  # who, and the digests of what was signed
)

# Who took a report out of the system.
export = Table(
    "reconcile_export",
    reconcile,
    Column("system", KEY, primary_key=True),
    Column("day", KEY, primary_key=True),
    Column("number", Integer, primary_key=True),
    number_column("at_ms"),
    sealed_column("said"),
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
