"""`jingluo run` around the engine: starts again what lost its broker in mid start, and nothing else."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import structlog

from channels.loader import load_site
from config.settings import load_settings
from router.brokers.base import BrokerDown
from router.commands import run
from router.plan import Plan


def terminate() -> None:
    asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)


class FakeReload:
    """An apply that is at work when the command is told to stop, and ends when the engine has been stopped."""

    def __init__(self) -> None:
        self.stopped = asyncio.Event()
        self.ended = ""

    async def apply(self) -> Plan:
        terminate()
        try:
            await self.stopped.wait()
            self.ended = "whole"
        except asyncio.CancelledError:
            self.ended = "cut short"
            raise
        return Plan(live="a", new="b")


class FakeEngine:
    """Its starts end as `ends` says, one after the other."""

    def __init__(self, ends: list[Exception | None], watched: bool = False) -> None:
        self.ends = ends
        self.stopped = 0
        self.reload = FakeReload()
        self.watched = watched

    async def start(self) -> None:
        end = self.ends.pop(0)
        if end is not None:
            raise end
        if not self.watched:
            terminate()

    async def stop(self) -> None:
        self.stopped += 1
        self.reload.stopped.set()
        await asyncio.sleep(0)


async def served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *ends: Exception | None, watch: str = ""
) -> tuple[int, list[FakeEngine]]:
    left = list(ends)
    made: list[FakeEngine] = []

    def make(*_: Any) -> FakeEngine:
        made.append(FakeEngine(left, bool(watch)))
        return made[-1]

    monkeypatch.setattr(run, "_made", make)
    monkeypatch.setattr(run, "_AGAIN_S", 0)
    settings = load_settings(tmp_path, {})
    site = load_site(settings)
    return await run.serve(settings, site, lambda: (settings, site), watch), made


async def test_a_broker_that_is_lost_in_mid_start_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = BrokerDown("JL-B007", "the connection to RabbitMQ was lost")
    code, made = await served(tmp_path, monkeypatch, lost, lost, None)
    assert code == 0
    assert [engine.stopped for engine in made] == [1, 1, 1], "each is stopped before the next begins"


@pytest.mark.parametrize(
    "trouble", [BrokerDown("JL-B005", "another process uses it"), OSError("port in use")]
)
async def test_trouble_that_does_not_go_by_itself_ends_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    code, made = await served(tmp_path, monkeypatch, trouble)
    assert (code, len(made), made[0].stopped) == (1, 1, 1)


async def test_a_stop_cuts_no_change_of_the_watcher_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine's stop waits for it: what its old outlets are sending is finished."""
    pytest.importorskip("watchfiles")
    (tmp_path / "systems.yaml").write_text("systems: {}")
    async with asyncio.timeout(30):
        code, (engine,) = await served(tmp_path, monkeypatch, None, watch="on")
    assert (code, engine.stopped, engine.reload.ended) == (0, 1, "whole")


async def test_what_nobody_caught_is_logged_without_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def bug(body: str) -> None:
        raise ValueError(body)

    async def start(engine: FakeEngine) -> None:
        asyncio.get_running_loop().call_soon(bug, "王小明")
        asyncio.get_running_loop().call_soon(terminate)

    monkeypatch.setattr(FakeEngine, "start", start)
    with structlog.testing.capture_logs() as logged:
        code, _ = await served(tmp_path, monkeypatch)
    assert code == 0
    (said,) = [line for line in logged if line["event"] == "loop.bug"]
    assert isinstance(said["exc_info"], ValueError)
    assert said["what"].startswith("Exception in callback")
    assert "王小明" not in said["what"] + caplog.text
