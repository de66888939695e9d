"""Alerts of a running engine: opened once, closed once, over restarts and several processes, and sent on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from engine_parts import Sink, adt, channel, port, running, send, settled, write_site

from router.alerts import lookout
from router.clock import now_ms as wall_ms
from router.engine import Engine

SILENT = "alert: {silent: 15m}\n"


class Clock:
    """The wall's, and as far ahead as a test has gone."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def __call__(self) -> int:
        return wall_ms() + self.ahead_ms

    def go(self, minutes: float) -> None:
        self.ahead_ms += int(minutes * 60_000)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookout, "EVERY_S", 0.05)


DUTY = (
    "channel: duty\nfrom: {alerts: {}}\nformat: json\n"
    "to: {phone: {send: {file: {folder: out, name: '{id}.json'}}}}\n"
)


async def until(holds: Callable[[], object], within_s: float = 20) -> None:
    async with asyncio.timeout(within_s):
        while True:
            if holds():
                return
            await asyncio.sleep(0.02)  # nobody tells a test of what was found


def told(site: Path) -> list[tuple[str, str, str, str]]:
    """What was sent on, in the order of its time."""
    files = sorted((site / "out").glob("*.json"), key=lambda file: file.stat().st_mtime_ns)
    said = [json.loads(file.read_bytes()) for file in files]
    return [(one["event"], one["what"], one["channel"], one["destination"]) for one in said]


def is_open(engine: Engine) -> set[str]:
    return {str(name) for name in engine.alerts.open}


async def test_a_silence_is_told_once_and_its_end_at_the_next_message(
    tmp_path: Path, sink: Sink, broker: str
) -> None:
    site = write_site(tmp_path, channel(sink, SILENT) | {"duty": DUTY})
    clock = Clock()
    async with running(site, clock, broker=broker) as engine:
        await send(port(engine), adt("A1"))
        await settled(engine)
        clock.go(14)
        await asyncio.sleep(0.3)
        assert not engine.alerts.open
        clock.go(2)
        await until(lambda: told(site))
        assert is_open(engine) == {"silent adt"}
        clock.go(60)
        await send(port(engine), adt("A2"))
        await until(lambda: len(told(site)) == 2)
        assert not engine.alerts.open
    assert told(site) == [("opened", "silent", "adt", ""), ("closed", "silent", "adt", "")]
