"""A timer in engines: one message a time, with one process, two, and over a restart."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path

from engine_parts import running, write_site

from router.engine import Engine
from router.search import Found, Query

CHANNEL = """\
channel: adt
from: {timer: {cron: "* * * * * *", zone: Asia/Shanghai}}
format: json
index: {at: $.scheduled}
to:
  lis: {send: {file: {folder: out, name: "{id}.json"}}}
"""


async def files(folder: Path, count: int) -> list[tuple[str, str]]:
    """Scheduled time and file name, in order of time."""
    async with asyncio.timeout(30):
        while len(found := list((folder / "out").glob("*.json"))) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return sorted((json.loads(path.read_text())["scheduled"], path.name) for path in found)


def once_each(found: list[tuple[str, str]]) -> bool:
    return len({at for at, _ in found}) == len({name for _, name in found}) == len(found)


async def test_each_time_makes_one_message_over_a_restart(tmp_path: Path, broker: str) -> None:
    site = write_site(tmp_path, {"adt": CHANNEL})
    async with running(site, broker=broker):
        before = await files(tmp_path, 2)
    async with running(site, broker=broker) as engine:
        found = await files(tmp_path, len(before) + 2)
        assert once_each(found)
        assert (await filed(engine, 1))[0].state == "accepted"


async def filed(engine: Engine, count: int) -> list[Found]:
    async with asyncio.timeout(30):
        while len(found := engine.store.search(Query(), 1000).found) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return list(found)


async def test_of_two_processes_one_makes_it_and_the_other_takes_over(
    tmp_path: Path, amqp_vhost: str
) -> None:
    site = write_site(tmp_path, {"adt": CHANNEL})
    async with contextlib.AsyncExitStack() as stack:
        start = lambda roles: stack.enter_async_context(running(site, broker=amqp_vhost, roles=roles))  # noqa: E731
        await start("journal,delivery")
        await start("intake")
        async with running(site, broker=amqp_vhost, roles="intake"):
            await files(tmp_path, 2)
        # Whichever of the two had the turn, the other has it now.
        assert once_each(await files(tmp_path, 5))
