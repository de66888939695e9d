"""A settlement through a whole engine: by REST in, over the parties' queues, into the ledger."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from engine_parts import running, settled
from settlement_parts import SYSTEMS, Town, town_site
from typer.testing import CliRunner

from config.errors import JingluoError
from router.commands.settlements import app
from router.engine import Engine
from router.search import Query
from tests.settlement.simulated import INFO, REQUEST, TEXT

DONE = ("fees", "fees.1", "hold", "invoice", "pay", "post", "settle")


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    made = await Town().start()
    yield made
    await made.stop()


async def jingluo(engine: Engine, *words: str, code: int = 0) -> str:
    """What `jingluo settlements` prints."""
    env = {"JINGLUO_HTTP_PORT": str(engine.web.port), "JINGLUO_SITE": str(engine.settings.site)}
    done = await asyncio.to_thread(CliRunner().invoke, app, list(words), env=env)
    if isinstance(done.exception, JingluoError):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.stdout


async def post(engine: Engine, request: dict[str, Any]) -> httpx2.Response:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{engine.web.port}", timeout=90) as client:
        return await client.post("/v1/settlements", json=request)


async def test_a_settlement_is_done_once_and_found_in_the_journal(
    tmp_path: Path, town: Town, broker: str
) -> None:
    async with running(town_site(tmp_path, town), broker=broker) as engine:
        answer = await post(engine, REQUEST)
        assert (answer.status_code, answer.json()["state"]) == (200, "COMPLETED"), answer.text
        again = await post(engine, REQUEST)
        assert again.json() == answer.json()
        assert sorted(town.live().items()) == [(f"S1/{key}", 1) for key in DONE]
        desk = engine.makers.desk
        assert desk is not None
        assert await desk._book.balance("transit:S1") == 0
        assert await desk._book.balance("income:his") == -3650
        await town.event.wait()
        await settled(engine)
        found = engine.store.search(Query(index={"settlement": "S1"}), 50).found
        assert {one.channel for one in found} == {"settled", *(f"calls-of-{name}" for name in SYSTEMS)}
    (event,) = town.events
    told = answer.json()
    same = {key: told[key] for key in ("number", "settlement", "state", "facts")}
    assert event == {"event": "settlement.completed", **same}


async def test_a_lost_answer_is_found_out_and_nothing_is_done_twice(tmp_path: Path, town: Town) -> None:
    town.mute["2207"] = 1
    async with running(town_site(tmp_path, town)) as engine:
        answer = await post(engine, REQUEST)
        assert answer.json()["state"] == "COMPLETED", answer.text
    assert set(town.live().values()) == {1}
    assert town.asked.count(("do", "2207")) == 1
    assert ("probe", "5203") in town.asked


async def test_a_refusal_undoes_what_was_done_in_reverse_order(tmp_path: Path, town: Town) -> None:
    town.refuses = {"post"}
    async with running(town_site(tmp_path, town)) as engine:
        answer = await post(engine, REQUEST)
        assert answer.json()["state"] == "COMPENSATED", answer.text
        desk = engine.makers.desk
        assert desk is not None
        assert await desk._book.balance("clearing:wechat") == 0
    assert town.live() == {}
    undone = [operation for direction, operation in town.asked if direction == "undo"]
    assert undone == ["2208", "refund", "2205", "2205", "release"]


async def test_what_a_process_had_begun_goes_on_in_the_next(tmp_path: Path, town: Town) -> None:
    site = town_site(tmp_path, town)
    town.open.clear()
    async with running(site, stop_within="1s") as engine:
        desk = engine.makers.desk
        assert desk is not None
        begun = await desk.begin("outpatient", REQUEST, "kiosk", 0)
        assert begun["state"] == "RUNNING"
        await town.came.wait()
    town.open.set()
    async with running(site) as engine:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{engine.web.port}", timeout=60) as client:
            for _ in range(20):
                told = (await client.get("/v1/settlements/S1")).json()
                if told["state"] == "COMPLETED":
                    break
        assert told["state"] == "COMPLETED"
    assert set(town.live().values()) == {1}


async def test_a_caller_hears_why_a_settlement_does_not_begin(tmp_path: Path, town: Town) -> None:
    async with running(town_site(tmp_path, town)) as engine:
        answer = await post(engine, {"channel": "wechat"})
        assert (answer.status_code, answer.json()["code"]) == (400, "JL-T014")
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{engine.web.port}") as client:
            unknown = await client.get("/v1/settlements/none")
        assert (unknown.status_code, unknown.json()["code"]) == (400, "JL-T012")


async def test_what_waits_for_a_person_is_listed_shown_and_decided_by_two(tmp_path: Path, town: Town) -> None:
    town.forgets = {"2207", "5203"}
    quick = "probe: {every: [100ms], lag: 200ms, give_up: 500ms}"
    site = town_site(tmp_path, town, TEXT.replace("reverse: insurance.2601", quick))
    async with running(site) as engine:
        answer = await post(engine, REQUEST)
        assert answer.json()["state"] == "SUSPENDED", answer.text
        await settled(engine)
        listed = await jingluo(engine, "list", code=1)
        assert "SUSPENDED" in listed
        assert "16.10" in listed, "the patient's money is held"
        shown = await jingluo(engine, "show", "S1")
        assert "JL-T005" in shown
        assert "insurance" in shown
        done = ("decide", "S1", "done", "--step", "settle", "--who", "100017", "-r", "seen at the centre")
        for alone in (done, (*done, "--second", "100017", "--evidence", "letter 7")):
            with pytest.raises(JingluoError, match="JL-T015"):
                await jingluo(engine, *alone)
        reply = json.dumps({"setlinfo": INFO})
        told = await jingluo(engine, *done, "--second", "100018", "--evidence", "letter 7", "--reply", reply)
        assert "100017 + 100018: done settle" in told
        desk = engine.makers.desk
        assert desk is not None
        ended = await desk.show("S1", 20)
        assert ended["state"] == "COMPLETED"
        assert "no settlements" in await jingluo(engine, "list")
        assert await desk._book.balance("transit:S1") == 0
