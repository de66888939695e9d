"""Tables of settlements: rows are added, and a settlement's own row and an attempt's outcome are all that changes.

Money is integer fen. What may speak of a patient is sealed: the request, replies, reasons.
"""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, LargeBinary, MetaData, Table, Text, text

from router.store.columns import KEY, number_column, sealed_column, text_column
from router.store.durable import Schema

settlements = MetaData()

# Of a settlement that goes on by itself.
ACTIVE = "state NOT IN ('COMPLETED', 'COMPENSATED', 'REJECTED', 'SUSPENDED')"


schema_version = Table("settlement_version", settlements, Column("version", Integer, primary_key=True))

data_key = Table(
    "settlement_key", settlements, Column("id", Integer, primary_key=True), sealed_column("wrapped")
)

# What a settlement began with it goes on with: a pipeline's data, as JSON.
definition = Table(
    "settlement_definition",
    settlements,
    Column("digest", KEY, primary_key=True),
    text_column("name"),
    Column("data", Text, nullable=False),
)

settlement = Table(
    "settlement",
    settlements,
    Column("number", KEY, primary_key=True),
    text_column("name"),
    text_column("digest"),
    text_column("caller"),
    text_column("state"),
    text_column("code"),
    sealed_column("facts"),  # the request, and why it is SUSPENDED
    number_column("began_ms"),
    number_column("changed_ms"),
    number_column("due_ms"),
    number_column("fence"),
    text_column("owner"),  # '' where nobody has it
    number_column("until_ms"),  # its holder's lease
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
    Column("name", KEY, primary_key=True),
    text_column("number"),
    Index("settlement_lock_number", "number"),
)

attempt = Table(
    "settlement_attempt",
    settlements,
    Column("settlement", KEY, primary_key=True),
    Column("number", Integer, primary_key=True),
    text_column("step"),
    number_column("item"),
    text_column("direction"),
    text_column("about"),
    text_column("operation"),
    text_column("key"),
    number_column("began_ms"),
    Column("outcome", KEY),  # NULL until there is one
    number_column("ended_ms"),
    number_column("final"),
    text_column("code"),
    sealed_column("said"),  # reply and text
)

# What came from outside: notices of parties, decisions of people.
word = Table(
    "settlement_word",
    settlements,
    Column("settlement", KEY, primary_key=True),
    Column("number", Integer, primary_key=True),
    text_column("kind"),  # notice | decision
    number_column("at_ms"),
    sealed_column("said"),
)

journal = Table(
    "ledger_journal",
    settlements,
    Column("id", KEY, primary_key=True),
    text_column("settlement"),
    number_column("number"),  # within its settlement, from 1
    number_column("at_ms"),
    Column("mac", LargeBinary, nullable=False),  # over the entries, and the settlement's journal before
    Index("ledger_journal_settlement", "settlement", "number", unique=True),
)

entry = Table(
    "ledger_entry",
    settlements,
    Column("journal", KEY, primary_key=True),
    Column("number", Integer, primary_key=True),
    text_column("account"),
    number_column("fen"),
    Index("ledger_entry_account", "account"),
)

# How many journals a book has, and the mac of its last: what is cut off its end is missed.
head = Table(
    "ledger_head",
    settlements,
    Column("settlement", KEY, primary_key=True),
    number_column("length"),
    Column("mac", LargeBinary, nullable=False),
)

# An account that never goes below zero: whoever posts to it holds its row.
account = Table("ledger_account", settlements, Column("name", KEY, primary_key=True))

# Money that waits for a person: of a settlement, or of an order that nobody knows.
item = Table(
    "suspense_item",
    settlements,
    Column("id", KEY, primary_key=True),
    text_column("book"),
    text_column("account"),
    number_column("fen"),
    text_column("class"),
    text_column("party"),
    number_column("opened_ms"),
    number_column("closed_ms"),  # 0 while it is open
    text_column("closed_by"),
    sealed_column("said"),
    Index("suspense_item_book", "book"),
    Index("suspense_item_open", "closed_ms", "opened_ms"),
)

# What must hold and did not: of a settlement or an account, by which rule.
finding = Table(
    "settlement_finding",
    settlements,
    Column("book", KEY, primary_key=True),
    Column("rule", KEY, primary_key=True),
    number_column("found_ms"),
    number_column("closed_ms"),  # 0 as long as it is so
    sealed_column("said"),
)

# Events that are to be published; gone once they are.
outbox = Table(
    "settlement_outbox",
    settlements,
    Column("settlement", KEY, primary_key=True),
    Column("event", KEY, primary_key=True),
    number_column("at_ms"),
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
