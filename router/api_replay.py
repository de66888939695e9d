"""The operator's routes for replay, under /api/replay: at once, or as a job of the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Literal, TypeVar

from fastapi import APIRouter, HTTPException, Request, Response

from config.errors import JingluoError
from router.api_lists import MOST, After, Limit, linked, part
from router.brokers.base import BrokerDown
from router.clock import now_ms
from router.engine import Engine
from router.intake import queues_of_branch
from router.replay import Replayer, ReplayRequest, ReplayResult, Step
from router.replay_files import JobFiles
from router.replay_jobs import Job, NoJob, ReplayJobs
from router.replay_pace import Pace
from router.store import NotFound, StoreDown

T = TypeVar("T")


def mount(engine: Engine) -> APIRouter:
    """The routes; the engine's jobs begin and end with it."""
    replayer = Replayer(engine.store, engine.resend, now_ms)

    def queues(step: Step) -> Sequence[str]:
        work = engine.works.get(step.channel)
        branches = work.channel.branches if work is not None else ()
        to = [branch for branch in branches if branch.name in step.destinations]
        return [queue for branch in to if work for queue in queues_of_branch(work.channel, branch)]

    async def knows(id: str) -> bool:
        await engine.journal.has_all()
        try:
            await asyncio.to_thread(engine.store.show, id)
        except NotFound:
            return False
        return True

    settings = engine.settings.replay
    jobs = ReplayJobs(
        replayer,
        JobFiles(engine.settings.var / "replays"),
        lambda: Pace(settings, engine.broker, queues, lambda: engine.pressure.paused),
        knows,
        settings.messages,
        now_ms,
    )
    engine.when_started.append(jobs.load)
    engine.when_stopping.append(jobs.stop)
    return routes(replayer, jobs)


def routes(replayer: Replayer, jobs: ReplayJobs) -> APIRouter:
    made = APIRouter(prefix="/api/replay", tags=["operate"])

    @made.post("")
    async def replay(request: ReplayRequest) -> ReplayResult:
        """Makes new messages from old ones while the caller waits; each points at the one it was made from."""
        return await _answered(replayer.replay(request))

    @made.post("/jobs")
    async def plan(request: ReplayRequest) -> Job:
        """What would be done: how many, where to. Nothing is, before it is started."""
        return await _answered(jobs.plan(request))

    @made.get("/jobs")
    async def all(
        request: Request, response: Response, state: str = "", limit: Limit = MOST, after: After = ""
    ) -> list[Job]:
        """Oldest first. `after`: a job's id."""
        wanted = [job for job in jobs.all() if state in ("", job.state)]
        some, following = part(wanted, lambda job: job.id, limit, after)
        linked(response, request, following)
        return some

    @made.get("/jobs/{id}")
    async def one(id: str) -> Job:
        return await _answered(_now(jobs, id))

    @made.post("/jobs/{id}/{what}")
    async def order(id: str, what: Literal["start", "cancel"]) -> Job:
        """`start` also goes on with one that was cancelled or interrupted; `cancel` answers when it has ended."""
        return await _answered(jobs.start(id) if what == "start" else jobs.cancel(id))

    return made


async def _now(jobs: ReplayJobs, id: str) -> Job:
    return jobs.one(id)


async def _answered(asked: Awaitable[T]) -> T:
    try:
        return await asked
    except NoJob as error:
        raise HTTPException(404 if error.code == "JL-J015" else 409, str(error)) from None
    except (BrokerDown, StoreDown) as error:
        raise HTTPException(503, str(error)) from None
    except JingluoError as error:
        raise HTTPException(422, str(error)) from None
