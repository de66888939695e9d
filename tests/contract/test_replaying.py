"""Replay jobs of a running engine: in order, over a restart, each message once; on both brokers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pytest
from engine_parts import Sink, adt, channel, port, running, send, settled, write_site
from process_parts import Process, connect, free_port

from router.api import TOKEN_FILE
from router.engine import Engine
from router.search import Query

ORDER = "order: {by: $PID-3.1, lanes: 2}\n"
PATIENT_S = 90  # a machine may have other work
IDS = [f"M{n}" for n in range(40)]


async def ask(engine: Engine, method: str, path: str, body: Any = None) -> Any:
    token = (engine.settings.var / TOKEN_FILE).read_text()
    async with httpx2.AsyncClient(
        base_url=f"http://127.0.0.1:{engine.web.port}", headers={"authorization": f"Bearer {token}"}
    ) as client:
        answer = await client.request(method, "/api/replay/jobs" + path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()


async def until_ended(engine: Engine, id: str) -> dict[str, Any]:
    job: dict[str, Any] = {}
    try:
        async with asyncio.timeout(PATIENT_S):
            while (job := await ask(engine, "GET", f"/{id}"))["state"] == "running":  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"the job still runs after {PATIENT_S} s: {job}")
    return job


async def test_dead_letters_of_a_cause_are_replayed_in_their_order_over_a_restart(
    tmp_path: Path, broker: str
) -> None:
    refusing = {"now": True}
    sink = await Sink(lambda message: "AR" if refusing["now"] else "AA").start()
    # So slow that the restart comes in the midst of it.
    settings = "replay: {rate: 20}\n"
    site = write_site(tmp_path, channel(sink, ORDER), settings=settings)
    async with running(site, broker=broker) as engine:
        await send(port(engine), *[adt(id, patient=f"P{n % 3}") for n, id in enumerate(IDS)])
        await settled(engine)
        assert await engine.journal.caught_up()
        (group,) = engine.store.dead().groups
        assert (group.count, group.destination) == (40, "lis")
        refusing["now"] = False
        sink.got.clear()
        job = await ask(engine, "POST", "", {"cause": group.key})
        assert (job["total"], job["to"], sink.got) == (40, {"adt/lis": 40}, [])
        await ask(engine, "POST", f"/{job['id']}/start")
        await sink.wait_for(5)
    async with running(site, broker=broker) as engine:
        (found,) = await ask(engine, "GET", "")
        assert found["state"] == "interrupted"
        assert 5 <= found["made"] < 40
        await ask(engine, "POST", f"/{job['id']}/start")
        done = await until_ended(engine, job["id"])
        assert (done["state"], done["made"], done["failed"]) == ("done", 40, 0)
        await sink.wait_for(40)
        await settled(engine)
        assert await engine.journal.caught_up()
        children = engine.store.search(Query(state="sent"), 100).found
        assert len({child.parent for child in children}) == len(children) == 40
    assert sorted(sink.ids()) == sorted(IDS), "each once"
    for patient in range(3):
        mine = [id for id in sink.ids() if int(id[1:]) % 3 == patient]
        assert mine == [id for n, id in enumerate(IDS) if n % 3 == patient], "in the order they came in"
    await sink.stop()


async def test_a_job_is_cancelled_and_says_what_was_done(tmp_path: Path, broker: str, sink: Sink) -> None:
    site = write_site(tmp_path, channel(sink), settings="replay: {rate: 10}\n")
    async with running(site, broker=broker) as engine:
        await send(port(engine), *[adt(id) for id in IDS])
        await settled(engine)
        job = await ask(engine, "POST", "", {"query": {"channel": "adt"}})
        await ask(engine, "POST", f"/{job['id']}/start")
        await sink.wait_for(42)
        ended = await ask(engine, "POST", f"/{job['id']}/cancel")
        assert ended["state"] == "cancelled"
        assert 2 <= ended["made"] < 40
        await sink.wait_for(40 + ended["made"])
        await settled(engine)
        assert len(sink.got) == 40 + ended["made"]


async def test_kill_9_in_the_midst_of_a_job_makes_no_message_twice(tmp_path: Path, broker: str) -> None:
    refusing = {"now": True}
    sink = await Sink(lambda message: "AR" if refusing["now"] else "AA").start()
    site = write_site(tmp_path, channel(sink), settings="replay: {rate: 30}\n")
    ids = [f"K{n}" for n in range(90)]
    async with running(site, broker=broker) as engine:
        await send(port(engine), *[adt(id) for id in ids])
        await settled(engine)
        assert await engine.journal.caught_up()
        (group,) = engine.store.dead().groups
    refusing["now"] = False
    sink.got.clear()
    http_port = free_port()
    process = Process(site, broker, http_port=str(http_port))
    try:
        _, writer = await connect(http_port)
        writer.close()
        async with asyncio.timeout(PATIENT_S):  # until the engine takes the job
            while (job := await started(http_port, engine.settings.var, group.key)) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        await sink.wait_for(
            60, PATIENT_S
        )  # beyond the first steps that were announced, in the midst of others
    finally:
        process.kill()
    async with running(site, broker=broker) as engine:
        (found,) = await ask(engine, "GET", "")
        assert (found["id"], found["state"], found["made"]) == (job, "interrupted", 50)
        await ask(engine, "POST", f"/{job}/start")
        done = await until_ended(engine, job)
        assert (done["state"], done["made"], done["failed"]) == ("done", 90, 0)
        async with asyncio.timeout(PATIENT_S):  # until all were delivered
            while set(sink.ids()) != set(ids):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await settled(engine)
        assert await engine.journal.caught_up()
        made = [found.parent for found in engine.store.search(Query(), 1000).found if found.parent]
        assert len(set(made)) == len(made) == 90
    await sink.stop()


async def started(http_port: int, var: Path, cause: str) -> str | None:
    """The job's id, once the engine is up."""
    try:
        headers = {"authorization": f"Bearer {(var / TOKEN_FILE).read_text()}"}
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{http_port}", headers=headers) as client:
            planned = await client.post("/api/replay/jobs", json={"cause": cause})
            if planned.status_code != 200:
                return None
            job: str = planned.json()["id"]
            assert (await client.post(f"/api/replay/jobs/{job}/start")).status_code == 200
            return job
    except (OSError, httpx2.HTTPError):
        return None
