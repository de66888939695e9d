"""A replay job makes each of its messages once, whatever comes between, and waits where others would have to."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command_parts import NOW, stored

from config.crypto import SiteKeys
from config.replay_settings import ReplaySettings
from router.brokers.base import BrokerDown, Depth
from router.envelope import JOURNAL, Envelope
from router.replay import Replayer, ReplayRequest, Step
from router.replay_files import JobFiles, Progress
from router.replay_jobs import Job, NoJob, ReplayJobs
from router.replay_pace import Pace
from router.search import Query
from router.store import Store, open_store

QUEUE = "jl.his-adt.lis"


class Out:
    """Takes what is published; `before` each of them something can be done, or raised."""

    def __init__(self) -> None:
        self.got: list[Envelope] = []
        self.before: Callable[[int], Any] = lambda count: None
        self.kept_and_lost: set[int] = set()  # these are kept, and nobody says so
        self.paused: dict[str, str] = {}
        self.waiting = {JOURNAL: 0, QUEUE: 0}

    async def __call__(self, envelope: Envelope) -> None:
        doing = self.before(len(self.got))
        if doing is not None:
            await doing
        self.got.append(envelope)
        if len(self.got) - 1 in self.kept_and_lost:
            raise BrokerDown("JL-B007", "the connection was lost")

    async def depth(self, queues: list[str]) -> dict[str, Depth]:
        return {name: Depth(self.waiting[name]) for name in queues}

    async def knows(self, id: str) -> bool:
        return id in {envelope.id for envelope in self.got}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path}/journal.db", SiteKeys(bytes(16)))
    opened.write([stored(number)[0] for number in range(120)], [])
    yield opened
    opened.close()


@pytest.fixture
def out() -> Out:
    return Out()


def jobs_of(store: Store, out: Out, folder: Path) -> ReplayJobs:
    clock = iter(range(NOW + 10_000, NOW + 10_000_000))
    now_ms = lambda: next(clock)  # noqa: E731
    settings = ReplaySettings(rate=100_000, waiting=50)
    pace = lambda: Pace(settings, out, lambda step: [QUEUE], lambda: out.paused)  # type: ignore[arg-type]  # noqa: E731
    made = ReplayJobs(Replayer(store, out, now_ms), JobFiles(folder), pace, out.knows, 1000, now_ms)
    made.load()
    return made


@pytest.fixture
def jobs(store: Store, out: Out, tmp_path: Path) -> ReplayJobs:
    return jobs_of(store, out, tmp_path / "replays")


ALL = ReplayRequest(query=Query(channel="his-adt"), destinations=("lis",), who="li.si")


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def ended(jobs: ReplayJobs, id: str) -> Job:
    await until(lambda: jobs.one(id).state != "running")
    return jobs.one(id)


async def test_a_job_makes_what_was_planned_oldest_first(jobs: ReplayJobs, out: Out) -> None:
    plan = await jobs.plan(ALL)
    assert (plan.state, plan.total, plan.to, out.got) == ("planned", 120, {"his-adt/lis": 120}, [])
    assert plan.first == [stored(n)[0].id for n in range(5)]
    await jobs.start(plan.id)
    done = await ended(jobs, plan.id)
    assert (done.state, done.made, done.failed, done.who) == ("done", 120, 0, "li.si")
    assert [e.parent for e in out.got] == [stored(n)[0].id for n in range(120)]
    assert [e.id for e in out.got] == sorted({e.id for e in out.got})
    assert out.got[0].source == f"replay of {stored(0)[0].id} by li.si"
    with pytest.raises(NoJob, match="JL-J016"):
        await jobs.start(plan.id)


async def test_after_a_crash_at_any_point_a_job_goes_on_and_makes_nothing_twice(
    store: Store, jobs: ReplayJobs, out: Out, tmp_path: Path
) -> None:
    """The disk as it was when the process died: in the middle of what had been announced."""
    crashed = tmp_path / "crashed"
    snapshot: list[Envelope] = []

    def before(count: int) -> None:
        if count == 73:
            shutil.copytree(tmp_path / "replays", crashed)
            snapshot.extend(out.got)

    out.before = before
    plan = await jobs.plan(ALL)
    await jobs.start(plan.id)
    await ended(jobs, plan.id)
    after = Out()
    after.got = list(snapshot)
    again = jobs_of(store, after, crashed)
    assert (again.one(plan.id).state, again.one(plan.id).made) == ("interrupted", 50)
    await again.start(plan.id)
    done = await ended(again, plan.id)
    assert (done.state, done.made) == ("done", 120)
    assert [e.parent for e in after.got] == [stored(n)[0].id for n in range(120)]


async def test_a_stop_of_the_engine_interrupts_a_job_which_says_how_far_it_came(
    store: Store, jobs: ReplayJobs, out: Out, tmp_path: Path
) -> None:
    hang = asyncio.Event()
    out.before = lambda count: hang.wait() if count == 30 else None
    plan = await jobs.plan(ALL)
    await jobs.start(plan.id)
    await until(lambda: len(out.got) == 30)
    stopping = asyncio.create_task(jobs.stop())
    await asyncio.sleep(0)
    hang.set()
    await stopping
    again = jobs_of(store, out, tmp_path / "replays")
    (job,) = again.all()
    assert (job.state, job.made, job.total, job.to) == ("interrupted", 31, 120, {"his-adt/lis": 120})
    await again.start(plan.id)
    assert (await ended(again, plan.id)).made == len(out.got) == 120


async def test_where_the_broker_does_not_say_whether_it_kept_a_message_the_journal_is_asked(
    jobs: ReplayJobs, out: Out
) -> None:
    out.kept_and_lost = {10}
    lost = iter([20])

    def before(count: int) -> None:
        if count == 20 and next(lost, None):
            raise BrokerDown("JL-B007", "the connection was lost")

    out.before = before
    plan = await jobs.plan(ALL)
    await jobs.start(plan.id)
    done = await ended(jobs, plan.id)
    assert (done.state, done.made, done.failed) == ("done", 120, 0)
    assert [e.parent for e in out.got] == [stored(n)[0].id for n in range(120)]


async def test_a_broker_that_is_away_makes_a_job_wait_and_no_message_fail(jobs: ReplayJobs, out: Out) -> None:
    times = iter(range(2))

    def before(count: int) -> None:
        if count == 3 and next(times, None) is not None:
            raise BrokerDown("JL-B001", "no broker")

    out.before = before
    plan = await jobs.plan(ALL)
    await jobs.start(plan.id)
    await until(lambda: jobs.one(plan.id).waits == "JL-B001")
    assert (await ended(jobs, plan.id)).made == 120


async def test_what_is_wrong_with_one_message_is_its_own_failure(jobs: ReplayJobs, out: Out) -> None:
    def before(count: int) -> None:
        if count == 3 and not failed:
            failed.append(count)
            raise BrokerDown("JL-B002", "queue jl.his-adt.lis was not declared")

    failed: list[int] = []
    out.before = before
    plan = await jobs.plan(ALL)
    await jobs.start(plan.id)
    done = await ended(jobs, plan.id)
    assert (done.made, done.failed, done.failures[0].id) == (119, 1, stored(3)[0].id)


async def test_a_job_waits_while_its_channel_is_held_or_too_much_waits(jobs: ReplayJobs, out: Out) -> None:
    out.paused["his-adt"] = QUEUE
    plan = await jobs.plan(ALL)
    await jobs.start(plan.id)
    await until(lambda: "nearly full" in jobs.one(plan.id).waits)
    assert out.got == []
    out.waiting[QUEUE] = 40
    out.paused.clear()
    await until(lambda: "50 wait in jl.his-adt.lis" in jobs.one(plan.id).waits)
    assert len(out.got) == 10
    out.waiting[QUEUE] = 0
    await until(lambda: len(out.got) > 10)
    cancelled = await jobs.cancel(plan.id)
    assert (cancelled.state, cancelled.made) == ("cancelled", len(out.got))
    await jobs.start(plan.id)
    out.waiting = {JOURNAL: 0, QUEUE: -1000}
    assert (await ended(jobs, plan.id)).made == len(out.got) == 120


async def test_a_job_goes_no_faster_than_it_may() -> None:
    """By the loop's clock, which a busy machine does not turn back."""
    out = Out()
    pace = Pace(ReplaySettings(rate=100, waiting=10_000), out, lambda step: [QUEUE], dict)  # type: ignore[arg-type]
    began = asyncio.get_running_loop().time()
    for _ in range(150):
        await pace.wait(Step("0" * 32, "his-adt", ("lis",)), lambda why: None)
    assert (
        asyncio.get_running_loop().time() - began > 0.4
    )  # 150 at 100 a second, of which a second's worth at once


async def test_more_than_a_job_may_take_is_refused_before_anything_is_made(
    store: Store, out: Out, tmp_path: Path
) -> None:
    small = ReplayJobs(
        Replayer(store, out, lambda: NOW), JobFiles(tmp_path), lambda: None, out.knows, 119, lambda: NOW
    )  # type: ignore[arg-type,return-value]
    with pytest.raises(Exception, match="more than 119"):
        await small.plan(ALL)


def test_files_of_old_jobs_are_forgotten_and_those_that_can_go_on_are_kept(tmp_path: Path) -> None:
    files = JobFiles(tmp_path)
    for number in range(104):
        state = "interrupted" if number < 2 else "done"
        steps = [Step(f"{number:032x}", "his-adt", ("lis",))]
        files.begin(
            Progress(id=f"{number:012x}", who="", state=state, total=1, to={}, first=[], begun_ms=number),
            steps,
        )
    assert [int(progress.id, 16) for progress in files.known()] == [0, 1, *range(4, 104)]
    assert len(list(tmp_path.iterdir())) == 2 * 102
    assert files.steps(f"{1:012x}") == [Step(f"{1:032x}", "his-adt", ("lis",))]
