"""`collect` where the process ends in the midst of it: nothing is lost, and a group that comes again is the same."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections import defaultdict
from pathlib import Path
from typing import Any

import httpx2
import pytest
from amqp_proxy import way_through
from collecting_parts import came, charge, post, site, until, until_came
from engine_parts import running, settled
from process_parts import Process, free_port

from router import collector
from router.board import Mode
from router.gathering import Gathering
from router.groups import Groups
from router.handling import Handling
from router.search import Query


def stuck_at(step: str, patched: pytest.MonkeyPatch, reached: asyncio.Event) -> None:
    """Nothing happens any more from there on."""

    async def never(self: Any, *given: Any) -> None:
        reached.set()
        await asyncio.Event().wait()

    real = Handling.settle

    def nothing(self: Handling, *given: Any) -> None:
        if self.channel.name == "orders":
            return real(self, *given)
        return reached.set()

    if step == "nothing left":
        patched.setattr(Handling, "settle", nothing)
    else:
        patched.setattr(*(Gathering, "hand_over") if step == "formed" else (Groups, "end"), never)


@pytest.mark.parametrize("step", ["formed", "handed over", "nothing left"])
async def test_a_group_that_was_formed_stays_as_it_was(
    tmp_path: Path, broker: str, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The process ends after it was said what is in it; after it was handed over; before any of it left the queue."""
    place = site(tmp_path, "{by: $.visit, count: 3, within: 1s}")
    reached = asyncio.Event()
    with monkeypatch.context() as patched:
        stuck_at(step, patched, reached)
        async with running(place, broker=broker, stop_within="1s") as engine:
            await post(engine, charge(0), charge(1), charge(2))
            await reached.wait()
            await post(engine, charge(3), charge(4))
    async with running(place, broker=broker) as engine:
        await until(lambda: sorted(map(tuple, came(tmp_path))) == [(0, 1, 2), (3, 4)])
        await settled(engine)
        whole = engine.store.search(Query(channel="orders")).found
        assert len(whole) == 2, "handed over twice it is one message"
        states = [d.state for one in engine.store.search(Query(channel="adt")).found for d in one.deliveries]
        assert states == ["sent"] * 5


async def test_a_group_that_lost_a_message_by_somebodys_hand_is_formed_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = site(tmp_path, "{by: $.visit, count: 3, within: 1s}")
    reached = asyncio.Event()
    with monkeypatch.context() as patched:
        stuck_at("formed", patched, reached)
        async with running(place, broker="embedded", stop_within="1s") as engine:
            await post(engine, charge(0), charge(1), charge(2))
            await reached.wait()
            await post(engine, charge(3))
    with contextlib.closing(sqlite3.connect(place / "var" / "broker.db")) as file, file:
        mine = "SELECT min(key) FROM item WHERE key >> 40 = (SELECT no FROM queue WHERE name = 'jl.adt.lis.0of1')"
        assert file.execute(f"DELETE FROM item WHERE key = ({mine})").rowcount
    monkeypatch.setattr(collector, "BROKEN_S", 0.2)
    async with running(place, broker="embedded"):
        await until_came(tmp_path, [1, 2], [3])


async def _post_until_cut(port: int, numbers: Any, said_yes: set[int]) -> None:
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=5) as client:
            for number in numbers:
                answer = await client.post("/v1/charges", json=charge(number, f"V{number % 7}"))
                if answer.status_code == 202:
                    said_yes.add(number)
    except httpx2.TransportError:
        pass


def groups_of(folder: Path) -> dict[str, list[int]]:
    files = (folder / "out").glob("*") if (folder / "out").is_dir() else ()
    return {file.name: [one["number"] for one in json.loads(file.read_text())] for file in files}


async def test_kill_9_loses_nothing_and_puts_nothing_into_two_groups(tmp_path: Path, broker: str) -> None:
    http = free_port()
    place = site(tmp_path, "{by: $.visit, count: 5, within: 2s}")
    said_yes: set[int] = set()
    numbers = iter(range(100_000))
    engine = Process(place, broker, http_port=str(http))
    async with asyncio.timeout(60):
        while len(said_yes) < 60:
            senders = [_post_until_cut(http, (next(numbers) for _ in range(5)), said_yes) for _ in range(4)]
            await asyncio.gather(*senders)
            await asyncio.sleep(0.01)
    engine.kill()
    last = Process(place, broker, http_port=str(http))
    await until(lambda: said_yes <= {n for group in groups_of(tmp_path).values() for n in group}, 60)
    assert await asyncio.to_thread(last.terminate) == 0
    groups = groups_of(tmp_path)
    within = defaultdict(set)
    for name, group in groups.items():
        assert group == sorted(group), "in the order in which they were accepted"
        assert len({number % 7 for number in group}) == 1
        for number in group:
            within[number].add(name)
    assert all(len(names) == 1 for names in within.values())
    assert len(groups) < len(within), "nothing was gathered: the test proves nothing"


@pytest.mark.rabbitmq
async def test_another_process_takes_over_and_halves_no_group(tmp_path: Path, amqp_vhost: str) -> None:
    place = site(tmp_path, "{by: $.visit, count: 4}")
    one = Process(place, amqp_vhost, roles="delivery", var=str(tmp_path / "one"), http_port=str(free_port()))
    async with running(
        place, broker=amqp_vhost, roles="intake,journal", var=str(tmp_path / "front")
    ) as front:
        await post(front, *map(charge, range(6)))
        await until_came(tmp_path, [0, 1, 2, 3])
        async with running(place, broker=amqp_vhost, roles="delivery", var=str(tmp_path / "two")):
            await post(front, charge(6))
            one.kill()
            await post(front, *map(charge, range(7, 12)))
            await until_came(tmp_path, [0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11])
            await settled(front)


@pytest.mark.rabbitmq
async def test_what_waits_for_its_group_stays_in_the_queue_over_a_lost_connection(
    tmp_path: Path, amqp_vhost: str
) -> None:
    url, proxy = await way_through(amqp_vhost)
    async with running(site(tmp_path, "{count: 3}"), broker=url) as engine:
        (outlet,) = (one for one in engine.outlets if one.way == ("adt", "lis"))

        async def has_two() -> None:
            async with asyncio.timeout(30):
                while not engine.broker.open or await held() != 2:  # noqa: ASYNC110  # nobody tells a test
                    await asyncio.sleep(0.05)

        async def held() -> int:
            (depth,) = (await engine.broker.depth(outlet.queues)).values()
            return depth.held

        await post(engine, charge(0), charge(1))
        await has_two()
        proxy.cut()
        await until(lambda: not engine.broker.open)
        await has_two()
        for state in ("paused", "running"):  # whoever has them in memory alone has them no more
            await engine.board.say(Mode("adt", "lis", state, 0))
        await post(engine, charge(2))
        await until_came(tmp_path, [0, 1, 2])
        await settled(engine)
    await proxy.stop()
