"""The journal's tables. Rows are only ever inserted: what a delivery has come to is its latest attempt.

A day's messages and all that became of them have tables of their own, so that a day is dropped in an instant. The
day stands in their names in place of `yyyymmdd`; bodies, which are often kept for a shorter time, lie apart.

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

SCHEMA_VERSION = 2
DAY = "yyyymmdd"

# Compared byte by byte on every database, so that a prefix is a range of an index.
_Key = Text().with_variant(Text(collation="C"), "postgresql")

catalogue, rows, bodies = MetaData(), MetaData(), MetaData()


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _binary(name: str) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=False)


def _chained() -> tuple[Column[int], Column[int], Column[bytes]]:
    """A row's place in the chain of who wrote it (router.store.chain)."""
    return (
        Column("writer", BigInteger, nullable=False),
        Column("seq", Integer, nullable=False),
        _binary("mac"),
    )


def _rare(name: str, *columns: str, where: str) -> Index:
    """An index of those rows only. Used where a question says the condition word by word."""
    return Index(f"{name}_{DAY}", *columns, sqlite_where=text(where), postgresql_where=text(where))


# --- Of the whole journal

schema_version = Table("schema_version", catalogue, Column("version", Integer, primary_key=True))

# A day is there when it has a key. `part` is empty for the key of its rows, else a channel: the key of its bodies.
day_key = Table(
    "journal_key",
    catalogue,
    Column("day", _Key, primary_key=True),  # 20260131, UTC
    Column("part", _Key, primary_key=True),
    _binary("wrapped"),  # by the site's key
)

# --- Of a day

message = Table(
    f"message_{DAY}",
    rows,
    Column("id", _Key, primary_key=True),
    Column("channel", _Key, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    _text("state"),  # accepted | filtered | refused
    _text("destinations"),  # " emr lis ": each name between blanks, so that LIKE finds whole names
    _text("filtered"),
    Column("fanout", SmallInteger, nullable=False),  # how many destinations
    _text("kind"),
    _text("format"),
    _text("charset"),
    _text("code"),
    _text("parent"),
    Column("size", Integer, nullable=False),  # of the body, bytes, before compression
    _binary("sealed"),  # source, reason, searchable values, headers
    _binary("body_tag"),  # of the sealed body: what the chain knows of it when it is gone
    *_chained(),
    Index(f"message_by_channel_{DAY}", "channel", "id"),
    _rare("message_not_accepted", "state", "id", where="state <> 'accepted'"),
    _rare("message_with_code", "code", "id", where="code <> ''"),
    _rare("message_by_parent", "parent", "id", where="parent <> ''"),
)

# The outcome is part of the key: a try whose record was kept but whose work came back (a crash between)
# may end differently under the same number, and both did happen.
attempt = Table(
    f"delivery_attempt_{DAY}",
    rows,
    Column("message_id", _Key, primary_key=True),
    Column("destination", _Key, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("outcome", _Key, primary_key=True),  # sent | retry | dead
    Column("channel", _Key, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("took_ms", BigInteger, nullable=False),
    Column("code", _Key, nullable=False),
    _binary("sealed"),  # reason, answer; empty where there is neither
    *_chained(),
    _rare(
        "attempt_not_sent",
        *("outcome", "channel", "destination", "code", "at_ms", "message_id"),
        where="outcome <> 'sent'",
    ),
    sqlite_with_rowid=False,
)

# The value comes first: one box searches them all, and a name narrows it inside the index.
message_index = Table(
    f"message_index_{DAY}",
    rows,
    Column("tag", BigInteger, primary_key=True),  # of the value, under a key of the day
    Column("name", _Key, primary_key=True),
    Column("message_id", _Key, primary_key=True),
    sqlite_with_rowid=False,
)

# What could not be written as rows, whole, so that it is not lost and does not hold up the rest.
parked = Table(
    f"parked_{DAY}",
    rows,
    Column("id", _Key, primary_key=True),  # SHA-256 of the body
    Column("at_ms", BigInteger, nullable=False),
    _text("reason"),
    _binary("sealed"),  # as it lay in the journal's queue
    *_chained(),
)

# What was done with the journal itself.
note = Table(
    f"note_{DAY}",
    rows,
    Column("id", _Key, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    _text("what"),  # day begun | chain seen | bodies over | day over | viewed | new key
    _text("about"),
    _text("who"),
    *_chained(),
)

# How long each writer's chain is: without it nobody would miss the rows at its end.
chain = Table(
    f"chain_{DAY}",
    rows,
    Column("writer", BigInteger, primary_key=True),
    Column("count", Integer, nullable=False),
    _binary("head"),  # the last row's mac
    _binary("mac"),  # of this row
)

body = Table(f"body_{DAY}", bodies, Column("id", _Key, primary_key=True), _binary("sealed"))

CHAINED = (message, attempt, parked, note)


def label(table: Table) -> str:
    """Its name without the day: what a person calls it, and what its rows' macs call it."""
    return table.name.removesuffix(f"_{DAY}")


def named(name: str, day: str) -> str:
    """A statement or a name with the day in its place."""
    return name.replace(DAY, day)
