"""What needs no server: the SQL that each database is sent, and what each one's errors mean.

Oracle and SQL Server are tried so and no further: no server of theirs is here.
"""

from __future__ import annotations

from typing import Any

import oracledb
import psycopg
import pymssql
import pymysql
import pytest
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from endpoints.sql.engine import open_engine
from endpoints.sql.fault import fault_of
from endpoints.sql.options import DRIVERS, DestinationOptions, SourceOptions
from endpoints.sql.procedure import procedure

URLS = {
    "oracle": "oracle://jingluo:p%40ss@his.example:1521/?service_name=HIS",
    "mssql": "sqlserver://jingluo:p%40ss@lis.example:1433/lis",
    "postgresql": "postgresql://jingluo:p%40ss@lis.example/lis",
    "mysql": "mysql://jingluo:p%40ss@lis.example/lis",
}
CALL = "lis.put(:id, :value, out :status number, out :said)"


def options(kind: str) -> DestinationOptions:
    return DestinationOptions(url=URLS[kind], call=CALL, timeout="7s", connect_within="3s")


@pytest.mark.parametrize(
    ("kind", "limits"),
    [
        ("oracle", {"user": "jingluo", "password": "p@ss", "tcp_connect_timeout": 3.0}),
        ("mssql", {"host": "lis.example:1433", "login_timeout": 3, "timeout": 7, "charset": "UTF-8"}),
        ("postgresql", {"host": "lis.example", "connect_timeout": 3, "tcp_user_timeout": 12000}),
        ("mysql", {"host": "lis.example", "connect_timeout": 3, "read_timeout": 12, "charset": "utf8mb4"}),
    ],
)
def test_each_driver_gets_its_limits(kind: str, limits: dict[str, Any]) -> None:
    engine = open_engine(options(kind), ".", 1)
    assert engine.dialect.name == kind
    seen: dict[str, Any] = {}

    def connect(*args: Any, **given: Any) -> None:
        seen.update(given)
        raise OSError("no server")

    engine.dialect.connect = connect  # type: ignore[method-assign]
    with pytest.raises(OSError, match="no server"):
        engine.connect()
    assert limits.items() <= seen.items()
    assert "p@ss" not in repr(options(kind))


@pytest.mark.parametrize(
    ("kind", "call", "ask"),
    [
        ("oracle", "begin lis.put(:id, :value, :status, :said); end;", ""),
        (
            "mssql",
            "declare @status decimal(38, 10); declare @said nvarchar(4000); "
            "exec lis.put %(id)s, %(value)s, @status output, @said output; select @status as status, @said as said",
            "",
        ),
        ("postgresql", "call lis.put(%(id)s, %(value)s, null, null)", ""),
        (
            "mysql",
            "call lis.put(%(id)s, %(value)s, @jl_status, @jl_said)",
            "select @jl_status as status, @jl_said as said",
        ),
    ],
)
def test_a_call_in_each_database_s_words(kind: str, call: str, ask: str) -> None:
    made = procedure(CALL)
    dialect = open_engine(options(kind), ".", 1).dialect
    assert str(text(made.sql(kind)).compile(dialect=dialect)) == call
    assert made.ask(kind) == ask


@pytest.mark.parametrize(("kind", "bound"), [("oracle", ":id"), ("mssql", "%(id)s")])
def test_a_statement_s_colons_and_percents_stay_what_they_are(kind: str, bound: str) -> None:
    sql = "select to_char(at, 'HH24:MI:SS') from t where name like '测%' and id = :id -- :no"
    made = DestinationOptions(url=URLS[kind], statement=sql)
    assert made.names == {"id"}
    said = str(text(made.statement.text).compile(dialect=open_engine(made, ".", 1).dialect))  # type: ignore[union-attr]
    assert said.replace("%%", "%") == sql.replace(":id", bound)


class _Oracle:
    def __init__(self, code: int) -> None:
        self.code = code

    def __str__(self) -> str:
        return f"ORA-{self.code:05}: 张三"


def _postgresql(state: str) -> Exception:
    return psycopg.errors.lookup(state)("张三")


@pytest.mark.parametrize(
    ("kind", "error", "meaning"),
    [
        ("oracle", oracledb.IntegrityError(_Oracle(1)), "refused"),
        ("oracle", oracledb.DatabaseError(_Oracle(20001)), "refused"),
        ("oracle", oracledb.DatabaseError(_Oracle(60)), "again"),
        ("oracle", oracledb.DatabaseError(_Oracle(942)), "wrong"),
        ("oracle", oracledb.DatabaseError(_Oracle(3113)), "gone"),
        ("oracle", oracledb.OperationalError(_Oracle(12541)), "gone"),
        ("mssql", pymssql.IntegrityError(2627, "张三"), "refused"),
        ("mssql", pymssql.OperationalError(50000, "张三"), "refused"),
        ("mssql", pymssql.OperationalError((1205, "张三")), "again"),
        ("mssql", pymssql.ProgrammingError(208, "张三"), "wrong"),
        ("mssql", pymssql.OperationalError((20009, "张三")), "gone"),
        ("mysql", pymysql.err.IntegrityError(1062, "张三"), "refused"),
        ("mysql", pymysql.err.OperationalError(1213, "张三"), "again"),
        ("mysql", pymysql.err.ProgrammingError(1146, "张三"), "wrong"),
        ("mysql", pymysql.err.OperationalError(2006, "张三"), "gone"),
        ("postgresql", _postgresql("23505"), "refused"),
        ("postgresql", _postgresql("40P01"), "again"),
        ("postgresql", _postgresql("42P01"), "wrong"),
        ("postgresql", _postgresql("57P01"), "gone"),
        ("postgresql", psycopg.OperationalError("no server"), "again"),
    ],
)
def test_what_an_error_means_and_that_its_text_holds_no_value(
    kind: str, error: Exception, meaning: str
) -> None:
    fault = fault_of(DBAPIError("insert", {}, error), kind)  # type: ignore[arg-type]
    assert fault.meaning == meaning
    assert "张三" not in fault.text


@pytest.mark.parametrize(
    "url", ["his", "db2://h/x", "sqlite://", "sqlite:///", "postgres:/x", "mysql+foo://h/x"]
)
def test_an_unknown_database_is_refused_with_those_that_are_known(url: str) -> None:
    with pytest.raises(
        ValidationError, match="postgresql://, mysql://, mariadb://, sqlite://, oracle://, sqlserver://"
    ):
        DestinationOptions(url=url, call=CALL)


@pytest.mark.parametrize("kind", [kind for kind in DRIVERS if kind != "sqlite"])
def test_a_driver_that_is_missing_is_named_with_its_extra(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValidationError, match=rf"not installed; pip install 'jingluo\[{DRIVERS[kind][2]}\]'"):
        DestinationOptions(url=f"{kind}://h/x", call=CALL)


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"charset": "Klingon"}, "no charset"),
        ({"timeout": "0s"}, "greater than 0"),
        ({"tls": {"ca": "ca.pem"}}, "tls is for postgresql and mysql"),
        ({"overlap": "5"}, "not a duration"),
        ({"overlap": 5}, "go with `key`"),
        ({"rows": 2, "body": "id"}, "leave `rows` out"),
        ({"query": "select id from t; delete from t"}, "a second statement"),
        ({"query": "x" * 30_000}, "at most 20000"),
    ],
)
def test_options_that_make_no_sense(said: dict[str, Any], says: str) -> None:
    good = {"url": "sqlite:///x.db", "query": "select id from t", "mark": "delete from t where id = :id"}
    SourceOptions(**good)
    with pytest.raises(ValidationError, match=says):
        SourceOptions(**{**good, **said})
