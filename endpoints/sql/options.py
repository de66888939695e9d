"""The YAML of kind `database`: whom to speak to, what to take from it, what to put into it."""

from __future__ import annotations

import importlib.util
import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema, field_validator, model_validator
from pydantic_core import PydanticCustomError

from config.tls import ClientTls
from config.units import Seconds, Size, seconds
from endpoints.base import Options
from endpoints.sql.procedure import Procedure, procedure
from endpoints.sql.statement import Statement, columns_of, custom, statement, unknown
from schemas import charsets

# What a URL may begin with: SQLAlchemy's name, the driver's module, the extra that installs it.
DRIVERS = {
    "postgresql": ("postgresql+psycopg", "psycopg", "postgresql"),
    "mysql": ("mysql+pymysql", "pymysql", "mysql"),
    "mariadb": ("mariadb+pymysql", "pymysql", "mysql"),
    "sqlite": ("sqlite", "sqlite3", ""),
    "oracle": ("oracle+oracledb", "oracledb", "oracle"),
    "sqlserver": ("mssql+pymssql", "pymssql", "sqlserver"),
}
OF_QUERY = ("after", "limit")
OF_MARK = ("jl_id", "jl_code", "jl_reason", "jl_path")
OF_MESSAGE = ("jl_id", "jl_channel", "jl_received")

Sql = Annotated[Statement, BeforeValidator(statement), WithJsonSchema({"type": "string"})]
Call = Annotated[Procedure, BeforeValidator(procedure), WithJsonSchema({"type": "string"})]
Types = Literal["text", "number", "date", "datetime", "bytes"]


def _overlap(value: Any) -> int | float:
    """A whole number of keys, or a duration in seconds (a float)."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    return seconds(value)


Overlap = Annotated[
    int | float, BeforeValidator(_overlap), WithJsonSchema({"type": ["integer", "string"], "minimum": 0})
]


class Database(Options):
    """What a source and a destination both say of their database."""

    url: str = Field(
        repr=False,
        description="postgresql://user:secret://name@host:5432/database; mysql, oracle, sqlserver, sqlite",
    )
    charset: str = Field(
        "", description="what texts really are where the database calls them Latin-1 or nothing"
    )
    tls: ClientTls = Field(
        ClientTls(), description="of postgresql and mysql: whom we trust, and what we show"
    )
    timeout: Seconds = Field(30.0, gt=0, le=600, description="of one statement; the database ends it then")
    connect_within: Seconds = Field(10.0, gt=0, description="of a connection")

    @field_validator("url")
    @classmethod
    def _is_known(cls, url: str) -> str:
        kind, there, rest = url.partition("://")
        if kind not in DRIVERS or not there or (kind == "sqlite" and not re.match(r"/[^/]", rest)):
            raise custom("JL-C154", "a URL begins with " + ", ".join(f"{name}://" for name in DRIVERS))
        _, module, extra = DRIVERS[kind]
        if importlib.util.find_spec(module) is None:
            hint = f"pip install 'jingluo[{extra}]'"
            raise custom("JL-C154", f"the driver of {kind}, {module}, is not installed", hint)
        return url

    @field_validator("charset")
    @classmethod
    def _can_be_read(cls, charset: str) -> str:
        if charset and not charsets.codec(charset):
            raise ValueError(f"{charset!r} is no charset; write GB18030, GBK or UTF-8")
        return charset

    @model_validator(mode="after")
    def _tls_fits(self) -> Database:
        if self.tls != ClientTls() and self.kind not in ("postgresql", "mysql", "mariadb"):
            raise ValueError("tls is for postgresql and mysql; others say it in their URL")
        return self

    @property
    def kind(self) -> str:
        return self.url.partition("://")[0]


class SourceOptions(Database):
    """`from: {database: {system: his-db, query: "select ... where id > :after order by id", key: id, start: 0}}`."""

    takes_again: ClassVar[bool] = True

    query: Sql = Field(description="its parameters are :after, the last key that was taken, and :limit")
    key: str = Field("", description="the column that grows: what is above the last one taken is new")
    start: int | str | None = Field(
        None, description="with `key`: the first :after; a number, a text, a date"
    )
    overlap: Overlap = Field(
        0, description="with `key`: looked at again, for what was written late; 100, or of dates 60s"
    )
    mark: Sql | None = Field(
        None,
        description="without `key`: the statement that takes a row out of the query; its columns are parameters",
    )
    on_refused: Sql | None = Field(
        None,
        description="in place of `mark` for a row that is refused; besides its columns :jl_reason and others",
    )
    body: str = Field("", description="the column that holds the message; without it, the row is it, as JSON")
    rows: int = Field(1, ge=1, le=10_000, description="so many rows are one message, a list")
    every: Seconds = Field(5.0, gt=0, description="how long there was nothing new until it looks again")
    max_rows: int = Field(100, ge=1, le=10_000, description="taken in one look")
    max_size: Size = Field(10_000_000, description="of a message; a larger one is refused")
    read_only: bool = Field(True, description="the query may change nothing; false for one that must")

    @field_validator("query")
    @classmethod
    def _asks(cls, query: Statement) -> Statement:
        _raise(unknown(query.names, OF_QUERY, "the query"))
        return query

    @field_validator("key", "body")
    @classmethod
    def _is_column(cls, name: str, info: ValidationInfo) -> str:
        columns = _columns(info)
        if name and columns is not None and name.lower() not in columns:
            raise custom("JL-C153", f"the query has no column {name!r}")
        return name

    @field_validator("mark", "on_refused")
    @classmethod
    def _marks_columns(cls, mark: Statement | None, info: ValidationInfo) -> Statement | None:
        columns = _columns(info)
        if mark is not None and columns is not None:
            _raise(unknown(mark.names, (*columns, *OF_MARK), "the mark"))
        return mark

    @model_validator(mode="after")
    def _whole(self) -> SourceOptions:
        if bool(self.key) == (self.mark is not None):
            found = (
                "both `key` and `mark`"
                if self.key
                else "neither `key` nor `mark`: every row would come again"
            )
            raise custom("JL-C155", found, "`key` remembers how far it was read, `mark` changes each row")
        if self.body and self.rows > 1:
            raise ValueError("a message in a column is one row; leave `rows` out")
        if not self.key:
            if self.start is not None or self.overlap or "after" in self.query.names:
                raise custom("JL-C155", "`:after`, `start` and `overlap` go with `key`")
        elif "after" not in self.query.names:
            raise custom(
                "JL-C155", "a query with `key` asks for what comes after", "where id > :after order by id"
            )
        elif self.query.reads and not re.search(r"\border\s+by\b", self.query.text, re.IGNORECASE):
            raise custom(
                "JL-C155", "a query with `key` has an order, or rows would be left out", "order by id"
            )
        elif self.start is None:
            raise custom("JL-C155", "a query with `key` says where to begin", "start: 0")
        return self

    @property
    def makes(self) -> str:
        """The format of its messages, where it makes them."""
        return "" if self.body else "json"


class DestinationOptions(Database):
    """`send: {database: {system: lis-db, statement: "insert into result (id, value) values (:id, :value)"}}`."""

    statement: Sql | None = Field(
        None,
        description="the keys of the JSON body are its parameters, besides :jl_id, :jl_channel, :jl_received",
    )
    call: Call | None = Field(
        None, description="a procedure: `lis.put_result(:id, :value, out :status number)`"
    )
    types: dict[str, Types] = Field(
        {}, description="parameters that JSON has no type for: `{photo: bytes, drawn: datetime}`"
    )
    connections: int = Field(4, ge=1, le=64, description="at once; further messages wait for one")
    max_items: int = Field(10_000, ge=1, description="of a list, which is one transaction")
    max_rows: int = Field(1000, ge=1, description="of an answer; more are an error")
    max_answer: Size = Field(10_000_000, description="of an answer; a larger one is an error")

    @model_validator(mode="after")
    def _one_thing(self) -> DestinationOptions:
        if (self.statement is None) == (self.call is None):
            raise custom("JL-C155", "either a `statement` or a `call`")
        _raise(unknown(self.types, self.names, "types"))
        return self

    @property
    def names(self) -> frozenset[str]:
        """All parameters."""
        if self.call is not None:
            return self.call.names
        return self.statement.names if self.statement is not None else frozenset()

    @property
    def parameters(self) -> frozenset[str]:
        """Those that the message must give."""
        return self.names - {*OF_MESSAGE}


def _raise(error: PydanticCustomError | None) -> None:
    if error is not None:
        raise error


def _columns(info: ValidationInfo) -> frozenset[str] | None:
    """Of the query that stands before, where it is right and says so."""
    query = info.data.get("query")
    return columns_of(query) if query is not None else None
