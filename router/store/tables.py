"""The journal's tables. Rows are only ever inserted: what a delivery has come to is its latest attempt.

Few indexes, since every one costs each message: ids sort by time, so the primary key is the index by time,
and what is rare (refused, failed, replayed) has an index of its own rows only.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)

SCHEMA_VERSION = 1

metadata = MetaData()

# Compared byte by byte on every database, so that a prefix is a range of an index.
_Key = Text().with_variant(Text(collation="C"), "postgresql")


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


schema_version = Table("schema_version", metadata, Column("version", Integer, primary_key=True))

message = Table(
    "message",
    metadata,
    Column("id", _Key, primary_key=True),
    Column("channel", _Key, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    _text("state"),  # accepted | filtered | refused
    _text("destinations"),  # " emr lis ": each name between blanks, so that LIKE finds whole names
    _text("filtered"),
    Column("fanout", SmallInteger, nullable=False),  # how many destinations
    _text("kind"),
    _text("source"),
    _text("format"),
    _text("charset"),
    _text("code"),
    _text("reason"),
    _text("parent"),
    _text("found_by"),  # the searchable values, JSON: to show them without a second look-up
    _text("headers"),  # JSON
    Column("size", Integer, nullable=False),  # of the body, bytes, before compression
    Column("packed", SmallInteger, nullable=False),  # 1: the body is compressed (zlib)
    Column("body", LargeBinary, nullable=False),
    Index("message_by_channel", "channel", "id"),
    Index(
        "message_not_accepted",
        "state",
        "id",
        sqlite_where=text("state <> 'accepted'"),
        postgresql_where=text("state <> 'accepted'"),
    ),
    Index(
        "message_by_parent",
        "parent",
        "id",
        sqlite_where=text("parent <> ''"),
        postgresql_where=text("parent <> ''"),
    ),
)

# The outcome is part of the key: a try whose record was kept but whose work came back (a crash between)
# may end differently under the same number, and both did happen.
attempt = Table(
    "delivery_attempt",
    metadata,
    Column("message_id", _Key, primary_key=True),
    Column("destination", _Key, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("outcome", _Key, primary_key=True),  # sent | retry | dead
    Column("channel", _Key, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("took_ms", BigInteger, nullable=False),
    Column("code", _Key, nullable=False),
    _text("reason"),
    Column("answer", LargeBinary, nullable=False),
    Index(
        "attempt_not_sent",
        "outcome",
        "channel",
        "destination",
        "code",
        "at_ms",
        "message_id",
        sqlite_where=text("outcome <> 'sent'"),
        postgresql_where=text("outcome <> 'sent'"),
    ),
    sqlite_with_rowid=False,
)

# The value comes first: one box searches them all, and a name narrows it inside the index.
message_index = Table(
    "message_index",
    metadata,
    Column("value", _Key, primary_key=True),
    Column("name", _Key, primary_key=True),
    Column("message_id", _Key, primary_key=True),
    sqlite_with_rowid=False,
)

# What could not be written as rows, whole, so that it is not lost and does not hold up the rest.
parked = Table(
    "parked",
    metadata,
    Column("digest", Text, primary_key=True),  # SHA-256 of the body
    Column("at_ms", BigInteger, nullable=False),
    _text("reason"),
    Column("body", LargeBinary, nullable=False),  # as it lay in the journal's queue
)
