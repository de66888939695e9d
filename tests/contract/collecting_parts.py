"""A channel that gathers charges, one that takes the gathered, and what comes of it as files."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
from engine_parts import write_site

from router.engine import Engine

FRONT = """\
channel: adt
from: {http: {port: PORT, path: /v1/charges}}
format: json
index: {visit: $.visit}
MOREto:
  lis: {collect: COLLECT, send: {channel: orders}BRANCH}
"""
BACK = """\
channel: orders
from: {channel: {}}
format: json
MOREto:
  lis: {send: {file: {folder: out}}}
"""


def site(folder: Path, collect: str, more: str = "", branch: str = "", back: str = "", port: int = 0) -> Path:
    front = FRONT.replace("COLLECT", collect).replace("MORE", more).replace("BRANCH", branch)
    front = front.replace("port: PORT, ", f"port: {port}, " if port else "")
    return write_site(folder, {"adt": front, "orders": BACK.replace("MORE", back)})


def charge(number: int, visit: str = "V1") -> dict[str, Any]:
    return {"visit": visit, "number": number}


async def post(engine: Engine, *charges: dict[str, Any]) -> None:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{engine.web.port}") as client:
        for one in charges:
            assert (await client.post("/v1/charges", json=one)).status_code == 202


def came(folder: Path) -> list[list[int]]:
    """The numbers in each of the gathered, by id: so by their first messages."""
    files = sorted((folder / "out").glob("*")) if (folder / "out").is_dir() else []
    return [[one["number"] for one in json.loads(file.read_text())] for file in files]


async def until(said: Callable[[], Any], within_s: float = 30) -> None:
    async with asyncio.timeout(within_s):
        while not said():  # noqa: ASYNC110  # nobody tells a test
            await asyncio.sleep(0.05)


async def until_came(folder: Path, *groups: list[int]) -> None:
    """These and no others, whatever their order."""
    await until(lambda: len(came(folder)) >= len(groups))
    assert sorted(came(folder)) == sorted(groups)
