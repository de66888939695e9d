"""`jingluo run` around the engine: starts again what lost its broker in mid start, and nothing else."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from channels.loader import load_site
from config.settings import load_settings
from router.brokers.base import BrokerDown
from router.commands import run


class FakeEngine:
    """Its starts end as `ends` says, one after the other."""

    def __init__(self, ends: list[Exception | None]) -> None:
        self.ends = ends
        self.stopped = 0

    async def start(self) -> None:
        end = self.ends.pop(0)
        if end is not None:
            raise end
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)

    async def stop(self) -> None:
        self.stopped += 1


async def served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *ends: Exception | None
) -> tuple[int, list[FakeEngine]]:
    left = list(ends)
    made: list[FakeEngine] = []

    def make(*_: Any) -> FakeEngine:
        made.append(FakeEngine(left))
        return made[-1]

    monkeypatch.setattr(run, "_made", make)
    monkeypatch.setattr(run, "_AGAIN_S", 0)
    settings = load_settings(tmp_path, {})
    site = load_site(settings)
    return await run.serve(settings, site, lambda: (settings, site), ""), made


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
