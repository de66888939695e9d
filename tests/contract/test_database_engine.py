"""Engines that take rows from a database: each once, whatever dies meanwhile; and put them into another."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from database_parts import Server, postgresql_schema
from engine_parts import running, write_site
from process_parts import WAIT_S, Process

from router.search import Found, Query
from router.store import Store, StoreError

pytestmark = pytest.mark.postgresql

BY_MARK = """\
channel: adt
from:
  database:
    url: "{url}"
    query: select id, name, amount from lis_out where state = 0 order by id
    mark: update lis_out set state = state + 1 where id = :id and state = 0
    on_refused: update lis_out set state = 9, why = :jl_reason where id = :id
    every: 50ms
    max_rows: 20
format: json
index: {{patient: $.name}}
{more}to:
  lis: {{send: {{database: {{url: "{url}", connections: 2, statement: "{insert}"}}}}}}
"""
BY_KEY = BY_MARK.replace("where state = 0 order", "where id > :after order").replace(
    """    mark: update lis_out set state = state + 1 where id = :id and state = 0
    on_refused: update lis_out set state = 9, why = :jl_reason where id = :id
""",
    "    key: id\n    start: 0\n",
)
INSERT = "insert into lis_in (msg, id, name, amount) values (:jl_id, :id, :name, :amount)"
TABLES = """
create table lis_out (id integer primary key, name text, amount numeric(30, 4), state integer default 0, why text);
create table lis_in (number serial, msg text, id integer, name text, amount numeric(30, 4));
"""


@pytest.fixture
def server(postgresql_url: str) -> Iterator[Server]:
    for made in postgresql_schema(postgresql_url):
        made.run(TABLES)
        yield made


def site(folder: Path, server: Server, text: str = BY_MARK, more: str = "") -> Path:
    folder.joinpath("secrets.yaml").write_text(f"database: {server.engine.url.password}\n")
    url = server.url.replace(f":{server.engine.url.password}@", ":secret://database@")
    settings = "secrets: {file: secrets.yaml}\n"
    return write_site(folder, {"adt": text.format(url=url, insert=INSERT, more=more)}, settings=settings)


def fill(server: Server, first: int, last: int) -> None:
    numbers = "generate_series(cast(:first as integer), cast(:last as integer)) n"
    server.run(
        f"insert into lis_out (id, name, amount) select n, '测试' || n, n + 0.5 from {numbers}",
        first=first,
        last=last,
    )


def came(server: Server) -> list[int]:
    return [number for (number,) in server.run("select id from lis_in order by number")]


async def arrived(server: Server, count: int) -> list[int]:
    async with asyncio.timeout(WAIT_S):
        while len(found := await asyncio.to_thread(came, server)) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return found


async def marked(server: Server, count: int) -> None:
    ask = "select count(*) from lis_out where state > 0"
    async with asyncio.timeout(WAIT_S):
        while (await asyncio.to_thread(server.run, ask))[0][0] < count:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def filed(store: Store, count: int) -> list[Found]:
    async with asyncio.timeout(WAIT_S):
        while True:
            with contextlib.suppress(StoreError):  # no journal yet
                if len(found := store.search(Query(), 1000).found) >= count:
                    return list(found)
            await asyncio.sleep(0.05)


async def test_rows_go_from_one_table_to_another(tmp_path: Path, server: Server, broker: str) -> None:
    fill(server, 1, 30)
    async with running(site(tmp_path, server, more="when: {$.id: {ge: 1}}\n"), broker=broker) as engine:
        assert sorted(await arrived(server, 30)) == list(range(1, 31))
        await marked(server, 30)
        found = await filed(engine.store, 30)
    assert {one.state for one in found} == {"accepted"}
    assert server.run("select name, amount::text from lis_in where id = 7") == [("测试7", "7.5000")]
    assert server.run("select distinct state from lis_out") == [(1,)]
    assert len({msg for (msg,) in server.run("select msg from lis_in")}) == 30


async def test_a_row_that_the_channel_refuses_is_marked_with_the_reason(
    tmp_path: Path, server: Server
) -> None:
    fill(server, 1, 2)
    schemas = tmp_path / "schemas"
    schemas.mkdir()
    schema = {"type": "object", "properties": {"id": {"maximum": 1}}}
    (schemas / "row.json").write_text(json.dumps(schema))
    async with running(site(tmp_path, server, more="validate: row.json\n")):
        await marked(server, 2)
    ((ok, _), (refused, why)) = server.run("select state, why from lis_out order by id")
    assert (ok, refused) == (1, 9)
    assert "id" in why


async def test_kill_9_leaves_no_row_out_and_marks_each_once(
    tmp_path: Path, server: Server, broker: str
) -> None:
    await killed_and_started(tmp_path, server, broker, BY_MARK)
    await marked(server, 120)
    assert server.run("select distinct state from lis_out") == [(1,)]


async def test_kill_9_leaves_no_row_out_by_key(tmp_path: Path, server: Server) -> None:
    await killed_and_started(tmp_path, server, "embedded", BY_KEY)


async def killed_and_started(folder: Path, server: Server, broker: str, text: str) -> None:
    place = site(folder, server, text)
    last = 0
    for _ in range(2):
        fill(server, last + 1, last + 60)
        last += 60
        engine = Process(place, broker)
        await arrived(server, last - 50)
        engine.kill()
    engine = Process(place, broker)
    async with asyncio.timeout(WAIT_S):
        while set(await asyncio.to_thread(came, server)) < set(range(1, last + 1)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    # A delivery may run twice after a kill, as any does; it is the same message then.
    assert server.run("select id from lis_in group by id having count(distinct msg) > 1") == []
    if text is BY_MARK:
        await marked(server, last)
    assert await asyncio.to_thread(engine.terminate) == 0


async def test_of_two_processes_one_reads_and_the_other_takes_over(
    tmp_path: Path, server: Server, amqp_vhost: str
) -> None:
    place = site(tmp_path, server)
    async with contextlib.AsyncExitStack() as stack:
        start = lambda roles: stack.enter_async_context(running(place, broker=amqp_vhost, roles=roles))  # noqa: E731
        await start("journal,delivery")
        await start("intake")
        async with running(place, broker=amqp_vhost, roles="intake"):
            fill(server, 1, 40)
            await arrived(server, 40)
        fill(server, 41, 60)
        found = await arrived(server, 60)
        await marked(server, 60)
    assert sorted(found) == list(range(1, 61))
    assert server.run("select distinct state from lis_out") == [(1,)]


async def test_a_row_that_is_large_travels_as_a_file_of_the_engine(tmp_path: Path, server: Server) -> None:
    server.run("insert into lis_out (id, name) values (1, repeat('测', 700000))")
    text = BY_MARK.partition("to:\n")[0] + "to:\n  lis: {{send: {{file: {{folder: out}}}}}}\n"
    async with running(site(tmp_path, server, text)) as engine:
        await marked(server, 1)
        (one,) = await filed(engine.store, 1)
        out = tmp_path / "out" / one.id
        async with asyncio.timeout(WAIT_S):
            while not out.exists():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    assert json.loads(out.read_text())["name"] == "测" * 700_000


async def test_where_it_begins_may_be_changed(tmp_path: Path, server: Server) -> None:
    fill(server, 1, 3)
    async with running(site(tmp_path, server, BY_KEY)):
        await arrived(server, 3)
    async with running(site(tmp_path, server, BY_KEY)):
        fill(server, 4, 4)
        assert sorted(await arrived(server, 4)) == [1, 2, 3, 4]
    async with running(site(tmp_path, server, BY_KEY.replace("start: 0", "start: 2"))):
        assert sorted((await arrived(server, 6))[4:]) == [3, 4]
