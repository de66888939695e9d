"""Alerts of a running engine: opened once, closed once, over restarts and several processes, and sent on."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from engine_parts import Sink, adt, channel, port, running, send, settled, write_site
from typer.testing import CliRunner

from router import ids
from router.alerts import lookout
from router.alerts.teller import Teller
from router.cli import app
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
    # Ids do not go back by less than an hour: no test's are of a time that another test went to.
    monkeypatch.setattr(ids, "_ms", 0)


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


async def until_over(clock: Clock, holds: Callable[[], object]) -> None:
    """While time goes on: an end is believed after a moment."""

    def looked() -> object:
        clock.go(0.05)
        return holds()

    await until(looked)


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


@pytest.mark.rabbitmq
async def test_a_receiver_that_hangs_makes_one_alert_whatever_comes_and_how_often_it_is_tried(
    tmp_path: Path, sink: Sink, amqp_vhost: str
) -> None:
    sink.answer = lambda message: None
    retry = "    retry: {first: 100ms, max: 200ms}\n"
    site = write_site(tmp_path, channel(sink, "alert: {oldest: 2m}\n", retry) | {"duty": DUTY})
    clock = Clock()
    async with running(site, clock, broker=amqp_vhost) as engine:
        await send(port(engine), adt("A1"), adt("A2"))
        await sink.wait_for(2)
        assert not engine.alerts.open
        clock.go(3)
        await until(lambda: told(site))
        await send(port(engine), adt("A3"))
        await sink.wait_for(4)  # it was tried again meanwhile
        assert is_open(engine) == {"oldest adt/lis"}
        sink.answer = lambda message: "AA"
        await until_over(clock, lambda: len(told(site)) == 2)
        await settled(engine)
        assert not engine.alerts.open
    assert told(site) == [("opened", "oldest", "adt", "lis"), ("closed", "oldest", "adt", "lis")]


async def test_a_restart_opens_nothing_twice_and_closes_what_ended_meanwhile(
    tmp_path: Path, sink: Sink, other: Sink, broker: str
) -> None:
    sink.answer = lambda message: "AE"
    retry = "    retry: {first: 100ms, max: 200ms}\n"
    texts = channel(sink, "alert: {oldest: 2m}\n", retry) | channel(other, SILENT, name="orders")
    site = write_site(tmp_path, texts | {"duty": DUTY})
    clock = Clock()
    async with running(site, clock, broker=broker) as engine:
        await send(port(engine), adt("A1"))
        await send(port(engine, "orders"), adt("O1"))
        await settled(engine, "accepted", 2)
        clock.go(20)
        await until(lambda: len(told(site)) == 2)
        before = {alert.id for alert in engine.alerts.open.values()}
    async with running(site, clock, broker=broker) as engine:
        assert {alert.id for alert in engine.alerts.open.values()} == before
        await sink.wait_for(len(sink.got) + 1)
        assert is_open(engine) == {"oldest adt/lis", "silent orders"}
    sink.answer = lambda message: "AA"
    async with running(site, clock, broker=broker) as engine:
        await send(port(engine, "orders"), adt("O2"))
        await until_over(clock, lambda: len(told(site)) == 4)
        assert not engine.alerts.open
    assert sorted(told(site)) == sorted(
        (event, *name)
        for event in ("opened", "closed")
        for name in (("oldest", "adt", "lis"), ("silent", "orders", ""))
    )


async def test_what_was_opened_in_the_moment_of_a_crash_is_told_at_the_next_start(
    tmp_path: Path, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = write_site(tmp_path, channel(sink, SILENT) | {"duty": DUTY})
    clock = Clock()
    async with running(site, clock) as engine:
        with monkeypatch.context() as crash:
            crash.setattr(Teller, "tell", lambda self, book, channels: asyncio.sleep(0))
            await send(port(engine), adt("A1"))
            await settled(engine)
            clock.go(16)
            await until(lambda: engine.alerts.untold)
    assert told(site) == []
    async with running(site, clock) as engine:
        await until(lambda: told(site))
        await until(lambda: not engine.alerts.untold)
    assert told(site) == [("opened", "silent", "adt", "")]


@pytest.mark.rabbitmq
async def test_of_two_processes_one_keeps_watch_and_the_next_goes_on_with_it(
    tmp_path: Path, sink: Sink, amqp_vhost: str
) -> None:
    site = write_site(tmp_path, channel(sink, SILENT) | {"duty": DUTY})
    clock = Clock()
    async with contextlib.AsyncExitStack() as later:
        async with running(site, clock, broker=amqp_vhost) as one:
            await until(lambda: watches(one))
            two = await later.enter_async_context(running(site, clock, broker=amqp_vhost))
            await send(port(two), adt("A1"))
            await settled(two)
            clock.go(16)
            await until(lambda: one.alerts.open and two.alerts.open and told(site))
            assert [*one.alerts.open.values()] == [*two.alerts.open.values()]
            assert not watches(two)
        await until(lambda: watches(two))
        assert is_open(two) == {"silent adt"}
        await send(port(two), adt("A2"))
        await until(lambda: len(told(site)) == 2)
    assert told(site) == [("opened", "silent", "adt", ""), ("closed", "silent", "adt", "")]


def watches(engine: Engine) -> bool:
    assert engine.lookout is not None
    return engine.lookout.watches


async def test_trouble_on_the_way_of_alerts_is_seen_and_not_sent_round(tmp_path: Path, sink: Sink) -> None:
    """Its dead letters would raise alerts that become dead letters."""
    sink.answer = lambda message: "AR"
    duty = DUTY.replace("{send:", "{validate: never.json, send:")
    site = write_site(tmp_path, channel(sink) | {"duty": duty}, settings="alerts: {dead: 1}\n")
    (site / "schemas").mkdir()
    (site / "schemas" / "never.json").write_text('{"required": ["nothing"]}')
    async with running(site) as engine:
        await send(port(engine), adt("A1"))
        await until(lambda: len(engine.alerts.open) == 2)
        assert is_open(engine) == {"dead adt/lis", "dead duty/phone"}
        await until(lambda: not engine.alerts.untold)
        await settled(engine)
        (lis, *_), phone = [
            [c for c in engine.store.counts() if (c.channel, c.destination) == way]
            for way in (("adt", "lis"), ("duty", "phone"))
        ]
        assert (lis.dead, [c.dead for c in phone]) == (1, [1])


async def test_an_operator_sees_what_is_open_and_what_is_over(tmp_path: Path, sink: Sink) -> None:
    site = write_site(tmp_path, channel(sink, SILENT))
    clock = Clock()
    async with running(site, clock) as engine:
        await send(port(engine), adt("A1"))
        await settled(engine)
        assert "no alerts 无告警" in await jingluo(engine)
        clock.go(16)
        await until(lambda: engine.alerts.open)
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{engine.web.port}") as client:
            ready = await client.get("/health/ready")
            assert (ready.status_code, ready.json()["ready"]) == (200, True)
            assert ready.json()["alerts"] == {
                "silent adt": "adt: no message for 15 minutes adt：15 分钟没有收到报文"
            }
            figures = (await client.get("/metrics")).text
            assert 'jingluo_alert{about="",channel="adt",destination="",what="silent"} 1.0' in figures
            assert (await client.get("/api/alerts")).status_code == 401
        shown = await jingluo(engine, code=1)
        assert "adt：15 分钟没有收到报文" in shown
        assert "open 未恢复" in shown
        assert "no alerts" in await jingluo(engine, "--channel", "orders")
        await send(port(engine), adt("A2"))
        await until(lambda: engine.alerts.closed)
        assert "no alerts" in await jingluo(engine)
        (over,) = json.loads(await jingluo(engine, "--state", "all", "--since", "1h", "--json"))
        assert (over["what"], over["channel"], over["closed_ms"] > over["opened_ms"]) == (
            "silent",
            "adt",
            True,
        )
        assert json.loads(await jingluo(engine, "--state", "closed", "--since", "2126-01-01", "--json")) == []


async def jingluo(engine: Engine, *words: str, code: int = 0) -> str:
    """What `jingluo alerts` prints."""
    env = {"JINGLUO_HTTP_PORT": str(engine.web.port), "JINGLUO_SITE": str(engine.settings.site)}
    done = await asyncio.to_thread(CliRunner().invoke, app, ["alerts", *words], env=env)
    assert done.exit_code == code, done.output
    return done.stdout


@pytest.mark.rabbitmq
async def test_how_old_a_queue_is_knows_also_a_process_that_delivers_nothing(
    tmp_path: Path, sink: Sink, amqp_vhost: str
) -> None:
    sink.answer = lambda message: "AE"
    retry = "    retry: {first: 100ms, max: 200ms}\n"
    site = write_site(tmp_path, channel(sink, "alert: {oldest: 2m}\n", retry) | {"duty": DUTY})
    clock = Clock()
    async with (
        running(site, clock, broker=amqp_vhost, roles="journal") as watching,
        running(site, clock, broker=amqp_vhost, roles="intake,delivery") as working,
    ):
        await send(port(working), adt("A1"))
        await settled(watching, "accepted")
        clock.go(5)
        await watching.conservation.look()
        await until(lambda: told(site))
        assert is_open(working) == {"oldest adt/lis"}, "all know of it"
        sink.answer = lambda message: "AA"
        await settled(watching)
        await watching.conservation.look()
        await until_over(clock, lambda: len(told(site)) == 2)
    assert told(site) == [("opened", "oldest", "adt", "lis"), ("closed", "oldest", "adt", "lis")]
