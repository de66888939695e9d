"""What a source asks its database: rows that are new, and the mark of each that was taken. Blocks: for a thread."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from config.errors import JingluoError
from endpoints.sql.engine import at_most, open_engine, read_only
from endpoints.sql.fault import Fault, fault_of
from endpoints.sql.options import SourceOptions
from endpoints.sql.statement import Statement
from endpoints.sql.values import Unreadable, bytes_of, row_body

T = TypeVar("T")

_MOST_BYTES = 32_000_000  # of the messages of one look
_AT_ONCE = 100  # rows fetched


@dataclass(frozen=True, slots=True)
class Row:
    """`fault` is why it can be no message; `digest` is the same for a row that has not changed."""

    values: Mapping[str, Any]  # by column, in small letters
    body: bytes
    fault: str
    digest: str
    key: Any = None


@dataclass(frozen=True, slots=True)
class Mark:
    """A statement to be run for a row that is done with."""

    statement: Statement
    values: Mapping[str, Any]


class Unfit(JingluoError):
    """JL-E352: the query and what the channel says of it do not fit; nothing was taken."""

    def __init__(self, text: str) -> None:
        super().__init__("JL-E352", text)


class Unread(JingluoError):
    """JL-E350: the database cannot be asked, or did not answer in time."""

    def __init__(self, fault: Fault) -> None:
        super().__init__("JL-E350", f"database: {fault.text}")


class Table:
    """One source's view of its database."""

    def __init__(self, options: SourceOptions, base_dir: str) -> None:
        self._options = options
        self._base_dir = base_dir
        self._engine: Engine | None = None

    def read(self, after: Any, limit: int) -> list[Row]:
        """The next rows. Raises Unread and Unfit."""
        return self._try(lambda engine: self._read(engine, after, limit))

    def mark(self, marks: Sequence[Mark]) -> list[int | Fault]:
        """How many rows each changed, or why it could not. Raises Unread where the database is gone."""
        return self._try(lambda engine: _mark(engine, marks))

    def close(self) -> None:
        if self._engine is not None:
            self._engine.dispose()

    def _try(self, work: Callable[[Engine], T]) -> T:
        try:
            self._engine = self._engine or open_engine(self._options, self._base_dir, 1)
            return work(self._engine)
        except SQLAlchemyError as error:
            raise Unread(fault_of(error, self._engine.dialect.name if self._engine else "")) from None
        except OSError as error:
            raise Unread(Fault("gone", error.strerror or type(error).__name__)) from None

    def _read(self, engine: Engine, after: Any, limit: int) -> list[Row]:
        options = self._options
        asked = options.query.names
        given = {n: v for n, v in (("after", _native(after, engine)), ("limit", limit)) if n in asked}
        with engine.connect() as connection:
            if options.read_only:
                connection = read_only(connection)
            if options.query.reads:
                connection = at_most(connection, limit)
            with connection.execute(text(options.query.text), given) as result:
                rows = self._rows(result, limit)
            if not options.read_only:
                connection.commit()
        return rows

    def _rows(self, result: Any, limit: int) -> list[Row]:
        if not result.returns_rows:
            raise Unfit("the query returns no rows")
        columns = tuple(result.keys())
        self._fit(columns)
        rows: list[Row] = []
        size = 0
        while size < _MOST_BYTES and (some := result.fetchmany(min(_AT_ONCE, limit - len(rows)))):
            rows += [self._row(columns, values) for values in some]
            size += sum(len(row.body) for row in rows[-len(some) :])
        return rows

    def _fit(self, columns: tuple[str, ...]) -> None:
        """What the channel names must be among the columns."""
        options, known = self._options, {name.lower() for name in columns}
        if len(known) < len(columns):
            raise Unfit("two columns of the query have one name; give one of them another with `as`")
        wanted = {options.key, options.body} - {""}
        for mark in (options.mark, options.on_refused):
            wanted |= {name for name in mark.names if not name.startswith("jl_")} if mark else set()
        if lost := sorted(name for name in wanted if name.lower() not in known):
            raise Unfit(f"the query has no column {lost[0]}")

    def _row(self, columns: tuple[str, ...], values: Sequence[Any]) -> Row:
        options = self._options
        by_name = dict(zip(map(str.lower, columns), values, strict=True))
        body, fault = b"", ""
        try:
            body = self._body(columns, values, by_name)
        except Unreadable as error:
            fault = str(error)
        if len(body) > options.max_size:
            fault = f"larger than {options.max_size} bytes"
        told = body if body and not options.body else repr(tuple(by_name.values())).encode()
        digest = hashlib.blake2b(told, digest_size=8).hexdigest()
        return Row(by_name, body, fault, digest, by_name.get(options.key.lower()))

    def _body(self, columns: tuple[str, ...], values: Sequence[Any], by_name: Mapping[str, Any]) -> bytes:
        options = self._options
        if not options.body:
            return row_body(columns, values, options.charset)
        value = by_name[options.body.lower()]
        if isinstance(value, bytes | bytearray | memoryview):
            return bytes(value)
        if not isinstance(value, str):
            raise Unreadable(f"the column {options.body} holds no text")
        return bytes_of(value, options.charset)


def _mark(engine: Engine, marks: Sequence[Mark]) -> list[int | Fault]:
    """All in one transaction; where one fails, each in its own."""
    try:
        with engine.begin() as connection:
            return [_run(connection, mark) for mark in marks]
    except SQLAlchemyError as error:
        if fault_of(error, engine.dialect.name).meaning == "gone":
            raise
    done: list[int | Fault] = []
    for mark in marks:
        try:
            with engine.begin() as connection:
                done.append(_run(connection, mark))
        except SQLAlchemyError as error:
            fault = fault_of(error, engine.dialect.name)
            if fault.meaning == "gone":
                raise
            done.append(fault)
    return done


def _run(connection: Connection, mark: Mark) -> int:
    values = {name: mark.values[name.lower()] for name in mark.statement.names}
    return int(connection.execute(text(mark.statement.text), values).rowcount)


# Where a source was: a key, kept as text with its type

_TAGS: dict[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]] = {
    "datetime": (datetime.datetime, datetime.datetime.isoformat, datetime.datetime.fromisoformat),
    "date": (datetime.date, datetime.date.isoformat, datetime.date.fromisoformat),
    "int": (int, str, int),
    "decimal": (Decimal, str, Decimal),
    "float": (float, repr, float),
    "bytes": (bytes, bytes.hex, bytes.fromhex),
    "text": (str, str, str),
}


def tagged(key: Any) -> tuple[str, str]:
    """Raises Unfit where a key cannot be compared and kept."""
    for tag, (type_, write, _) in _TAGS.items():
        if isinstance(key, type_):
            return tag, write(key)
    raise Unfit(f"a key of type {type(key).__name__} cannot be kept")


def untagged(tag: str, said: str) -> Any:
    return _TAGS[tag][2](said)


def before(key: Any, overlap: float) -> Any:
    """The key that lies `overlap` before. Raises Unfit where there is no such thing."""
    if not overlap:
        return key
    back = datetime.timedelta(seconds=overlap)
    if isinstance(overlap, int) and isinstance(key, int | Decimal | float):
        return key - overlap
    if isinstance(overlap, float) and isinstance(key, datetime.date):
        # A date without a time: at least the day before.
        return (
            key - back if isinstance(key, datetime.datetime) else key - max(back, datetime.timedelta(days=1))
        )
    if isinstance(overlap, float) and isinstance(key, str):
        try:
            earlier = datetime.datetime.fromisoformat(key) - back
        except ValueError:
            raise Unfit("`overlap` is a duration, and the key is no date") from None
        return earlier.isoformat(sep="T" if "T" in key else " ")[: max(len(key), 19)]
    raise Unfit("`overlap` and `key` do not go together: a number of keys, or of dates a duration (60s)")


def _native(key: Any, engine: Engine) -> Any:
    """As its driver takes it."""
    name = engine.dialect.name
    if name == "oracle" and isinstance(key, str):
        try:
            return datetime.datetime.fromisoformat(key)
        except ValueError:
            return key
    if name == "sqlite" and isinstance(key, Decimal | datetime.date):
        return str(key)
    return key
