"""The journal's database: opening it, its schema, its days, and what its errors mean.

On PostgreSQL a day is a set of tables, on SQLite two files: a dropped table and a removed file give their space back
at once. A statement names a day's tables with `yyyymmdd`; the connection of a day puts the day in its place.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import URL, Connection, create_engine, event, insert, inspect, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import NullPool

from config.errors import JingluoError
from config.private import make_file, make_folder
from config.tls import Identity, libpq_options
from router.store import files, tables
from router.store.tables import SCHEMA_VERSION, named, schema_version

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
_LOCK_WAIT = "10s"  # a day that somebody reads for longer is dropped the next time
_HELD = 4  # SQLite files that the writer keeps open: two of a day


class StoreError(JingluoError):
    """The journal cannot be used as asked.

    JL-J001 newer schema, J002 address, J003 no journal yet, J012 another site's key, J013 older schema.
    """


class StoreDown(StoreError):
    """JL-J010: the database cannot be reached, or refuses everybody. Worth another try."""


class Place(NamedTuple):
    """Where tables lie: the catalogue, or a day's rows or bodies."""

    day: str = ""
    part: str = ""  # rows | bodies


CATALOGUE = Place()
_TABLES = {"rows": tables.rows, "bodies": tables.bodies}


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
        self._wanted = threading.local()  # the file that this thread opens next
        self._held: dict[Place, Connection] = {}
        if kind == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
            secure = libpq_options(tls) if tls is not None else {}
            parsed = parsed.difference_update_query(secure)
            self.engine = create_engine(parsed, connect_args=_unsaid(parsed, _POSTGRESQL) | secure)
        elif self._file is not None and parsed.database != ":memory:":
            self.engine = create_engine(parsed, connect_args=_unsaid(parsed, _SQLITE), poolclass=NullPool)
            event.listen(self.engine, "do_connect", self._choose_file)
            event.listen(self.engine, "connect", _sqlite_manners)
            # A file is opened for one question: what a writer must say first, a reader need not.
            plainly = _unsaid(parsed, _SQLITE) | {"isolation_level": None}
            self._reading = create_engine(parsed, connect_args=plainly, poolclass=NullPool)
            event.listen(self._reading, "do_connect", self._choose_file)
            event.listen(self._reading, "before_cursor_execute", _name_the_day, retval=True)
        else:
            raise StoreError("JL-J002", f"no journal on {kind}; write sqlite:///FILE or postgresql://...")
        event.listen(self.engine, "before_cursor_execute", _name_the_day, retval=True)
        self._ready = False

    @property
    def dbapi(self) -> Any:
        return self.engine.dialect.loaded_dbapi

    @property
    def files(self) -> bool:
        """Whether a day is files (SQLite) and not tables."""
        return self._file is not None

    def make(self) -> None:
        """The catalogue, where there is none yet. Raises StoreError."""
        if self._ready:
            return
        try:
            self._create()
        except DBAPIError:
            try:
                self._create()  # another process was perhaps making the same tables at the same moment
            except DBAPIError as error:
                raise self.down(error) from error
        self._ready = True

    @contextmanager
    def writing(self, place: Place = CATALOGUE) -> Iterator[Connection]:
        """A transaction, with the tables made. Errors come as they are: `raise_unless_own` judges them."""
        self.make()
        if self._file is None:
            with self.engine.connect() as connection:
                connection.execution_options(day=place.day)
                with connection.begin():
                    yield connection
        else:
            with self._holding(place).begin() as transaction:
                yield transaction.connection

    @contextmanager
    def reading(self) -> Iterator[Reading]:
        """Raises StoreDown, or StoreError where there is no journal (reading never makes one)."""
        try:
            if not self._ready and self._file is not None and not self._file.exists():
                raise StoreError("JL-J003", f"there is no journal at {self._file}")
            reading = Reading(self)
            try:
                self._ready = self._ready or self._known(reading.at(CATALOGUE))
                if not self._ready:
                    raise StoreError("JL-J003", "the database has no journal yet")
                yield reading
            finally:
                reading.close()
        except SQLAlchemyError as error:
            raise self.down(error) from error

    def connect(self, place: Place) -> Connection:
        """For reading: each statement sees what is committed before it."""
        if self._file is None:
            return self.engine.connect().execution_options(day=place.day, isolation_level="AUTOCOMMIT")
        self._wanted.path = self.path(place)
        return self._reading.connect().execution_options(day=place.day)

    def path(self, place: Place) -> Path:
        """The file of a place (SQLite)."""
        assert self._file is not None
        if not place.day:
            return self._file
        return self._file.with_name(f"{self._file.stem}.days") / f"{place.day}.{place.part}.db"

    def create(self, connection: Connection, day: str) -> None:
        """The tables of a new day, in the catalogue's transaction: a day that is listed has them."""
        if self._file is not None:
            for part in _TABLES:
                self._let_go(Place(day, part))
                files.put_aside(self.path(Place(day, part)))
                self._holding(Place(day, part))
        else:
            connection.execution_options(day=day)
            for metadata in _TABLES.values():
                metadata.create_all(connection, checkfirst=False)

    def drop(self, connection: Connection, place: Place) -> None:
        """All of a day's rows, or all of its bodies; on SQLite call `remove` after the commit."""
        if self._file is None:
            connection.execution_options(day=place.day)
            connection.exec_driver_sql(f"SET LOCAL statement_timeout TO '{_LOCK_WAIT}'")
            if place.part == "bodies":
                connection.exec_driver_sql(f"TRUNCATE TABLE {tables.body.name}")
            else:
                tables.rows.drop_all(connection, checkfirst=False)
                tables.bodies.drop_all(connection, checkfirst=False)

    def size(self, reading: Reading, day: str) -> tuple[int, int]:
        """Bytes of a day's rows and of its bodies on disk, with their indexes."""
        if self._file is not None:
            return files.size(self.path(Place(day, "rows"))), files.size(self.path(Place(day, "bodies")))
        ask = "SELECT " + " + ".join("pg_total_relation_size('{}')" for _ in tables.rows.tables)
        rows = reading.at(Place(day, "rows"))
        return (
            int(rows.exec_driver_sql(ask.format(*tables.rows.tables)).scalar() or 0),
            int(rows.exec_driver_sql(f"SELECT pg_total_relation_size('{tables.body.name}')").scalar() or 0),
        )

    def scrub(self) -> bool:
        """What was deleted from the catalogue leaves its log too (SQLite; its pages were overwritten).

        False where a reader needed the log for too long.
        """
        if self._file is None:
            return True
        # Past SQLAlchemy, which would begin a transaction: there is no checkpoint in one.
        cursor = self._holding(CATALOGUE).connection.cursor()
        try:
            return not cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        finally:
            cursor.close()

    def remove(self, place: Place) -> None:
        """The file of what was dropped (SQLite)."""
        if self._file is None:
            return
        self._let_go(place)
        files.remove(self.path(place))

    def _let_go(self, place: Place) -> None:
        if (held := self._held.pop(place, None)) is not None:
            held.close()

    def strays(self, listed: Collection[str]) -> set[str]:
        """Days that have files and are not listed (SQLite): one is just being made, or was dropped by who then died."""
        if self._file is None:
            return set()
        return files.days_in(self.path(Place("day", "rows")).parent) - set(listed)

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
        self.close()
        cause = error.orig if isinstance(error, DBAPIError) else error
        first = (str(cause).strip() or type(cause).__name__).splitlines()[0]
        return StoreDown("JL-J010", f"database: {type(cause).__name__}: {first[:200]}")

    def close(self) -> None:
        while self._held:
            self._held.popitem()[1].close()
        self.engine.dispose()

    def _holding(self, place: Place) -> Connection:
        """The writer's own connection to a file: the last to close a file would copy its log into it each time."""
        held, path = self._held.pop(place, None), self.path(place)
        if held is not None and held.info["file"] != files.inode(path):
            held.close()  # what is written into a file without a name is nowhere
            for other in [other for other in self._held if other.day]:
                self._held.pop(other).close()
            raise StoreDown("JL-J010", f"database: another process dropped {path.name}")
        if held is None:
            make_folder(path.parent)
            make_file(path)
            self._wanted.path = path
            held = self.engine.connect().execution_options(day=place.day)
            if place.day:
                with held.begin():
                    _TABLES[place.part].create_all(held)
            held.info["file"] = files.inode(path)
        self._held[place] = held  # the latest is last
        while len(self._held) > _HELD:
            self._held.pop(next(iter(self._held))).close()
        return held

    def _choose_file(self, _dialect: Any, _record: Any, arguments: list[Any], _named: Any) -> None:
        path = getattr(self._wanted, "path", None)
        if path is not None:
            arguments[0] = str(path)

    def _create(self) -> None:
        if self._file is not None:
            make_folder(self._file.parent)
            make_file(self._file)
            self._wanted.path = self._file
        with self.engine.begin() as connection:
            if not self._known(connection):
                tables.catalogue.create_all(connection)
                connection.execute(insert(schema_version).values(version=SCHEMA_VERSION))

    def _known(self, connection: Connection) -> bool:
        """True where this engine's tables are there. Raises StoreError where they are another version's."""
        if not inspect(connection).has_table(schema_version.name):
            return False
        found = connection.execute(select(schema_version.c.version)).scalar()
        if found is not None and found > SCHEMA_VERSION:
            raise StoreError(
                "JL-J001",
                f"the journal's schema is version {found}; this engine knows {SCHEMA_VERSION}: too old",
            )
        if found is not None and found < SCHEMA_VERSION:
            raise StoreError(
                "JL-J013",
                f"the journal's schema is version {found}, from before the first release; this engine makes "
                f"{SCHEMA_VERSION}: move the old one away",
            )
        return found is not None


class Reading:
    """One reader's way through the places, one after the other: on SQLite it has two files open at the most."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._open: dict[str, tuple[Place, Connection]] = {}  # by part

    @property
    def files(self) -> bool:
        return self._database.files

    def at(self, place: Place) -> Connection:
        """A connection to that place. The one for another day of the same part is no longer to be used."""
        slot = place.part if self._database.files else ""
        at, connection = self._open.get(slot, (None, None))
        if connection is not None and at == place:
            return connection
        if connection is not None and not self._database.files:
            if place.day:  # who reads the catalogue in between goes on with the day
                connection.execution_options(day=place.day)
        else:
            if connection is not None:
                connection.close()
            connection = self._database.connect(place)
        self._open[slot] = (place, connection)
        return connection

    def rows(self, day: str) -> Connection | None:
        """None where the day has just been dropped."""
        return self._there(Place(day, "rows"))

    def bodies(self, day: str) -> Connection | None:
        """None where the day has none (any more)."""
        return self._there(Place(day, "bodies"))

    def _there(self, place: Place) -> Connection | None:
        if self._database.files and not self._database.path(place).exists():  # opening it would make it
            return None
        return self.at(place)

    def close(self) -> None:
        for _, connection in self._open.values():
            connection.close()
        self._open.clear()


def _unsaid(url: URL, defaults: dict[str, Any]) -> dict[str, Any]:
    """What the address says itself (`?timeout=1`) goes before our defaults."""
    return {name: value for name, value in defaults.items() if name not in url.query}


def _name_the_day(
    connection: Connection, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool
) -> tuple[str, Any]:
    day = connection.get_execution_options().get("day")
    return named(statement, day) if day else statement, parameters


def _sqlite_manners(connection: Any, _record: Any) -> None:
    """Readers beside the writer; a commit is on disk before the broker's copy is acknowledged."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA secure_delete = ON")  # only keys are ever deleted, and they must be gone
    cursor.close()
