"""Tables of settlements: rows are added, and a settlement's own row and an attempt's outcome are all that changes.

Money is integer fen. What may speak of a patient is sealed: the request, replies, reasons.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text, text

from router.store.durable import Schema

settlements = MetaData()

# Of a settlement that goes on by itself.
ACTIVE = "state NOT IN ('COMPLETED', 'COMPENSATED', 'REJECTED', 'SUSPENDED')"

# Compared byte by byte on every database.
_Key = Text().with_variant(Text(collation="C"), "postgresql")


def _text(name: str) -> Column[str]:
    return Column(name, _Key, nullable=False)


def _number(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _sealed(name: str) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=False)


schema_version = Table("settlement_version", settlements, Column("version", Integer, primary_key=True))

data_key = Table("settlement_key", settlements, Column("id", Integer, primary_key=True), _sealed("wrapped"))

# What a settlement began with it goes on with: a pipeline's data, as JSON.
definition = Table(
    "settlement_definition",
    settlements,
    Column("digest", _Key, primary_key=True),
    _text("name"),
    Column("data", Text, nullable=False),
)

settlement = Table(
    "settlement",
    settlements,
    Column("number", _Key, primary_key=True),
    _text("name"),
    _text("digest"),
    _text("caller"),
    _text("state"),
    _text("code"),
    _sealed("facts"),  # the request, and why it is SUSPENDED
    _number("began_ms"),
    _number("changed_ms"),
    _number("due_ms"),
    _number("fence"),
    _text("owner"),  # '' where nobody has it
    _number("until_ms"),  # its holder's lease
    Index(
        "settlement_due",
        "due_ms",
        sqlite_where=text(ACTIVE),
        postgresql_where=text(ACTIVE),
    ),
    Index("settlement_state", "state", "began_ms"),
    Index("settlement_changed", "changed_ms"),
)

# One active settlement of each thing.
lock = Table(
    "settlement_lock",
    settlements,
    Column("name", _Key, primary_key=True),
    _text("number"),
    Index("settlement_lock_number", "number"),
)

attempt = Table(
    "settlement_attempt",
    settlements,
    Column("settlement", _Key, primary_key=True),
    Column("number", Integer, primary_key=True),
    _text("step"),
    _number("item"),
    _text("direction"),
    _text("about"),
    _text("operation"),
    _text("key"),
    _number("began_ms"),
    Column("outcome", _Key),  # NULL until there is one
    _number("ended_ms"),
    _number("final"),
    _text("code"),
    _sealed("said"),  # reply and text
)

# What came from outside: notices of parties, decisions of people.
word = Table(
    "settlement_word",
    settlements,
    Column("settlement", _Key, primary_key=True),
    Column("number", Integer, primary_key=True),
    _text("kind"),  # notice | decision
    _number("at_ms"),
    _sealed("said"),
)

journal = Table(
    "ledger_journal",
    settlements,
    Column("id", _Key, primary_key=True),
    _text("settlement"),
    _number("number"),  # within its settlement, from 1
    _number("at_ms"),
    Column("mac", LargeBinary, nullable=False),  # over the entries, and the settlement's journal before
    Index("ledger_journal_settlement", "settlement", "number", unique=True),
)

entry = Table(
    "ledger_entry",
    settlements,
    Column("journal", _Key, primary_key=True),
    Column("number", Integer, primary_key=True),
    _text("account"),
    _number("fen"),
    Index("ledger_entry_account", "account"),
)

# How many journals a book has, and the mac of its last: what is cut off its end is missed.
head = Table(
    "ledger_head",
    settlements,
    Column("settlement", _Key, primary_key=True),
    _number("length"),
    Column("mac", LargeBinary, nullable=False),
)

# An account that never goes below zero: whoever posts to it holds its row.
account = Table("ledger_account", settlements, Column("name", _Key, primary_key=True))

# Money that waits for a person: of a settlement, or of an order that nobody knows.
item = Table(
    "suspense_item",
    settlements,
    Column("id", _Key, primary_key=True),
    _text("book"),
    _text("account"),
    _number("fen"),
    _text("class"),
    _text("party"),
    _number("opened_ms"),
    _number("closed_ms"),  # 0 while it is open
    _text("closed_by"),
    _sealed("said"),
    Index("suspense_item_book", "book"),
    Index("suspense_item_open", "closed_ms", "opened_ms"),
)

# What must hold and did not: of a settlement or an account, by which rule.
finding = Table(
    "settlement_finding",
    settlements,
    Column("book", _Key, primary_key=True),
    Column("rule", _Key, primary_key=True),
    _number("found_ms"),
    _number("closed_ms"),  # 0 as long as it is so
    _sealed("said"),
)

# Events that are to be published; gone once they are.
outbox = Table(
    "settlement_outbox",
    settlements,
    Column("settlement", _Key, primary_key=True),
    Column("event", _Key, primary_key=True),
    _number("at_ms"),
    Index("settlement_outbox_event", "event", "at_ms"),
)

SETTLEMENTS = Schema(
    "settlement",
    "the settlements",
    settlements,
    schema_version,
    2,
    data_key,
    ("JL-T020", "JL-T021", "JL-T022"),
)
