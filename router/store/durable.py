"""A database of rows that must be durable before something leaves: opened at first use, many changes to a commit.

On SQLite it is a file of its own beside the journal's, so that no writer of the journal keeps a payment waiting; a
commit is on disk when it returns (synchronous FULL). On PostgreSQL its tables lie in the site's database.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from msgspec import MsgspecError
from sqlalchemy import Connection, MetaData, Table, create_engine, event, inspect, make_url, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from config.crypto import KEY_BYTES, KeyTrouble, SiteKeys, key_id, site_keys
from config.errors import Unreachable
from config.private import make_file, make_folder
from config.settings import Settings
from config.tls import Identity, libpq_options
from router.store import KEY_FILE

T = TypeVar("T")
Key = TypeVar("Key")

_AT_ONCE = 200  # changes in a commit
_TRIES = 3  # of a commit that another process was in the way of
_PAGES = 8  # readers at once
_SQLITE = {"timeout": 10.0}  # seconds to wait for another writer
_LOCK_WAIT = "10s"  # the same on PostgreSQL, for each lock
# Raised by what a change has to write, not on purpose: it may have written some of it.
_UNFORESEEN = (KeyTrouble, ValueError, TypeError, ArithmeticError, MsgspecError)
_POSTGRESQL = {
    "application_name": "jingluo",
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}


class Schema(NamedTuple):
    """What lies in it. `key` has one row, the data key; `codes`: it is away, it cannot be used, none was given."""

    name: str  # of the file of SQLite, beside the journal's: jingluo.<name>.db
    title: str  # for people: "the insurance records"
    tables: MetaData
    version_table: Table
    version: int
    key: Table
    codes: tuple[str, str, str]


class GroupedDatabase(Generic[Key]):
    """`url` is the journal's address, '' where this process was given none. Touches nothing before the first use."""

    def __init__(
        self,
        schema: Schema,
        opened: Callable[[bytes], Key],
        url: str,
        keys: Callable[[], SiteKeys],
        tls: Identity | None = None,
    ) -> None:
        """`opened` makes of the data key what rows are sealed with. `keys` may raise KeyTrouble: it is asked at the
        first use."""
        self._schema, self._key = schema, opened
        self._url, self._keys, self._tls = url, keys, tls
        self._opening = threading.Lock()
        self._opened: tuple[Any, Key] | None = None
        self._writer: ThreadPoolExecutor | None = None
        self._readers: ThreadPoolExecutor | None = None
        self._next: list[tuple[Callable[[Connection, Key], Any], asyncio.Future[Any]]] = []
        self._writing = False

    async def write(self, change: Callable[[Connection, Key], T]) -> T:
        """What `change` gives, once it is durable. It is done with others in one transaction, and may be done twice:
        the first time is then undone. Raises Unreachable."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._next.append((change, done))
        if not self._writing:
            self._writing = True
            self._hand_over(loop)
        # Who is cancelled leaves the commit alone: what it has become of is found in the rows.
        return await asyncio.shield(done)

    async def read(self, look: Callable[[Connection, Key], T], whole: bool = False) -> T:
        """Raises Unreachable as `write` does. `whole`: all that it looks at is of one moment."""
        if self._readers is None:
            self._readers = ThreadPoolExecutor(_PAGES, f"{self._schema.name}-read")
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._looked, look, whole)

    def rekey(self) -> int:
        """Wraps the data key by the site's current key. Blocking. Returns 1 where an older one had wrapped it; makes
        nothing where there is nothing yet."""
        if not self._there():
            return 0
        engine, _ = self._open()
        keys = self._keys()
        with engine.begin() as connection:
            wrapped = bytes(connection.execute(select(self._schema.key.c.wrapped)).scalar_one())
            if key_id(wrapped) == keys.id:
                return 0
            connection.execute(update(self._schema.key).values(wrapped=keys.wrap(keys.unwrap(wrapped))))
        return 1

    def _there(self) -> bool:
        url = make_url(self._url) if self._url else None
        if url is None or url.get_backend_name() != "postgresql":
            return url is not None and file_beside(Path(url.database or ""), self._schema.name).exists()
        engine = self._engine()
        try:
            return bool(inspect(engine).has_table(self._schema.version_table.name))
        except SQLAlchemyError as error:
            raise self._down(error) from error
        finally:
            engine.dispose()

    @property
    def used(self) -> bool:
        return self._opened is not None

    def close(self) -> None:
        """Waits for what is being written."""
        for pool in (self._writer, self._readers):
            if pool is not None:
                pool.shutdown()
        self._writer = self._readers = None
        if self._opened is not None:
            self._opened[0].dispose()
            self._opened = None

    def insert(self, table: Any) -> Any:
        """One that can say `on_conflict_do_nothing`."""
        made = postgresql.insert if self._url.startswith("postgres") else sqlite.insert
        return made(table)

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        """What was gathered while the last commit was under way is the next one."""
        batch, self._next = self._next[:_AT_ONCE], self._next[_AT_ONCE:]
        if not batch:
            self._writing = False
            return
        if self._writer is None:
            self._writer = ThreadPoolExecutor(1, f"{self._schema.name}-write")

        def written(future: asyncio.Future[list[Any]]) -> None:
            for at, (_, done) in enumerate(batch):
                if done.done():
                    continue
                if (error := future.exception()) is not None:
                    _fail(done, error)
                elif isinstance(result := future.result()[at], Exception):
                    _fail(done, result)
                else:
                    done.set_result(result)
            self._hand_over(loop)

        asked = loop.run_in_executor(self._writer, self._write, [change for change, _ in batch])
        asked.add_done_callback(written)

    def _write(self, changes: list[Callable[[Connection, Key], Any]]) -> list[Any]:
        """What each gives, or its error. Where one fails as nobody foresaw, each is a commit of its own: nothing of
        that one is written, and all of the others."""
        try:
            return self._committed(changes)
        except _Unforeseen as unforeseen:
            if len(changes) == 1:
                return [unforeseen.error]
        return [self._alone(change) for change in changes]

    def _alone(self, change: Callable[[Connection, Key], Any]) -> Any:
        try:
            return self._write([change])[0]
        except Unreachable as error:
            return error

    def _committed(self, changes: list[Callable[[Connection, Key], Any]]) -> list[Any]:
        """In one transaction. Raises _Unforeseen and Unreachable."""
        engine, key = self._open()
        for left in reversed(range(_TRIES)):
            try:
                with engine.begin() as connection:
                    if (
                        connection.dialect.name == "sqlite"
                    ):  # else what is read first is not what is then changed
                        connection.exec_driver_sql("BEGIN IMMEDIATE")
                    else:  # a process that stands still with a lock in its hand stops no other for good
                        connection.exec_driver_sql(f"SET LOCAL lock_timeout TO '{_LOCK_WAIT}'")
                    return [_done(change, connection, key) for change in changes]
            except _UNFORESEEN as error:
                raise _Unforeseen(error) from error
            except SQLAlchemyError as error:
                if left and _in_the_way(error):
                    continue
                if not _of_database(error):
                    raise _Unforeseen(self._down(error)) from error
                raise self._down(error) from error
        raise AssertionError

    def _looked(self, look: Callable[[Connection, Key], T], whole: bool = False) -> T:
        engine, key = self._open()
        try:
            with engine.connect() as connection:
                if connection.dialect.name == "postgresql":
                    # Else each statement sees what is committed by then: no BEGIN, no ROLLBACK.
                    level = "REPEATABLE READ" if whole else "AUTOCOMMIT"
                    connection = connection.execution_options(isolation_level=level)
                elif whole:
                    connection.exec_driver_sql("BEGIN")
                return look(connection, key)
        except SQLAlchemyError as error:
            raise self._down(error) from error

    def _open(self) -> tuple[Any, Key]:
        with self._opening:
            if self._opened is None:
                if not self._url:
                    text = f"this process was given no database (`database`) for {self._schema.title}"
                    raise Unreachable(self._schema.codes[2], text)
                self._opened = self._begun()
            return self._opened

    def _begun(self) -> tuple[Any, Key]:
        engine = None
        try:
            engine = self._engine()
            return engine, self._prepared(engine, self._keys())
        except (SQLAlchemyError, KeyTrouble, Unreachable) as error:
            if engine is not None:
                engine.dispose()
            if isinstance(error, KeyTrouble):
                text = f"{self._schema.title} do not open: {error.text}"
                raise Unreachable(self._schema.codes[1], text) from error
            raise (error if isinstance(error, Unreachable) else self._down(error)) from error

    def _engine(self) -> Any:
        url = make_url(self._url)
        if url.get_backend_name() == "postgresql":
            secure = libpq_options(self._tls) if self._tls is not None else {}
            url = url.set(drivername="postgresql+psycopg").difference_update_query(secure)
            said = {name: value for name, value in _POSTGRESQL.items() if name not in url.query}
            # Else nobody says of an INSERT whether its row was there.
            counts = {"execution_options": {"preserve_rowcount": True}}
            pool: dict[str, Any] = {"pool_pre_ping": True, "pool_size": _PAGES + 1, "max_overflow": 1}
            return create_engine(url, connect_args=said | secure, **counts, **pool)
        file = file_beside(Path(url.database or ""), self._schema.name)
        make_folder(file.parent)
        make_file(file)
        said = {name: value for name, value in _SQLITE.items() if name not in url.query}
        engine = create_engine(url.set(database=str(file)), connect_args=said)
        event.listen(engine, "connect", _sqlite_manners)
        return engine

    def _down(self, error: Exception) -> Unreachable:
        """Its first line names no row's values."""
        if isinstance(error, ArgumentError):
            return Unreachable(self._schema.codes[2], "the database's address is no URL")
        cause = error.orig if isinstance(error, DBAPIError) else error
        first = (str(cause).strip() or type(cause).__name__).splitlines()[0]
        text = f"the database of {self._schema.title}: {type(cause).__name__}: {first[:200]}"
        return Unreachable(self._schema.codes[0], text)

    def _prepared(self, engine: Any, keys: SiteKeys) -> Key:
        """The tables, made where they are not there yet, and their key. Raises KeyTrouble and Unreachable."""
        for first in (True, False):
            try:
                with engine.begin() as connection:
                    return self._key(self._made(connection, keys))
            except DBAPIError:
                if not first:  # another process was perhaps making the same at the same moment
                    raise
        raise AssertionError

    def _made(self, connection: Connection, keys: SiteKeys) -> bytes:
        schema = self._schema
        if connection.dialect.name == "sqlite":  # else each table is there by itself, before the others
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        if not inspect(connection).has_table(schema.version_table.name):
            schema.tables.create_all(connection)
            connection.execute(schema.version_table.insert().values(version=schema.version))
        found = connection.execute(select(schema.version_table.c.version)).scalar()
        if found is not None and found != schema.version:
            text = f"{schema.title} are of version {found}; this engine knows {schema.version}"
            raise Unreachable(schema.codes[1], text)
        wrapped = connection.execute(select(schema.key.c.wrapped)).scalar()
        if wrapped is None:
            wrapped = keys.wrap(secrets.token_bytes(KEY_BYTES))
            connection.execute(schema.key.insert().values(id=1, wrapped=wrapped))
        return keys.unwrap(bytes(wrapped))


class _Unforeseen(Exception):
    """A change failed of which nobody knows how far it came."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def _done(change: Callable[[Connection, Key], Any], connection: Connection, key: Key) -> Any:
    """What it gives. One that refuses, before it has written anything, fails alone."""
    try:
        return change(connection, key)
    except (SQLAlchemyError, *_UNFORESEEN):
        raise
    except Exception as error:
        return error


def _fail(done: asyncio.Future[Any], error: BaseException) -> None:
    done.set_exception(error)
    done.exception()  # who asked may be gone


def of_site(schema: Schema, opened: Callable[[bytes], Key], settings: Settings) -> GroupedDatabase[Key]:
    """In the site's database, under its key. Touches nothing before its first use."""
    said = settings.insurance

    def keys() -> SiteKeys:
        return site_keys(said.key, said.old_keys, settings.var / KEY_FILE)

    return GroupedDatabase(schema, opened, said.database, keys, said.database_tls)


def file_beside(journal: Path, name: str) -> Path:
    """Of SQLite: beside the journal's file."""
    return journal.with_name(f"{journal.stem}.{name}.db")


def _of_database(error: SQLAlchemyError) -> bool:
    """Whether it is away or stands still, not that one change is wrong or (PostgreSQL's class 54) too large."""
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    return not (getattr(error.orig, "sqlstate", "") or "").startswith("54")


def _in_the_way(error: SQLAlchemyError) -> bool:
    """Deadlock, or a file that another process had: PostgreSQL's class 40, SQLite's BUSY."""
    cause = error.orig if isinstance(error, DBAPIError) else None
    state = getattr(cause, "sqlstate", "") or ""
    return state.startswith("40") or "locked" in str(cause)


def _sqlite_manners(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()
