"""Messages into tables and procedures of PostgreSQL, MariaDB and SQLite, and what their errors mean."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from authority import Authority
from database_parts import Server
from pydantic import ValidationError

from config.errors import Refused, Unreachable
from endpoints.base import Ground
from endpoints.sql.destination import DatabaseDestination
from endpoints.sql.engine import open_engine
from endpoints.sql.options import DestinationOptions
from schemas.message import Message, Receipt

Made = Callable[..., Any]
INSERT = "insert into result (id, name, value, came) values (:id, :name, :value, :jl_id)"


@pytest.fixture
async def made(server: Server, tmp_path: Path) -> AsyncIterator[Made]:
    opened: list[DatabaseDestination] = []

    async def make(**options: Any) -> DatabaseDestination:
        said = {"url": server.url, **options}
        opened.append(DatabaseDestination(DestinationOptions(**said), Ground("lis", base_dir=str(tmp_path))))
        await opened[-1].start()
        return opened[-1]

    server.run(
        "create table result (id integer primary key, name varchar(40) not null, value decimal(20, 6),"
        " came varchar(32))"
    )
    yield make
    for one in opened:
        await one.stop()


def message(body: Any, id: str = "m1") -> Message:
    return Message(json.dumps(body, ensure_ascii=False).encode(), id=id, channel="c", received_ms=0)


def rows(server: Server) -> list[tuple[Any, ...]]:
    return server.run("select id, name, value, came from result order by id")


async def fails(one: DatabaseDestination, body: Any) -> Refused | Unreachable:
    with pytest.raises((Refused, Unreachable)) as error:
        await one.send(message(body))
    return error.value


async def test_the_keys_of_the_body_are_the_parameters(made: Made, server: Server) -> None:
    one = await made(statement=INSERT)
    body = Message(
        b'{"id": 1, "name": "\xe5\xbc\xa0\xe4\xb8\x89", "value": 123456.123456, "more": 1}', id="m1"
    )
    receipt = await one.send(body)
    assert receipt == Receipt("done", b'{"count":1}', "json")
    assert await one.send(message({"id": 2, "name": "x'; drop table result; --"})) == receipt
    (first, second) = rows(server)
    assert (first[1], f"{first[2]:.6f}", first[3]) == ("张三", "123456.123456", "m1")
    assert second == (2, "x'; drop table result; --", None, "m1")


async def test_a_list_is_one_transaction(made: Made, server: Server) -> None:
    one = await made(statement=INSERT)
    assert (
        await one.send(message([{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]))
    ).answer == b'{"count":2}'
    error = await fails(one, [{"id": 3, "name": "c"}, {"id": 1, "name": "again"}])
    assert isinstance(error, Refused)
    assert "item 1" in error.text
    assert [row[0] for row in rows(server)] == [1, 2]


async def test_what_breaks_a_rule_is_refused_for_good_and_its_text_holds_no_value(made: Made) -> None:
    one = await made(statement=INSERT)
    await one.send(message({"id": 1, "name": "张三"}))
    for body in ({"id": 1, "name": "李四"}, {"id": 2}):
        error = await fails(one, body)
        assert isinstance(error, Refused)
        assert (error.code, error.retry) == ("JL-E361", False)
        assert "李四" not in error.text
        assert error.answer


async def test_a_text_that_is_too_long_is_refused_and_not_cut(made: Made, server: Server) -> None:
    if server.kind == "sqlite":
        pytest.skip("its columns have no length")
    error = await fails(await made(statement=INSERT), {"id": 1, "name": "很长的名字" * 9})
    assert isinstance(error, Refused)
    assert error.code == "JL-E361"


async def test_a_missing_table_is_tried_again(made: Made) -> None:
    error = await fails(await made(statement="insert into nowhere (id) values (:id)"), {"id": 1})
    assert isinstance(error, Refused)
    assert (error.code, error.retry) == ("JL-E362", True)


async def test_rows_are_the_answer(made: Made, server: Server) -> None:
    one = await made(statement="select id, name from result where id >= :id order by id", max_rows=2)
    assert (await one.send(message({"id": 1}))).answer == b'{"count":0}'
    for number in (1, 2, 3):
        server.run("insert into result (id, name) values (:id, 'x')", id=number)
    assert json.loads((await one.send(message({"id": 2}))).answer) == {
        "rows": [{"id": 2, "name": "x"}, {"id": 3, "name": "x"}]
    }
    error = await fails(one, {"id": 1})
    assert error.code == "JL-E365"


async def test_who_waits_for_a_lock_too_long_tries_again(made: Made, server: Server) -> None:
    server.run("insert into result (id, name) values (1, 'a')")
    one = await made(statement="update result set name = :name where id = 1", timeout="1s")
    connection = server.engine.connect()
    connection.exec_driver_sql("update result set name = 'held' where id = 1")
    error = await fails(one, {"name": "b"})
    connection.close()
    assert isinstance(error, Unreachable)
    assert (error.code, error.maybe_done) == ("JL-E363", False)
    assert (await one.send(message({"name": "c"}))).code == "done"


async def test_a_database_that_is_away_and_comes_back(made: Made, server: Server) -> None:
    if server.kind == "sqlite":
        pytest.skip("a file has no connection")
    one = await made(statement=INSERT, connections=1)
    await one.send(message({"id": 1, "name": "a"}))
    end = {
        "postgresql": "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'jingluo'"
        " and query like '%result%'",
        "mysql": "",
    }[server.kind]
    if end:
        server.run(end)
    else:
        mine = server.run(
            "select id from information_schema.processlist where db = database() and id <> connection_id()"
        )
        for (number,) in mine:
            server.run(f"kill {number}")
    await one.send(message({"id": 2, "name": "b"}))
    assert [row[0] for row in rows(server)] == [1, 2]


async def test_nobody_there_is_tried_again(made: Made, server: Server) -> None:
    one = DatabaseDestination(
        DestinationOptions(url="postgresql://u:p@127.0.0.1:1/x", statement=INSERT, connect_within="2s"),
        Ground("lis"),
    )
    await one.start()
    error = await fails(one, {"id": 1, "name": "a"})
    await one.stop()
    assert isinstance(error, Unreachable)
    assert not error.maybe_done
    assert "u:p" not in error.text


async def test_a_server_without_tls_is_told_nothing_where_tls_is_asked_for(
    made: Made, server: Server, tmp_path: Path
) -> None:
    if server.kind == "sqlite":
        pytest.skip("a file has no connection")
    ca = Authority(tmp_path).file.name
    one = await made(statement=INSERT, tls={"ca": ca})
    error = await fails(one, {"id": 1, "name": "a"})  # one that has TLS is another authority's
    assert isinstance(error, Unreachable)
    assert rows(server) == []


async def test_a_deadlock_is_tried_again(made: Made, server: Server) -> None:
    if server.kind == "sqlite":
        pytest.skip("one writer at a time")
    for number in (1, 2):
        server.run("insert into result (id, name) values (:id, 'x')", id=number)
    one = await made(statement="update result set name = :name where id = :id", timeout="5s")
    connection = await asyncio.to_thread(server.engine.connect)
    connection.exec_driver_sql("update result set name = 'held' where id = 2")
    sending = asyncio.create_task(one.send(message([{"id": 1, "name": "a"}, {"id": 2, "name": "a"}])))
    await asyncio.sleep(0.3)  # until it holds 1 and waits for 2

    def cross() -> bool:
        try:
            connection.exec_driver_sql("update result set name = 'held' where id = 1")
            return True
        except Exception:
            return False
        finally:
            connection.close()

    ours = await asyncio.to_thread(cross)
    try:
        await sending
        assert not ours
    except Unreachable as error:
        assert error.code == "JL-E363"  # noqa: PT017


PROCEDURES = {
    "postgresql": "create procedure put(a integer, b varchar, inout status integer, inout said varchar)"
    " language plpgsql as $$ begin if a < 0 then raise exception 'no such'; end if;"
    " insert into result (id, name) values (a, b); status := a + 1; said := '好'; end $$",
    "mysql": "create procedure put(a integer, b varchar(10), out status integer, out said varchar(10))"
    " begin if a < 0 then signal sqlstate '45000' set message_text = 'no'; end if;"
    " insert into result (id, name) values (a, b); set status = a + 1; set said = '好';"
    " select id, name from result; end",
}


async def test_a_procedure_answers_with_what_comes_out(made: Made, server: Server) -> None:
    if server.kind == "sqlite":
        pytest.skip("it has no procedures")
    with server.engine.begin() as connection:
        connection.exec_driver_sql(PROCEDURES[server.kind])
    one = await made(call="put(:id, :name, out :status number, out :said)")
    answer = json.loads((await one.send(message({"id": 7, "name": "测试"}))).answer)
    assert answer["out"] == {"status": 8, "said": "好"}
    assert answer.get("rows", [{"id": 7, "name": "测试"}]) == [{"id": 7, "name": "测试"}]
    error = await fails(one, {"id": -1, "name": "x"})
    assert isinstance(error, Refused)
    assert (error.code, error.retry) == ("JL-E361", False)
    assert rows(server)[0][:2] == (7, "测试"), "what the procedure did is kept"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"no json", "not JSON"),
        (b"[1]", "item 0 is no JSON object"),
        (b'{"id": 1, "photo": "%%"}', "photo is no bytes"),
    ],
)
async def test_what_is_no_parameters_is_refused(made: Made, body: bytes, says: str) -> None:
    one = await made(statement="insert into result (id, name) values (:id, :photo)", types={"photo": "bytes"})
    with pytest.raises(Refused, match=says):
        await one.send(Message(body))


async def test_a_list_that_is_too_long_is_refused(made: Made) -> None:
    error = await fails(
        await made(statement=INSERT, max_items=1), [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
    )
    assert error.code == "JL-E364"


async def test_bytes_and_dates_are_what_they_are(made: Made, server: Server) -> None:
    blob = {"postgresql": "bytea", "mysql": "blob", "sqlite": "blob"}[server.kind]
    stamp = {"postgresql": "timestamp", "mysql": "datetime(6)", "sqlite": "text"}[server.kind]
    server.run(f"create table kept (photo {blob}, at {stamp}, day date)")
    one = await made(
        statement="insert into kept values (:photo, :at, :day)",
        types={"photo": "bytes", "at": "datetime", "day": "date"},
    )
    await one.send(message({"photo": "AP8=", "at": "2026-01-05T08:00:00.5", "day": "2026-01-05"}))
    ((photo, at, day),) = server.run("select * from kept")
    assert (bytes(photo), str(at)[:21], str(day)) == (b"\x00\xff", "2026-01-05 08:00:00.5", "2026-01-05")


def test_what_a_test_of_a_channel_makes_of_an_answer() -> None:
    one = DatabaseDestination(DestinationOptions(url="sqlite:///x.db", statement=INSERT), Ground("lis"))
    assert one.heard(message({"id": 1}), "", b"", {}).code == "done"
    assert one.heard(message({"id": 1}), "done", b'{"count":1}', {}).answer == b'{"count":1}'
    for code, retry in (("refused", False), ("wrong", True)):
        with pytest.raises(Refused) as refused:
            one.heard(message({"id": 1}), code, b"", {})
        assert refused.value.retry is retry
    for code, maybe in (("again", False), ("gone", False), ("lost", True)):
        with pytest.raises(Unreachable) as away:
            one.heard(message({"id": 1}), code, b"", {})
        assert away.value.maybe_done is maybe
    with pytest.raises(Refused):
        one.heard(message([1]), "", b"", {})


@pytest.mark.parametrize(
    "call", ["put", "put(1)", "put(:id, :id)", "put(:id; drop)", "a b(:id)", "put(:id number)"]
)
def test_a_call_is_a_name_and_parameters(call: str) -> None:
    with pytest.raises(ValidationError):
        DestinationOptions(url="sqlite:///x.db", call=call)


async def test_messages_that_come_at_once_share_one_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(sqlite3.connect(tmp_path / "x.db")) as file:
        file.execute("create table result (id integer primary key)")
    opened: list[int] = []

    def slowly(*given: Any) -> Any:
        opened.append(1)
        time.sleep(0.05)
        return open_engine(*given)

    monkeypatch.setattr("endpoints.sql.destination.open_engine", slowly)
    options = DestinationOptions(url="sqlite:///x.db", statement="insert into result (id) values (:id)")
    one = DatabaseDestination(options, Ground("lis", base_dir=str(tmp_path)))
    await one.start()
    await asyncio.gather(*(one.send(message({"id": number})) for number in range(4)))
    await one.stop()
    assert opened == [1]
