"""Doors that change under load, of every kind: a request is never turned away, a file never taken twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import httpx2
import pytest
from engine_parts import running, write_site

from router.engine import Engine

TO_FILES = "to:\n  out: {send: {file: {folder: out}}}\n"


def write(site: Path, source: str) -> None:
    (site / "channels" / "c.yaml").write_text(f"channel: c\nfrom: {source}\nformat: json\n{TO_FILES}")


def bodies(site: Path) -> Counter[str]:
    return Counter(path.read_text() for path in (site / "out").glob("[!.]*"))


async def applied(engine: Engine) -> None:
    plan = await engine.reload.apply()
    assert plan.applied, plan.findings


async def until(site: Path, count: int) -> None:
    async with asyncio.timeout(60):
        while sum(bodies(site).values()) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("old_path", ["/v1/new", "/v1/old"])
async def test_a_route_that_changes_answers_every_request(tmp_path: Path, old_path: str) -> None:
    """In its place, or beside another that goes."""
    site = write_site(tmp_path, {})
    write(site, f"{{http: {{path: {old_path}}}}}")
    async with running(site) as engine:
        statuses: Counter[int] = Counter()
        url, going = f"http://127.0.0.1:{engine.web.port}", True

        async def send(lane: int) -> None:
            number = 0
            async with httpx2.AsyncClient() as client:
                while going:
                    body = f'{{"n": "{lane}-{number}"}}'
                    answer = await client.post(
                        url + old_path, content=body, headers={"content-type": "application/json"}
                    )
                    statuses[answer.status_code] += 1
                    number += answer.status_code == 202

        senders = [asyncio.create_task(send(lane)) for lane in range(3)]
        for requests in (50, 60, 70):
            before = statuses[202]
            async with asyncio.timeout(60):
                while statuses[202] < before + 20:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            write(site, f"{{http: {{path: {old_path}, requests: {requests}}}}}")
            await applied(engine)
        going = False
        await asyncio.gather(*senders)
        assert set(statuses) == {202}
        await until(site, statuses[202])
        if old_path == "/v1/old":
            write(site, "{http: {path: /v1/new}}")
            await applied(engine)
            async with httpx2.AsyncClient() as client:
                assert (await client.post(f"{url}/v1/old", content="{}")).status_code == 404
                assert (await client.post(f"{url}/v1/new", content="{}")).status_code == 202
    assert set(bodies(site).values()) == {1}


async def test_a_folder_that_is_watched_otherwise_loses_no_file_and_doubles_none(tmp_path: Path) -> None:
    site = write_site(tmp_path, {})
    (site / "in").mkdir()
    write(site, "{file: {folder: in, poll: 50ms, settle: 10ms}}")
    count = 0
    async with running(site) as engine:
        for batch in (3, 4, 5, 6):
            for _ in range(20):
                (site / "in" / f"{count}.part").write_text(f'{{"n": {count}}}')
                (site / "in" / f"{count}.part").rename(site / "in" / f"{count}.json")
                count += 1
            await until(site, count - 15)
            write(site, f"{{file: {{folder: in, poll: 50ms, settle: 10ms, batch: {batch}}}}}")
            await applied(engine)
        await until(site, count)
    assert set(bodies(site).values()) == {1}
    assert len(list((site / "in" / "done").iterdir())) == count
