"""`jingluo messages replay`: asks the running engine, first for a plan, then slice by slice."""

from __future__ import annotations

import base64
from typing import Any

import typer

from config.settings import Settings
from router.commands.operator import Operator, operator
from router.replay import ReplayResult

SLICE = 100  # messages in one request


def run(settings: Settings, ask: dict[str, Any], body: bytes | None, *, yes: bool, plan_only: bool) -> int:
    """Exit code 0 when all were replayed, 1 when some were not."""
    if body is not None:
        ask["body"] = base64.b64encode(body).decode()
    with operator(settings) as engine:
        plan = _post(engine, {**ask, "plan": True})
        _tell(plan)
        if plan_only or not plan.to:
            return 1 if plan.failed else 0
        if not yes:
            typer.confirm(f"Replay {sum(plan.to.values())} deliveries? 确认重发？", abort=True)
        return _slices(engine, ask, plan.ids)


def _slices(engine: Operator, ask: dict[str, Any], ids: list[str]) -> int:
    query = ask.pop("query", None) or {}
    if not ask["destinations"] and query.get("destination"):
        ask["destinations"] = [query["destination"]]
    ask["dead_only"] = ask["dead_only"] or query.get("state") == "dead"
    made = failed = 0
    with typer.progressbar(length=len(ids), label="replay 重发") as bar:
        for start in range(0, len(ids), SLICE):
            some = ids[start : start + SLICE]
            done = _post(engine, {**ask, "ids": some})
            made, failed = made + len(done.made), failed + done.failed
            for failure in done.failures:
                typer.echo(f"{failure.id}: {failure.code}: {failure.reason}", err=True)
            bar.update(len(some))
    typer.echo(f"replayed {made}, failed {failed}")
    return 1 if failed else 0


def _tell(plan: ReplayResult) -> None:
    typer.echo(f"{len(plan.ids) - plan.failed} messages 条消息")
    for way, count in plan.to.items():
        typer.echo(f"  {way}: {count}")
    for failure in plan.failures:
        typer.echo(f"  not {failure.id}: {failure.code}: {failure.reason}")


def _post(engine: Operator, ask: dict[str, Any]) -> ReplayResult:
    return ReplayResult.model_validate_json(engine.post("/api/replay", ask))
