"""`jingluo messages replay`, as an operator types it: first the plan, then the engine's job."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from command_parts import NOW, Run, stored

from config.replay_settings import ReplaySettings
from config.settings import LimitSettings
from endpoints.web import WebServer
from router import api_replay, replay, replay_jobs
from router.brokers.base import Broker, QueueSpec
from router.brokers.embedded import EmbeddedBroker
from router.commands import replay as command
from router.envelope import JOURNAL, Envelope
from router.replay import Replayer
from router.replay_files import JobFiles
from router.replay_jobs import Job, ReplayJobs
from router.replay_pace import Pace
from router.store import Store


class Engine:
    """The real routes on a real server, with a broker of their own; `published` is what was made."""

    def __init__(self, site: Path, store: Store) -> None:
        self.published: list[Envelope] = []
        self.stops_at = 1_000_000  # messages: there the broker hangs
        self._site, self._store = site, store
        self._up, self._end = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def start(self) -> None:
        self._thread.start()
        assert self._up.wait(30)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    async def _publish(self, envelope: Envelope) -> None:
        while len(self.published) >= self.stops_at:  # noqa: ASYNC110  # another thread changes it
            await asyncio.sleep(0.01)
        self.published.append(envelope)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with _broker(self._site) as broker:
            replayer = Replayer(self._store, self._publish, lambda: NOW + 10_000)
            pace = lambda: Pace(ReplaySettings(rate=10_000), broker, lambda step: [], dict)  # noqa: E731
            files = JobFiles(self._site / "var" / "replays")
            jobs = _Jobs(self, replayer, files, pace, self._knows, 1000, lambda: NOW + 10_000)
            web = WebServer("127.0.0.1", 0, LimitSettings())
            web.app.include_router(api_replay.routes(replayer, jobs))
            await web.start()
            (self._site / "jingluo.yaml").write_text(f"http: {{host: 127.0.0.1, port: {web.port}}}\n")
            (self._site / "var" / "operator-token").write_text("s3cret")
            self._up.set()
            await self._end.wait()
            await jobs.stop()
            await web.stop()

    async def _knows(self, id: str) -> bool:
        return id in {envelope.id for envelope in self.published}


class _Jobs(ReplayJobs):
    """The broker hangs no more once somebody wants to end a job."""

    def __init__(self, engine: Engine, *parts: Any) -> None:
        super().__init__(*parts)
        self._engine = engine

    async def cancel(self, id: str) -> Job:
        asked = asyncio.create_task(super().cancel(id))
        await asyncio.sleep(0)
        self._engine.stops_at = 1_000_000
        return await asked


@asynccontextmanager
async def _broker(site: Path) -> AsyncIterator[Broker]:
    broker = EmbeddedBroker(site / "broker.db")
    await broker.start()
    await broker.declare([QueueSpec(JOURNAL)])
    yield broker
    await broker.stop()


@pytest.fixture
def engine(site: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    # Another process's: its log is not to mix with what the command prints.
    for module in (replay, replay_jobs):
        monkeypatch.setattr(module, "log", Mock())
    made = Engine(site, store)
    made.start()
    yield made
    made.stop()


def test_a_replay_says_how_many_and_where_to_and_asks_first(run: Run, engine: Engine) -> None:
    code, out = run("replay", "--channel", "his-adt", "--destination", "emr", typed="n\n")
    assert code == 1
    assert "12 messages" in out
    assert "his-adt/emr: 12" in out
    assert f"first 首条: {stored(0)[0].id} {stored(1)[0].id}" in out
    assert engine.published == []
    assert "no replay jobs" in run("jobs")[1], "a plan that nobody wants is forgotten"
    code, out = run("replay", "--channel", "his-adt", "--destination", "emr", typed="y\n")
    assert (code, len(engine.published)) == (0, 12)
    assert "done: replayed 12, failed 0, not made 0" in out
    assert [e.parent for e in engine.published] == [stored(n)[0].id for n in range(12)], "oldest first"
    assert {e.destinations for e in engine.published} == {("emr",)}
    (job,) = json.loads(run("jobs", "--json")[1])
    assert (job["state"], job["made"], job["total"]) == ("done", 12, 12)
    assert " done " in run("jobs")[1]


def test_dead_letters_are_replayed_where_they_are_dead(run: Run, engine: Engine) -> None:
    assert run("replay", "--state", "dead", "--yes")[0] == 0
    assert [(e.parent, e.destinations) for e in engine.published] == [(stored(7)[0].id, ("lis",))]


def test_dead_letters_of_one_cause_are_replayed_by_the_key_that_their_list_shows(
    run: Run, engine: Engine
) -> None:
    (group,) = json.loads(run("dead", "--json")[1])["groups"]
    assert (group["cause"], group["example"]) == ("no [bed]", stored(7)[0].id)
    assert run("replay", "--cause", group["key"], "--yes")[0] == 0
    assert [(e.parent, e.destinations) for e in engine.published] == [(stored(7)[0].id, ("lis",))]
    assert "JL-J006" in run("replay", "--cause", "00000000", "--yes")[1]


def test_one_message_is_replayed_with_an_edited_body_and_who_did_it_is_kept(
    run: Run, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_who", lambda: "li.si")
    edited = tmp_path / "edited.hl7"
    edited.write_bytes(b"MSH|edited\r")
    assert run("replay", stored(3)[0].id, "--edit", str(edited), "--plan")[0] == 0
    assert engine.published == []
    code, out = run("replay", stored(3)[0].id, "--edit", str(edited), "--yes")
    assert code == 0
    (made,) = engine.published
    assert made.id in out
    assert (made.body, made.destinations, made.parent) == (
        b"MSH|edited\r",
        ("lis", "emr"),
        stored(3)[0].id,
    )
    assert made.source == f"edited replay of {stored(3)[0].id} by li.si"
    assert "one message" in run("replay", "--state", "dead", "--edit", str(edited))[1]


def test_a_message_that_cannot_be_replayed_makes_the_command_fail(run: Run, engine: Engine) -> None:
    code, out = run("replay", "f" * 32, stored(1)[0].id, "--yes")
    assert code == 1
    assert f"{'f' * 32}: JL-J005" in out
    assert len(engine.published) == 1


def test_ctrl_c_ends_the_engines_job_and_it_can_go_on_later(
    run: Run, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.stops_at = 5

    def pressed(seconds: float) -> None:
        while len(engine.published) < 5:
            threading.Event().wait(0.01)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(command.time, "sleep", pressed)
        code, out = run("replay", "--channel", "his-adt", "--destination", "lis", "--yes")
    found = re.search(r"job (\w+) cancelled: replayed (\d+), failed 0, not made (\d+)", out)
    assert code == 1
    assert found, out
    assert (int(found[2]), int(found[3]), len(engine.published)) == (6, 6, 6)
    assert f"--job {found[1]}" in out
    code, out = run("replay", "--job", found[1])
    assert code == 0
    assert "done: replayed 12, failed 0" in out
    assert [e.parent for e in engine.published] == [stored(n)[0].id for n in range(12)], "each once"
    assert "JL-J016" in run("replay", "--job", found[1])[1]


def test_a_replay_without_saying_what_is_refused(run: Run) -> None:
    assert "JL-J004" in run("replay", "--yes")[1]
    assert "not both" in run("replay", stored(1)[0].id, "--channel", "his-adt")[1]


def test_more_than_one_job_may_take_is_refused(run: Run, engine: Engine) -> None:
    assert "more than 11 messages" in run("replay", "--channel", "his-adt", "--limit", "11")[1]


def test_a_replay_needs_an_engine_that_has_run(run: Run, engine: Engine, site: Path) -> None:
    (site / "var" / "operator-token").unlink()
    assert "no engine has run here" in run("replay", stored(1)[0].id)[1]


def test_a_replay_to_an_engine_that_is_down_says_so(run: Run, site: Path) -> None:
    (site / "jingluo.yaml").write_text("http: {host: 127.0.0.1, port: 1}\n")
    (site / "var" / "operator-token").write_text("s3cret")
    assert "no engine answers" in run("replay", stored(1)[0].id)[1]
