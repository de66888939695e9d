"""Replay jobs: a plan that an operator has seen, carried out by the engine, one message after the other, oldest first.

A job can be cancelled, and a stop or a crash interrupts it; started again it goes on where it was. What it has made it
does not make twice: the ids of its messages follow from the job and the step, so after a crash, and where the broker
did not say whether it has kept a message, the journal is asked for the id once it has caught up.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable
from typing import Literal

import structlog
from pydantic import BaseModel

from config.errors import JingluoError
from router.brokers.base import MAYBE_KEPT, BrokerDown
from router.ids import id_of
from router.replay import FAILURES_TOLD, Failure, Replayer, ReplayRequest, Step, deliveries, failure_of
from router.replay_files import JobFiles, Progress
from router.replay_pace import Pace

log = structlog.get_logger()

State = Literal["planned", "running", "done", "cancelled", "interrupted"]

_AT_ONCE = 50  # steps between two words on disk
_FIRST_IDS = 5
_PLANS = 20  # that nobody has started yet; the oldest is forgotten
_AGAIN_S = 1.0
_RANDOM_BITS = 41  # of a job, in the ids that it makes


class NoJob(JingluoError):
    """JL-J015: no job has that id. JL-J016: it cannot be done with the job as it is."""


class Job(BaseModel):
    """A job, as its operator sees it. `rate`: messages a second, since it was started. Times are Unix ms."""

    id: str
    state: str
    who: str
    total: int
    to: dict[str, int]
    first: list[str]
    made: int = 0
    failed: int = 0
    rate: float = 0.0
    waits: str = ""  # why it does not go on just now
    begun_ms: int = 0
    ended_ms: int = 0
    failures: list[Failure] = []


class _Run:
    """A job at work: `stop` is why it shall end, empty while it shall not."""

    def __init__(self, progress: Progress, steps: list[Step], now_ms: int) -> None:
        self.progress = progress
        self.steps = steps
        self.since_ms, self.before = now_ms, progress.made + progress.failed
        self.waits = ""
        self.stop: State | None = None
        self.task: asyncio.Task[None] | None = None


class ReplayJobs:
    """One process's. `knows` says whether a message is in the journal, for certain: it waits until it can tell."""

    def __init__(
        self,
        replayer: Replayer,
        files: JobFiles,
        pace: Callable[[], Pace],
        knows: Callable[[str], Awaitable[bool]],
        most: int,
        now_ms: Callable[[], int],
    ) -> None:
        self._replayer = replayer
        self._files = files
        self._pace = pace
        self._knows = knows
        self._most = most
        self._now_ms = now_ms
        self._plans: dict[str, tuple[Progress, list[Step]]] = {}
        self._jobs: dict[str, Progress] = {}
        self._runs: dict[str, _Run] = {}

    def load(self) -> None:
        """Jobs of before; what was running when the engine ended is interrupted. Blocking."""
        for progress in self._files.known():
            if progress.state == "running":
                log.warning("replay.interrupted", job=progress.id, made=progress.made, total=progress.total)
                progress.state = "interrupted"
            self._jobs[progress.id] = progress

    async def plan(self, request: ReplayRequest) -> Job:
        """What would be done, ready to be started. Raises CannotReplay, BadQuery, StoreError."""
        if request.body is not None:
            raise NoJob("JL-J016", "an edited body is for one message, and that needs no job")
        found = await self._replayer.steps(request, self._most)
        progress = Progress(
            id=secrets.token_hex(6),
            who=request.who,
            state="planned",
            total=len(found.steps),
            to=deliveries(found.steps),
            first=[step.id for step in found.steps[:_FIRST_IDS]],
            failed=len(found.failures),
            failures=found.failures[:FAILURES_TOLD],
        )
        while len(self._plans) >= _PLANS:
            self._plans.pop(next(iter(self._plans)))
        self._plans[progress.id] = progress, found.steps
        return self._shown(progress)

    def all(self) -> list[Job]:
        """Oldest first; then what was planned only."""
        planned = [progress for progress, _ in self._plans.values()]
        return [self._shown(progress) for progress in (*self._jobs.values(), *planned)]

    def one(self, id: str) -> Job:
        return self._shown(self._known(id))

    async def start(self, id: str) -> Job:
        """Begins it, or goes on with what was cancelled or interrupted. Raises NoJob."""
        progress = self._known(id)
        if progress.state in ("running", "done"):
            raise NoJob("JL-J016", f"the job {id} is {progress.state} 任务状态不允许此操作")
        planned = self._plans.pop(id, None)
        was, progress.state = progress.state, "running"
        try:
            if planned is not None:
                progress.begun_ms = self._now_ms()
                steps = planned[1]
                await asyncio.to_thread(self._files.begin, progress, steps)
                self._jobs[id] = progress
            else:
                steps = await asyncio.to_thread(self._files.steps, id)
        except OSError as error:
            progress.state = was
            raise NoJob("JL-J016", f"its file in var: {error.strerror}") from None
        run = self._runs[id] = _Run(progress, steps, self._now_ms())
        run.task = asyncio.create_task(self._run(run), name=f"replay {id}")
        log.info("replay.started", job=id, total=progress.total, from_step=progress.sure, who=progress.who)
        return self._shown(progress)

    async def cancel(self, id: str) -> Job:
        """Returns when nothing more is made. A plan that was not started is forgotten."""
        progress = self._known(id)
        if self._plans.pop(id, None) is not None:
            progress.state = "cancelled"
        await self._end(id, "cancelled")
        return self._shown(progress)

    async def stop(self) -> None:
        """The engine stops: what runs is interrupted."""
        await asyncio.gather(*(self._end(id, "interrupted") for id in list(self._runs)))

    async def _end(self, id: str, how: State) -> None:
        run = self._runs.get(id)
        if run is None or run.task is None:
            return
        run.stop = run.stop or how
        if run.waits:  # nothing is being made
            run.task.cancel()
        await asyncio.wait((run.task,))

    async def _run(self, run: _Run) -> None:
        try:
            await self._all(run)
            run.progress.begun = run.progress.sure  # nothing is in doubt
            run.progress.state = run.stop or "done"
        except asyncio.CancelledError:
            run.progress.state = run.stop or "interrupted"
        except Exception:
            log.exception("replay.bug", job=run.progress.id)
            run.progress.state = "interrupted"
        progress = run.progress
        progress.ended_ms = self._now_ms()
        run.waits = ""
        with contextlib.suppress(OSError):  # then the next start says that it was interrupted
            await asyncio.to_thread(self._files.save, progress)
        del self._runs[progress.id]
        log.info("replay." + progress.state, job=progress.id, made=progress.made, failed=progress.failed)

    async def _all(self, run: _Run) -> None:
        progress, pace = run.progress, self._pace()
        doubtful = range(progress.sure, progress.begun)  # an earlier run was in the midst of these
        # All are asked for before one is made: what is made, the journal has to write before it answers again.
        known = {number for number in doubtful if await self._is_known(run, number)}
        for number in doubtful:
            if run.stop:
                return
            if number in known:
                self._made(run)
            else:
                await self._one(run, number, pace)
        while progress.sure < len(run.steps) and not run.stop:
            if progress.sure == progress.begun:
                progress.begun = min(progress.sure + _AT_ONCE, len(run.steps))
                progress.ids_ms = self._now_ms()
                await asyncio.to_thread(self._files.save, progress)
            await self._one(run, progress.sure, pace)

    async def _one(self, run: _Run, number: int, pace: Pace) -> None:
        """Makes it, however long the broker takes; what is wrong with the message itself is a failure."""
        step, new = run.steps[number], self._id(run.progress, number)
        while True:
            await pace.wait(step, lambda why: setattr(run, "waits", why))
            if run.stop:
                return
            try:
                await self._replayer.make(step, new, who=run.progress.who)
                return self._made(run)
            except BrokerDown as error:
                if error.code == "JL-B002":  # no such queue: that does not pass
                    return self._failed(run, step, error)
                run.waits = error.code
                if error.code in MAYBE_KEPT and await self._is_known(run, number):
                    return self._made(run)
                await asyncio.sleep(_AGAIN_S)
                run.waits = ""
            except JingluoError as error:
                return self._failed(run, step, error)

    async def _is_known(self, run: _Run, number: int) -> bool:
        run.waits = "the journal is asked what was made already"
        known = await self._knows(self._id(run.progress, number))
        run.waits = ""
        return known

    def _made(self, run: _Run) -> None:
        run.progress.sure += 1
        run.progress.made += 1

    def _failed(self, run: _Run, step: Step, error: JingluoError) -> None:
        run.progress.sure += 1
        run.progress.failed += 1
        if len(run.progress.failures) < FAILURES_TOLD:
            run.progress.failures.append(failure_of(step.id, error))

    @staticmethod
    def _id(progress: Progress, number: int) -> str:
        """Rises with the step."""
        job = int(progress.id, 16) & ((1 << _RANDOM_BITS) - 1)
        return id_of(progress.ids_ms, job << 32 | number)

    def _known(self, id: str) -> Progress:
        if id in self._plans:
            return self._plans[id][0]
        if id not in self._jobs:
            raise NoJob("JL-J015", f"no replay job has the id {id} 没有该重发任务")
        return self._jobs[id]

    def _shown(self, progress: Progress) -> Job:
        run = self._runs.get(progress.id)
        facts = progress.model_dump(include=set(Job.model_fields))
        if run is not None:
            seconds = max(self._now_ms() - run.since_ms, 1) / 1000
            done = progress.made + progress.failed - run.before
            facts |= {"rate": round(done / seconds, 1), "waits": run.waits}
        return Job.model_validate(facts)
