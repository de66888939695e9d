"""Rows of a table that somebody else fills: PostgreSQL, MariaDB and SQLite, as they are."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from database_parts import Server
from endpoint_parts import FakeEngine, until

from endpoints.base import Alone, Ground
from endpoints.sql.options import SourceOptions
from endpoints.sql.source import DatabaseSource
from schemas.message import Message, Reply

Open = Callable[..., Awaitable[DatabaseSource]]
BY_KEY = {"query": "select id, name from his where id > :after order by id", "key": "id", "start": 0}
BY_MARK = {
    "query": "select id, name, state from his where state = 0 order by id",
    "mark": "update his set state = 1 where id = :id and state = 0",
}


@pytest.fixture
async def source(server: Server, tmp_path: Path) -> AsyncIterator[Open]:
    opened: list[DatabaseSource] = []

    async def open(engine: FakeEngine, turn: Alone | None = None, **options: Any) -> DatabaseSource:
        said = {"url": server.url, "every": "20ms", **options}
        turn = turn or Alone()
        ground = Ground("his", base_dir=str(tmp_path), turn=lambda: turn)
        opened.append(DatabaseSource(SourceOptions(**said), ground))
        await opened[-1].start(engine.deliver)
        return opened[-1]

    server.run("create table his (id integer primary key, name varchar(40), state integer default 0)")
    yield open
    for one in opened:
        await one.stop()


def fill(server: Server, *ids: int) -> None:
    for number in ids:
        server.run("insert into his (id, name) values (:id, :name)", id=number, name=f"测试{number}")


def ids(engine: FakeEngine) -> list[int]:
    return [json.loads(message.body)["id"] for message in engine.got]


def states(server: Server) -> list[int]:
    return [state for (state,) in server.run("select state from his order by id")]


async def test_by_key_each_row_is_a_message_in_its_order(source: Open, server: Server) -> None:
    fill(server, 1, 2, 3)
    engine = FakeEngine()
    await source(engine, **BY_KEY)
    await engine.has(3)
    fill(server, 5, 4)
    await engine.has(5)
    assert ids(engine) == [1, 2, 3, 4, 5]
    assert engine.got[0].body.decode() == '{"id":1,"name":"测试1"}'
    assert (engine.got[0].source, engine.got[0].blob) == ("database his", None)


async def test_how_far_it_was_outlives_a_restart(source: Open, server: Server) -> None:
    fill(server, 1, 2)
    turn, first, second = Alone(), FakeEngine(), FakeEngine()
    one = await source(first, turn, **BY_KEY)
    await first.has(2)
    await one.stop()
    fill(server, 3)
    await source(second, turn, **BY_KEY)
    await second.has(1)
    assert (ids(first), ids(second)) == ([1, 2], [3])


async def test_by_mark_a_row_is_marked_once_the_engine_has_it(source: Open, server: Server) -> None:
    fill(server, 1, 2)
    engine = FakeEngine(held=True)
    await source(engine, **BY_MARK)
    await engine.has(1)
    assert states(server) == [0, 0]
    engine.open[0].set_result(Reply("accepted", id="m1"))
    await engine.has(2)
    engine.open[1].set_result(Reply("accepted", id="m2"))
    await until(lambda: states(server) == [1, 1])
    assert ids(engine) == [1, 2]


async def test_what_the_engine_does_not_take_is_left_and_comes_again_under_the_same_name(
    source: Open, server: Server
) -> None:
    fill(server, 1, 2)
    replies = iter([Reply("accepted"), Reply("failed", code="JL-B001", text="no broker")])
    engine = FakeEngine(lambda message: next(replies, Reply("accepted")))
    await source(engine, **BY_MARK)
    await engine.has(3)
    await until(lambda: states(server) == [1, 1])
    assert ids(engine) == [1, 2, 2]
    assert engine.got[1].once == engine.got[2].once != engine.got[0].once


async def test_a_row_taken_by_a_process_that_died_is_the_same_message(source: Open, server: Server) -> None:
    """It died after the engine had it, and before the row was marked."""
    fill(server, 1)
    turn, first, second = Alone(), FakeEngine(held=True), FakeEngine()
    dead = await source(first, turn, **BY_MARK)
    await first.has(1)
    dead.close()  # it will never hear of it
    await source(second, turn, **BY_MARK)
    await second.has(1)
    assert first.got[0].once == second.got[0].once
    await until(lambda: states(server) == [1])
    first.open[0].set_result(Reply("accepted"))


async def test_a_row_that_is_set_back_is_a_new_message(source: Open, server: Server) -> None:
    fill(server, 1)
    engine = FakeEngine()
    await source(engine, **BY_MARK)
    await engine.has(1)
    await until(lambda: states(server) == [1])
    fill(server, 2)  # another look
    await until(lambda: states(server) == [1, 1])
    server.run("update his set state = 0 where id = 1")
    await engine.has(3)
    assert ids(engine) == [1, 2, 1]
    assert engine.got[0].once != engine.got[2].once


async def test_a_mark_without_effect_is_said_and_its_row_comes_once(source: Open, server: Server) -> None:
    fill(server, 1)
    engine = FakeEngine()
    with structlog.testing.capture_logs() as logs:
        await source(engine, **{**BY_MARK, "mark": "update his set name = name where id = :id and state = 7"})
        await until(lambda: any(line["event"] == "database.not_marked" for line in logs))
        fill(server, 2)
        await engine.has(2)
    assert ids(engine) == [1, 2]
    said = next(line["reason"] for line in logs if line["event"] == "database.not_marked")
    assert said == "it changes no row"


async def test_a_mark_that_leaves_its_row_in_the_query_does_not_bring_it_for_ever(
    source: Open, server: Server
) -> None:
    fill(server, 1)
    engine = FakeEngine()
    with structlog.testing.capture_logs() as logs:
        query = "select id from his where state = 0 order by id"
        await source(engine, query=query, mark="update his set name = 'x' where id = :id")
        await until(lambda: any(line["event"] == "database.not_marked" for line in logs))
        fill(server, 2, 3)
        await engine.has(3)
    assert ids(engine) == [1, 2, 3]


async def test_a_refused_row_has_a_mark_of_its_own_with_the_reason(source: Open, server: Server) -> None:
    fill(server, 1, 2)
    engine = FakeEngine(
        lambda message: (
            Reply("refused", id="m1", code="JL-V001", text="no visit")
            if b"1" in message.body
            else Reply("accepted")
        )
    )
    marked = "update his set state = 9, name = :jl_reason where id = :id"
    await source(engine, **BY_MARK, on_refused=marked)
    await until(lambda: states(server) == [9, 1])
    assert server.run("select name from his where id = 1") == [("no visit",)]


async def test_a_row_that_can_be_no_message_is_refused_and_holds_up_nothing(
    source: Open, server: Server
) -> None:
    fill(server, 1, 2, 3)
    server.run("update his set name = :long where id = 2", long="很" * 40)
    engine = FakeEngine()
    await source(engine, **BY_MARK, max_size="100B", on_refused="update his set state = 9 where id = :id")
    await until(lambda: states(server) == [1, 9, 1])
    assert ids(engine) == [1, 3]
    assert [(m.fault_code, m.fault) for m in engine.refused] == [("JL-E351", "larger than 100 bytes")]


async def test_several_rows_are_one_message(source: Open, server: Server) -> None:
    fill(server, 1, 2, 3)
    engine = FakeEngine()
    await source(engine, **BY_MARK, rows=2)
    await until(lambda: states(server) == [1, 1, 1])
    assert [[row["id"] for row in json.loads(m.body)] for m in engine.got] == [[1, 2], [3]]


async def test_the_message_may_lie_in_a_column(source: Open, server: Server) -> None:
    server.run("insert into his (id, name) values (1, :name)", name="MSH|^~\\&|张")
    engine = FakeEngine()
    await source(engine, **BY_KEY, body="name")
    await engine.has(1)
    assert engine.got[0].body.decode() == "MSH|^~\\&|张"


async def test_rows_that_are_written_late_are_found_within_the_overlap(source: Open, server: Server) -> None:
    fill(server, 10)
    engine = FakeEngine()
    await source(engine, **BY_KEY, overlap=5)
    await engine.has(1)
    fill(server, 7)  # its transaction began first and ended last
    await engine.has(2)
    fill(server, 20)
    await engine.has(3)
    fill(server, 3)  # too late
    fill(server, 21)
    await engine.has(4)
    assert ids(engine) == [10, 7, 20, 21]


async def test_paused_it_takes_nothing(source: Open, server: Server) -> None:
    engine = FakeEngine(held=True)
    made = await source(engine, **BY_MARK)
    fill(server, 1, 2)
    await engine.has(1)
    made.pause()
    engine.open[0].set_result(Reply("accepted"))
    fill(server, 3)
    await until(lambda: not made._poller._go.is_set())
    assert ids(engine) == [1]
    made.resume()
    await engine.has(2)
    engine.open[1].set_result(Reply("accepted"))
    await engine.has(3)
    engine.open[2].set_result(Reply("accepted"))


async def test_a_look_takes_no_more_than_it_may_and_goes_on_at_once(source: Open, server: Server) -> None:
    fill(server, *range(1, 8))
    engine = FakeEngine()
    await source(engine, **BY_MARK, max_rows=3, every="1h")
    await engine.has(7)


async def test_a_query_that_changes_something_may_not(source: Open, server: Server) -> None:
    if server.kind == "sqlite":
        pytest.skip("a file's queries are not kept from it")
    with structlog.testing.capture_logs() as logs:
        query = "insert into his (id) values (5)" + (" returning id" if server.kind == "postgresql" else "")
        await source(FakeEngine(), query=query, mark="update his set state = 1 where id = :id")
        await until(lambda: any(line.get("code") == "JL-E350" for line in logs))
    assert server.run("select id from his") == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {
                **BY_MARK,
                "mark": "update his set state = 1 where id = :nr",
                "query": "select * from his where state = 0",
            },
            "no column nr",
        ),
        ({**BY_KEY, "query": "select name, id from his where id > :after order by name"}, "order of id"),
        ({**BY_KEY, "query": "select h.*, 1 as id from his h where id > :after order by 1"}, "one name"),
    ],
)
async def test_what_does_not_fit_the_query_takes_nothing(
    source: Open, server: Server, options: dict[str, Any], says: str
) -> None:
    fill(server, 1, 2)
    server.run("update his set name = 'b' where id = 1")
    server.run("update his set name = 'a' where id = 2")
    engine = FakeEngine()
    with structlog.testing.capture_logs() as logs:
        await source(engine, **options)
        await until(lambda: any(line.get("code") == "JL-E352" and says in line["reason"] for line in logs))
    assert engine.got == []


def test_what_a_test_of_a_channel_hears(tmp_path: Path) -> None:
    made = DatabaseSource(SourceOptions(url="sqlite:///x.db", **BY_MARK), Ground("his"))
    said = [made.told(Message(b""), Reply(state)).code for state in ("accepted", "refused", "failed")]  # type: ignore[arg-type]
    assert said == ["marked", "refused", "stays"]
