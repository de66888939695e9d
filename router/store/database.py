"""The journal's database: opening it, its schema, and what its errors mean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, create_engine, event, insert, inspect, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from config.errors import JingluoError
from config.tls import Identity, libpq_options
from router.store.tables import SCHEMA_VERSION, metadata, schema_version

_SQLITE = {"timeout": 5.0}  # seconds to wait for another writer
# A database that went away without a word is noticed after this, not after the system's two hours.
_POSTGRESQL = {
    "application_name": "jingluo",
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}


class StoreError(JingluoError):
    """The journal cannot be used as asked: JL-J001 newer schema, J002 address, J003 no journal yet."""


class StoreDown(StoreError):
    """JL-J010: the database cannot be reached, or refuses everybody. Worth another try."""


class Database:
    """One database. `sqlite:///file` or `postgresql://user@host/name`. Opened at first use."""

    def __init__(self, url: str, tls: Identity | None = None) -> None:
        """`tls`, where there is one, goes before what the URL says of it."""
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise StoreError(
                "JL-J002", "the database's address is no URL; sqlite:///FILE or postgresql://..."
            ) from None
        kind = parsed.get_backend_name()
        self._file = Path(parsed.database) if kind == "sqlite" and parsed.database else None
        if kind == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
            secure = libpq_options(tls) if tls is not None else {}
            parsed = parsed.difference_update_query(secure)
            self.engine = create_engine(parsed, connect_args=_unsaid(parsed, _POSTGRESQL) | secure)
        elif self._file is not None and parsed.database != ":memory:":
            self.engine = create_engine(parsed, connect_args=_unsaid(parsed, _SQLITE))
            event.listen(self.engine, "connect", _sqlite_manners)
        else:
            raise StoreError("JL-J002", f"no journal on {kind}; write sqlite:///FILE or postgresql://...")
        self._ready = False

    @property
    def dbapi(self) -> Any:
        return self.engine.dialect.loaded_dbapi

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction, with the tables made. Errors come as they are: `raise_unless_own` judges them."""
        self._make()
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Raises StoreDown, or StoreError where there is no journal (reading never makes one)."""
        try:
            if not self._ready and self._file is not None and not self._file.exists():
                raise StoreError("JL-J003", f"there is no journal at {self._file}")
            with self.engine.connect() as connection:
                if not self._ready and not self._known(connection):
                    raise StoreError("JL-J003", "the database has no journal yet")
                yield connection
        except SQLAlchemyError as error:
            raise self.down(error) from error

    def raise_unless_own(self, error: Exception) -> None:
        """Raises StoreDown or StoreError where every row would fail; returns where one row is at fault."""
        if isinstance(error, StoreError):
            raise error
        cause = error.orig if isinstance(error, DBAPIError) else error
        own = (self.dbapi.IntegrityError, self.dbapi.DataError, self.dbapi.NotSupportedError)
        if isinstance(error, PoolTimeout) or (
            isinstance(cause, self.dbapi.Error) and not isinstance(cause, own)
        ):
            raise self.down(error) from error

    def means_doubled(self, error: Exception) -> bool:
        """True where a row with that key is there already (or breaks another rule of its table)."""
        cause = error.orig if isinstance(error, DBAPIError) else error
        return isinstance(cause, self.dbapi.IntegrityError)

    def down(self, error: Exception) -> StoreDown:
        """Forgets the connections and what was known of the tables. Its first line names no row's values."""
        self._ready = False
        self.engine.dispose()
        cause = error.orig if isinstance(error, DBAPIError) else error
        first = (str(cause).strip() or type(cause).__name__).splitlines()[0]
        return StoreDown("JL-J010", f"database: {type(cause).__name__}: {first[:200]}")

    def close(self) -> None:
        self.engine.dispose()

    def _make(self) -> None:
        if self._ready:
            return
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._create()
        except DBAPIError:
            self._create()  # another process was perhaps making the same tables at the same moment
        self._ready = True

    def _create(self) -> None:
        with self.engine.begin() as connection:
            if not self._known(connection):
                metadata.create_all(connection)
                connection.execute(insert(schema_version).values(version=SCHEMA_VERSION))

    def _known(self, connection: Connection) -> bool:
        """True where this engine's tables are there. Raises StoreError where they are a newer engine's."""
        if not inspect(connection).has_table(schema_version.name):
            return False
        found = connection.execute(select(schema_version.c.version)).scalar()
        if found is not None and found > SCHEMA_VERSION:
            raise StoreError(
                "JL-J001",
                f"the journal's schema is version {found}; this engine knows {SCHEMA_VERSION}: too old",
            )
        return found is not None


def _unsaid(url: URL, defaults: dict[str, Any]) -> dict[str, Any]:
    """What the address says itself (`?timeout=1`) goes before our defaults."""
    return {name: value for name, value in defaults.items() if name not in url.query}


def _sqlite_manners(connection: Any, _record: Any) -> None:
    """Readers beside the writer; a commit is on disk before the broker's copy is acknowledged."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()
