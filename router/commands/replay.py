"""`jingluo messages replay`: asks the running engine, first for a plan, then slice by slice."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import httpx2
import typer

from config.errors import JingluoError
from config.settings import Settings
from config.tls import pinned_context
from router.replay import ReplayResult

TOKEN_FILE = "operator-token"
SLICE = 100  # messages in one request
_TIMEOUT_S = 120.0


class NoEngine(JingluoError):
    """JL-J008: no engine answers, or it does not know us."""


def run(settings: Settings, ask: dict[str, Any], body: bytes | None, *, yes: bool, plan_only: bool) -> int:
    """Exit code 0 when all were replayed, 1 when some were not."""
    if body is not None:
        ask["body"] = base64.b64encode(body).decode()
    host = settings.http.host if settings.http.host not in ("0.0.0.0", "::") else "127.0.0.1"
    tls = settings.http.tls
    scheme = "https" if tls else "http"
    address = f"{scheme}://[{host}]" if ":" in host else f"{scheme}://{host}"
    token = _token(settings)
    with httpx2.Client(
        base_url=f"{address}:{settings.http.port}",
        headers={"Authorization": f"Bearer {token}"},
        timeout=_TIMEOUT_S,
        verify=pinned_context(Path(tls.certificate)) if tls else False,
        trust_env=False,
    ) as client:
        plan = _post(client, {**ask, "plan": True})
        _tell(plan)
        if plan_only or not plan.to:
            return 1 if plan.failed else 0
        if not yes:
            typer.confirm(f"Replay {sum(plan.to.values())} deliveries? 确认重发？", abort=True)
        return _slices(client, ask, plan.ids)


def _slices(client: httpx2.Client, ask: dict[str, Any], ids: list[str]) -> int:
    query = ask.pop("query", None) or {}
    if not ask["destinations"] and query.get("destination"):
        ask["destinations"] = [query["destination"]]
    ask["dead_only"] = ask["dead_only"] or query.get("state") == "dead"
    made = failed = 0
    with typer.progressbar(length=len(ids), label="replay 重发") as bar:
        for start in range(0, len(ids), SLICE):
            some = ids[start : start + SLICE]
            done = _post(client, {**ask, "ids": some})
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


def _post(client: httpx2.Client, ask: dict[str, Any]) -> ReplayResult:
    try:
        answer = client.post("/api/replay", json=ask)
    except httpx2.ConnectError:
        raise NoEngine(
            "JL-J008", f"no engine answers at {client.base_url}: replay needs a running engine 引擎未运行"
        ) from None
    except httpx2.HTTPError as error:
        raise NoEngine("JL-J008", f"the engine at {client.base_url} fails: {type(error).__name__}") from None
    if answer.status_code != 200:
        raise NoEngine("JL-J008", f"the engine says {answer.status_code}: {_reason(answer)}")
    return ReplayResult.model_validate_json(answer.content)


def _reason(answer: httpx2.Response) -> str:
    try:
        said = answer.json()
        return str(said.get("detail") or said.get("title") or said)[:500]
    except ValueError:
        return answer.text[:200]


def _token(settings: Settings) -> str:
    path = settings.var / TOKEN_FILE
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        raise NoEngine("JL-J008", f"no engine has run here: there is no {path} 引擎未运行") from None
    except PermissionError:
        raise NoEngine("JL-J008", f"{path} may only be read by the engine's user 无权限") from None
