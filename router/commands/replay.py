"""`jingluo messages replay`: asks the running engine, first for a plan; then it follows the job, or ends it."""

from __future__ import annotations

import base64
import getpass
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import typer

from config.settings import Settings
from router.commands.operator import Operator, operator
from router.replay import ReplayResult
from router.replay_jobs import Job

_LOOK_S = 0.3
_TELL_S = 5.0  # between two lines where there is no terminal


def run(settings: Settings, ask: dict[str, Any], *, yes: bool, plan_only: bool) -> int:
    """Exit code 0 when all were replayed, 1 when some were not."""
    with operator(settings) as engine:
        job = _job(engine.post("/api/replay/jobs", {**ask, "who": _who()}))
        typer.echo(f"{job.total} messages 条消息")
        _tell_ways(job.to)
        if job.first:
            typer.echo(f"  first 首条: {' '.join(job.first)}{' ...' if job.total > len(job.first) else ''}")
        for failure in job.failures:
            typer.echo(f"  not {failure.id}: {failure.code}: {failure.reason}")
        if plan_only or not job.total:
            engine.post(f"/api/replay/jobs/{job.id}/cancel", {})
            return 1 if job.failed else 0
        if not yes and not typer.confirm(f"Replay {sum(job.to.values())} deliveries? 确认重发？"):
            engine.post(f"/api/replay/jobs/{job.id}/cancel", {})
            raise typer.Abort
        return start(engine, job.id)


def again(settings: Settings, id: str) -> int:
    """Goes on with a job that was interrupted or cancelled, or follows one that runs."""
    with operator(settings) as engine:
        job = _job(engine.get(f"/api/replay/jobs/{id}"))
        return _follow(engine, job) if job.state == "running" else start(engine, id)


def start(engine: Operator, id: str) -> int:
    return _follow(engine, _job(engine.post(f"/api/replay/jobs/{id}/start", {})))


def edited(
    settings: Settings, id: str, ask: dict[str, Any], body: bytes, *, yes: bool, plan_only: bool
) -> int:
    """One message with another body: made while we wait."""
    asked = {**ask, "ids": [id], "who": _who(), "body": base64.b64encode(body).decode()}
    with operator(settings) as engine:
        plan = _result(engine.post("/api/replay", {**asked, "plan": True}))
        typer.echo(f"{len(plan.ids) - plan.failed} messages 条消息, body 正文 {len(body)} bytes")
        _tell_ways(plan.to)
        done = plan
        if not plan_only and plan.to:
            if not yes:
                typer.confirm("Replay it with this body? 确认以此正文重发？", abort=True)
            done = _result(engine.post("/api/replay", asked))
            typer.echo(" ".join(["made 新消息", *(made.new for made in done.made)]))
    for failure in done.failures:
        typer.echo(f"{failure.id}: {failure.code}: {failure.reason}", err=True)
    return 1 if done.failed else 0


def listed(settings: Settings) -> list[Job]:
    from pydantic import TypeAdapter

    with operator(settings) as engine:
        return TypeAdapter(list[Job]).validate_json(engine.get("/api/replay/jobs"))


def _follow(engine: Operator, job: Job) -> int:
    """Until it ends. Ctrl-C asks the engine to end it, and waits for that."""
    try:
        show = _bar if sys.stdout.isatty() else _lines
        job = show(job, _looks(engine, job))
    except KeyboardInterrupt:
        typer.echo("")
        job = _job(engine.post(f"/api/replay/jobs/{job.id}/cancel", {}))
    for failure in job.failures:
        typer.echo(f"{failure.id}: {failure.code}: {failure.reason}", err=True)
    left = job.total - job.made - job.failed if job.state != "done" else 0
    typer.echo(f"job {job.id} {job.state}: replayed {job.made}, failed {job.failed}, not made {max(left, 0)}")
    if job.state in ("cancelled", "interrupted"):
        typer.echo(f"go on with 继续: jingluo messages replay --job {job.id}")
    return 0 if job.state == "done" and not job.failed else 1


def _looks(engine: Operator, job: Job) -> Iterator[Job]:
    while job.state == "running":
        time.sleep(_LOOK_S)
        job = _job(engine.get(f"/api/replay/jobs/{job.id}"))
        yield job


def _bar(job: Job, looks: Iterator[Job]) -> Job:
    with typer.progressbar(length=job.total, label="replay 重发", show_pos=True) as bar:
        done = 0
        for job in looks:
            bar.label = f"replay 重发 ({job.waits})" if job.waits else f"replay 重发 {job.rate:g}/s"
            bar.update(job.made + job.failed - done)
            done = job.made + job.failed
    return job


def _lines(job: Job, looks: Iterator[Job]) -> Job:
    told = time.monotonic()
    for job in looks:
        if time.monotonic() - told >= _TELL_S:
            told = time.monotonic()
            waits = f", waits 等待: {job.waits}" if job.waits else ""
            typer.echo(f"{job.made + job.failed} of {job.total}, {job.rate:g} a second{waits}")
    return job


def _tell_ways(to: dict[str, int]) -> None:
    for way, count in to.items():
        typer.echo(f"  {way}: {count}")


def _who() -> str:
    try:
        return getpass.getuser()[:64]
    except (OSError, KeyError):  # a container's user without a name
        return str(os.getuid())


def _job(answer: bytes) -> Job:
    return Job.model_validate_json(answer)


def _result(answer: bytes) -> ReplayResult:
    return ReplayResult.model_validate_json(answer)
