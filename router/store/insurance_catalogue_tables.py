"""Tables of the insurance catalogues (1301–1319): one of each kind that readers see, one that is being filled.

SQLite has them in a file of their own beside the journal's: who writes a million rows must not keep a message waiting.
"""

from __future__ import annotations

import secrets
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
    create_engine,
    event,
    inspect,
    make_url,
)
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from config.private import make_file, make_folder
from config.tls import Identity, libpq_options
from endpoints.insurance.catalogues import Layout
from router.store.database import StoreError

_Key = Text().with_variant(Text(collation="C"), "postgresql")
ROW, EXTRA = "row_no", "extra"

shared = MetaData()

catalogue = Table(
    "nhsa_catalogue",
    shared,
    Column("kind", _Key, primary_key=True),
    Column("ver", Text, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("published_ms", BigInteger, nullable=False),
)

load = Table(
    "nhsa_catalogue_load",
    shared,
    Column("kind", _Key, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("beat_ms", BigInteger, nullable=False),
    Column("load", LargeBinary, nullable=False),  # endpoints.insurance.catalogues.Load as JSON
)

change = Table(
    "nhsa_catalogue_change",
    shared,
    Column("kind", _Key, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("what", Text, nullable=False),  # new | changed | ended
    Column("code", _Key, nullable=False),
    Column("name", Text, nullable=False),
    Index("nhsa_catalogue_change_at", "kind", "at_ms"),
)


@lru_cache(maxsize=256)
def seen(layout: Layout) -> Table:
    """What readers see."""
    return _table(f"nhsa_{layout.kind}", layout)


@lru_cache(maxsize=256)
def coming(layout: Layout) -> Table:
    """What is being filled."""
    return _table(f"nhsa_{layout.kind}_next", layout)


def _table(name: str, layout: Layout) -> Table:
    columns: list[Any] = [Column(ROW, BigInteger, primary_key=True, autoincrement=False)]
    columns += [Column(one, _Key if one in (layout.code, "rid") else Text) for one in layout.columns]
    return Table(name.lower(), MetaData(), *columns, Column(EXTRA, Text))


def make(connection: Connection, table: Table) -> None:
    """As the layout says today: what a later version of the interface appends becomes a column of what is there."""
    shared.create_all(connection)
    table.create(connection, checkfirst=True)
    there = {one["name"] for one in inspect(connection).get_columns(table.name)}
    quote = connection.dialect.identifier_preparer
    for column in table.columns:
        if column.name not in there:
            connection.exec_driver_sql(
                f"ALTER TABLE {quote.format_table(table)} ADD COLUMN {quote.format_column(column)} TEXT"
            )


def indexed(connection: Connection, table: Table, layout: Layout) -> None:
    """By rid and by code, under names that no other table's have: they go with the table when it gets another name."""
    for column in dict.fromkeys(("rid", layout.code)):
        index = Index(
            f"nhsa_{layout.kind}_{column}_{secrets.token_hex(4)}".lower(), table.c[column], _table=table
        )
        index.create(connection, checkfirst=True)
        table.indexes.discard(index)


def opened(url: str, tls: Identity | None = None) -> Engine:
    """The engine's database, or with SQLite a file beside it. Touches nothing yet. Raises StoreError."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError(
            "JL-J002", "the database's address is no URL; sqlite:///FILE or postgresql://..."
        ) from None
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
        secure = libpq_options(tls) if tls is not None else {}
        arguments = {"application_name": "jingluo", "connect_timeout": 5, **secure}
        return create_engine(parsed.difference_update_query(secure), connect_args=arguments, pool_size=2)
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        raise StoreError("JL-J002", "no catalogues there; write sqlite:///FILE or postgresql://...")
    file = parsed.database.removesuffix(".db") + ".nhsa.db"
    # Its own BEGIN: a table that takes another's place does so in a transaction, or not at all.
    arguments = {"timeout": 30.0, "isolation_level": None}
    engine = create_engine(parsed.set(database=file), connect_args=arguments, poolclass=NullPool)
    event.listen(engine, "do_connect", _make_file)
    event.listen(engine, "connect", _manners)
    event.listen(engine, "begin", _begin)
    return engine


def _make_file(_dialect: Any, _record: Any, arguments: Any, _named: Any) -> None:
    make_folder(Path(arguments[0]).parent)
    make_file(Path(arguments[0]))


def _manners(connection: Any, _record: Any) -> None:
    """Progress is in the same commit as its rows: what a power cut takes, it takes of both."""
    cursor = connection.cursor()
    for said in ("journal_mode = WAL", "synchronous = NORMAL", "cache_size = -32000", "temp_store = FILE"):
        cursor.execute(f"PRAGMA {said}")
    cursor.close()


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
