"""`collect`: messages become one of another channel; on both brokers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx2
from engine_parts import running, settled, write_site

from router.engine import Engine
from router.search import Query

FRONT = """\
channel: charges
from: {http: {path: /v1/charges}}
format: json
index: {visit: $.visit}
to:
  upload: {collect: COLLECT, send: {channel: uploads}}
"""
BACK = """\
channel: uploads
from: {channel: {}}
format: json
to:
  payer: {send: {file: {folder: out}}}
"""


def site(folder: Path, collect: str, front: str = FRONT, back: str = BACK) -> Path:
    return write_site(folder, {"charges": front.replace("COLLECT", collect), "uploads": back})


async def post(engine: Engine, *charges: dict[str, Any]) -> None:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{engine.web.port}") as client:
        for charge in charges:
            assert (await client.post("/v1/charges", json=charge)).status_code == 202


def charge(number: int, visit: str = "V1") -> dict[str, Any]:
    return {"visit": visit, "number": number}


def came(folder: Path) -> list[list[int]]:
    """The numbers in each upload, by id: so by their first messages."""
    files = sorted((folder / "out").glob("*")) if (folder / "out").is_dir() else []
    return [[one["number"] for one in json.loads(file.read_text())] for file in files]


async def until(folder: Path, count: int, within_s: float = 30) -> list[list[int]]:
    async with asyncio.timeout(within_s):
        while len(came(folder)) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return came(folder)


async def test_so_many_messages_become_one_and_the_journal_knows_which(tmp_path: Path, broker: str) -> None:
    async with running(site(tmp_path, "{count: 3}"), broker=broker) as engine:
        await post(engine, *map(charge, range(7)))
        assert await until(tmp_path, 2) == [[0, 1, 2], [3, 4, 5]]
        await settled(engine, "sent", 8)
        assert await engine.journal.caught_up()
        whole = engine.store.search(Query(channel="uploads")).found
        items = engine.store.search(Query(channel="charges", state="sent")).found
        waiting = engine.store.search(Query(channel="charges", state="waiting")).found
        assert (len(whole), len(items), len(waiting)) == (2, 6, 1)
        story = engine.store.show(whole[-1].id)
        assert story.headers["collect.messages"].split() == [one.id for one in items[:2:-1]]
        assert [d.reason for one in items[:2:-1] for d in one.deliveries] == [
            f"{place} of 3 in {whole[-1].id}" for place in (1, 2, 3)
        ]
