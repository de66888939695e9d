"""What lies in a database comes as it is: every digit, every byte, every character, whatever the database calls it."""

from __future__ import annotations

import datetime
import doctest
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog
from database_parts import Server, client, mariadb_database
from endpoint_parts import FakeEngine, until

from endpoints.base import Ground
from endpoints.sql import procedure, statement, values
from endpoints.sql.destination import DatabaseDestination
from endpoints.sql.options import DestinationOptions, SourceOptions
from endpoints.sql.source import DatabaseSource
from endpoints.sql.values import Unreadable, plain, row_body
from schemas.message import Message

Open = Callable[..., Awaitable[FakeEngine]]


@pytest.fixture
async def taken(tmp_path: Path) -> AsyncIterator[Open]:
    """An engine that a source brings what it finds."""
    opened: list[DatabaseSource] = []

    async def take(server: Server, **options: Any) -> FakeEngine:
        said = {"url": server.url, "key": "id", "start": 0, "every": "20ms", **options}
        engine = FakeEngine()
        opened.append(DatabaseSource(SourceOptions(**said), Ground("his", base_dir=str(tmp_path))))
        await opened[-1].start(engine.deliver)
        return engine

    yield take
    for one in opened:
        await one.stop()


@pytest.mark.parametrize("module", [statement, procedure, values], ids=lambda m: m.__name__)
def test_the_examples_in_the_code_are_right(module: Any) -> None:
    found = doctest.testmod(module)
    assert (found.failed, found.attempted > 0) == (0, True)


async def test_every_digit_date_and_byte(taken: Open, server: Server) -> None:
    columns = {
        "postgresql": "amount numeric(38, 10), at timestamp, seen timestamptz, day date, hour time, photo bytea, "
        "yes boolean, tags text[], more jsonb, nobody text",
        "mysql": "amount decimal(38, 10), at datetime(6), day date, hour time(3), photo blob, yes bit(1), more json, "
        "nobody text",
        "sqlite": "amount text, at text, photo blob, yes boolean, nobody text",
    }[server.kind]
    row = {
        "postgresql": "12345678901234567890.1234567891, '2026-01-05 08:00:00.25', '2026-01-05 08:00:00+08', "
        "'2026-01-05', '08:00:01', '\\x00ff', true, '{\"甲\",\"乙\"}', '{\"a\": 1}', null",
        "mysql": "12345678901234567890.1234567891, '2026-01-05 08:00:00.25', '2026-01-05', '-100:00:01.5', x'00ff', "
        "b'1', '{\"a\": 1}', null",
        "sqlite": "'12345678901234567890.1234567891', '2026-01-05 08:00:00', x'00ff', 1, null",
    }[server.kind]
    server.run(f"create table t (id integer primary key, {columns})")
    server.run(f"insert into t values (1, {row})".replace(": 1}", "\\: 1}"))
    engine = await taken(server, query="select * from t where id > :after order by id")
    await engine.has(1)
    body = engine.got[0].body.decode()
    made = json.loads(body, parse_float=Decimal)
    assert "12345678901234567890.1234567891" in body
    assert (made["photo"], made["nobody"]) == ("AP8=", None)
    assert made["at"][:10] == "2026-01-05"
    assert made["at"][11:] in ("08:00:00", "08:00:00.250000")
    if server.kind == "postgresql":
        at = datetime.datetime.fromisoformat(made["seen"])
        assert at == datetime.datetime(2026, 1, 5, 0, 0, tzinfo=datetime.UTC)
        assert (made["day"], made["hour"], made["tags"], made["more"]) == (
            "2026-01-05",
            "08:00:01",
            ["甲", "乙"],
            {"a": 1},
        )
    if server.kind == "mysql":
        assert (made["day"], made["hour"], made["yes"]) == ("2026-01-05", "-100:00:01.500000", "AQ==")


@pytest.fixture
def gbk(mariadb_url: str) -> Iterator[Server]:
    yield from mariadb_database(mariadb_url, "gbk")


@pytest.mark.mariadb
async def test_a_table_in_gbk_is_read_and_written_without_a_word(taken: Open, gbk: Server) -> None:
    gbk.run("create table t (id integer primary key, name varchar(20))")
    gbk.run("insert into t values (1, :name)", name="张三丰")
    assert gbk.run("select hex(name) from t") == [("张三丰".encode("gbk").hex().upper(),)]
    engine = await taken(gbk, query="select * from t where id > :after order by id")
    assert (await engine.has(1))[0].body.decode() == '{"id":1,"name":"张三丰"}'


async def put(server: Server, sql: str, charset: str, **given: Any) -> None:
    one = DatabaseDestination(
        DestinationOptions(url=server.url, statement=sql, charset=charset), Ground("lis")
    )
    await one.start()
    await one.send(Message(json.dumps(given).encode(), id="m1"))
    await one.stop()


@pytest.fixture
def latin(mariadb_url: str) -> Iterator[Server]:
    yield from mariadb_database(mariadb_url, "latin1")


@pytest.mark.mariadb
async def test_gbk_in_what_mariadb_calls_latin1(taken: Open, latin: Server) -> None:
    latin.run("create table t (id integer primary key, name varchar(40))")
    name = "张三，丏€丂乮"  # with bytes that Windows-1252 has, and some that it has not
    raw = name.encode("gb18030")
    latin.run(f"insert into t values (1, x'{raw.hex()}')")
    engine = await taken(latin, query="select * from t where id > :after order by id", charset="GB18030")
    assert json.loads((await engine.has(1))[0].body)["name"] == name
    await put(latin, "insert into t values (:id, :name)", "GB18030", id=2, name=name)
    assert latin.run("select hex(name) from t where id = 2") == [(raw.hex().upper(),)]


@pytest.fixture
def nameless(postgresql_url: str) -> Iterator[Server]:
    """A database that does not know what its texts are (SQL_ASCII)."""
    name = f"his_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgresql_url, autocommit=True) as admin:
        admin.execute(
            f"create database {name} encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C' template template0".encode()
        )
    url = postgresql_url.rsplit("/", 1)[0] + f"/{name}"
    yield Server("postgresql", url, client(url + "?client_encoding=latin1"))
    with psycopg.connect(postgresql_url, autocommit=True) as admin:
        admin.execute(f"drop database {name} with (force)".encode())


@pytest.mark.postgresql
async def test_gbk_in_a_database_without_a_charset(taken: Open, nameless: Server) -> None:
    nameless.run("create table t (id integer primary key, name text)")
    nameless.run("insert into t values (1, :name)", name="张三".encode("gbk").decode("latin-1"))
    nameless.run("insert into t values (2, :name)", name=b"\xd5".decode("latin-1"))  # half a character
    engine = await taken(nameless, query="select * from t where id > :after order by id", charset="GBK")
    assert json.loads((await engine.has(1))[0].body)["name"] == "张三"
    await until(lambda: len(engine.refused) == 1)
    assert engine.refused[0].fault == "the column name is not written in GBK"
    await put(nameless, "insert into t values (:id, :name)", "GBK", id=3, name="李四")
    assert nameless.run("select name from t where id = 3") == [("李四".encode("gbk").decode("latin-1"),)]


@pytest.mark.parametrize(
    ("value", "says"), [(Decimal("NaN"), "no number"), (float("inf"), "no number"), (object(), "type object")]
)
def test_a_value_that_json_has_no_word_for_names_its_column(value: Any, says: str) -> None:
    with pytest.raises(Unreadable, match=f"the column b .*{says}"):
        row_body(("a", "b"), (1, value), "")


def test_what_else_a_driver_brings() -> None:
    half = datetime.timedelta(hours=30, seconds=1, microseconds=5)
    number = uuid.UUID(int=5)
    assert plain([half, number, memoryview(b"x"), {"a": Decimal("1.10")}]) == [
        "30:00:01.000005",
        str(number),
        "eA==",
        {"a": Decimal("1.10")},
    ]


async def test_a_statement_that_takes_too_long_is_ended_and_asked_again(taken: Open, server: Server) -> None:
    slow = {
        "postgresql": "select pg_sleep(60), 1 as id where 1 > :after order by id",
        "mysql": "select sleep(60), 1 as id from dual where 1 > :after order by id",
        "sqlite": "with recursive n(id) as (select 1 union all select id + 1 from n) select max(id) as id from n"
        " where id > :after order by 1",
    }[server.kind]
    with structlog.testing.capture_logs() as logs:
        await taken(server, query=slow, timeout="500ms")
        await until(lambda: any(line.get("code") == "JL-E350" for line in logs))


async def test_a_database_that_was_away_is_asked_again(taken: Open, server: Server) -> None:
    if server.kind == "sqlite":
        pytest.skip("a file has no connection")
    server.run("create table t (id integer primary key)")
    engine = await taken(server, query="select id from t where id > :after order by id")
    server.run("insert into t values (1)")
    await engine.has(1)
    mine = {
        "postgresql": "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'jingluo'"
        " and query like '%from t where%'",
        "mysql": "select concat('kill ', id) from information_schema.processlist where db = database()"
        " and id <> connection_id()",
    }[server.kind]
    for (kill,) in server.run(mine):
        if server.kind == "mysql":
            server.run(kill)
    server.run("insert into t values (2)")
    await engine.has(2)
