"""`jingluo destination` as an operator types it, beside a running engine."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from engine_parts import Sink, adt, channel, field, port, running, send, settled, write_site

from router.engine import Engine

HOLD = "    retry: {first: 100ms, then: hold}\n"


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    made = await Sink(lambda message: "AR" if field(message, "MSH", 10) == "BAD" else "AA").start()
    yield made
    await made.stop()


async def jingluo(engine: Engine, *words: str, code: int = 0) -> str:
    """What the command prints, both ways out."""
    env = {**os.environ, "JINGLUO_HTTP_PORT": str(engine.web.port), "JINGLUO_SITE": str(engine.settings.site)}
    command = [sys.executable, "-m", "router.cli", "destination", *words]
    done = await asyncio.to_thread(
        subprocess.run, command, env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


async def test_an_operator_sees_pauses_skips_resumes_and_drains(tmp_path: Path, sink: Sink) -> None:
    order = "order: {by: $PID-3.1, lanes: 1}\n"
    async with running(write_site(tmp_path, channel(sink, order, HOLD))) as engine:
        await send(port(engine), adt("BAD"), adt("GOOD"))
        async with asyncio.timeout(30):
            while not engine.board.held:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        (held,) = engine.board.held.values()
        shown = await jingluo(engine, "list")
        assert "running 运行" in shown
        assert "lane 0/1 held 挂起" in shown
        assert f"{held.id}: {held.code}" in shown
        assert "paused 暂停" in await jingluo(engine, "pause", "adt", "lis", "--reason", "moves")
        (one,) = json.loads(await jingluo(engine, "list", "--json"))
        assert (one["state"], one["reason"], one["waiting"]) == ("paused", "moves", 2)
        assert "running 运行" in await jingluo(engine, "resume", "adt", "lis")
        async with asyncio.timeout(30):
            while not engine.board.held:  # noqa: ASYNC110  # refused again
                await asyncio.sleep(0.05)
        await jingluo(engine, "skip", "adt", "lis", held.id)
        await settled(engine)
        assert "已排空" in await jingluo(engine, "drain", "adt", "lis", "--wait")
        assert "drained 已排空" in await jingluo(engine, "list")
    assert sink.ids() == ["BAD", "BAD", "GOOD"]


async def test_what_cannot_be_done_is_said_with_its_code(tmp_path: Path, sink: Sink) -> None:
    async with running(write_site(tmp_path, channel(sink))) as engine:
        assert "did you mean 'adt/lis'?" in await jingluo(engine, "pause", "adt", "lsi", code=1)
        assert "JL-D911" in await jingluo(engine, "skip", "adt", "lis", "0123", code=1)
    assert "JL-J008" in await jingluo(engine, "list", code=1)
