"""What operators and monitors ask the running engine: health, metrics, the state of channels, replay.

Operators ask the process that has the journal; health, metrics and reload are every process's own.
`/health/*` and `/metrics` are open. `/api/*` wants the operator's token, which the engine writes into its own
folder (`var/operator-token`, mode 0600) at each start: who may read that file may operate the engine.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from endpoints.limits import problem
from router import (
    api_alerts,
    api_destinations,
    api_messages,
    api_reconcile,
    api_reload,
    api_replay,
    api_settlements,
)
from router.alerts.kinds import texts
from router.board import Board
from router.brokers.base import BrokerDown
from router.clock import now_ms
from router.destinations import Destinations
from router.engine import Engine
from router.metrics import CONTENT_TYPE

TOKEN_FILE = "operator-token"


def write_token(var: Path, token: str) -> None:
    """Readable by the engine's user alone."""
    path = var / TOKEN_FILE
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(token)


def mount(engine: Engine) -> None:
    """Adds the operator's routes to the engine's web server."""
    token = secrets.token_urlsafe(32)
    # Only an engine that runs writes it: one that fails to start leaves the running one its own.
    engine.when_started.append(lambda: write_token(engine.settings.var, token))

    engine.web.app.include_router(_monitor(engine))
    protected = [api_reload.routes(engine.reload)]
    if "journal" in engine.roles:
        destinations = Destinations(
            lambda: engine.site.channels,
            engine.board,
            engine.broker,
            engine.store,
            now_ms,
            engine.conservation.give_up,
        )
        protected += [
            _operate(engine),
            api_messages.routes(engine.store),
            api_alerts.routes(engine.all_alerts),
            api_destinations.routes(destinations),
            api_replay.mount(engine),
        ]
    if engine.makers.desk is not None:
        note = engine.store.note if "journal" in engine.roles else None
        protected.append(api_settlements.routes(engine.makers.desk.operators, engine.makers.desk.watch, note))
        protected.append(api_reconcile.routes(engine.makers.reconciliation.desk))
    for routes in protected:
        engine.web.app.include_router(routes)
    engine.web.app.add_middleware(_Locked, token=token)


class _Locked:
    """Asks for the token before anything of a request is read: a dependency of a route would see it read already."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._wanted = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (scope["path"] + "/").startswith("/api/"):
            shown = Headers(scope=scope).get("authorization", "")
            if not hmac.compare_digest(shown.encode(), self._wanted):
                text = "the operator's token is missing or wrong 缺少操作员令牌或令牌错误"
                await problem(401, "JL-E205", detail=text)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _monitor(engine: Engine) -> APIRouter:
    routes = APIRouter(tags=["monitor"])

    @routes.get("/health/live")
    async def live() -> dict[str, str]:
        """The process answers."""
        return {"status": "live"}

    @routes.get("/health/ready")
    async def ready() -> JSONResponse:
        """Whether messages are taken: 200, or 503 with what is wrong."""
        report = health(engine)
        return JSONResponse(report, 200 if report["ready"] else 503)

    @routes.get("/metrics")
    async def metrics() -> Response:
        return Response(engine.metrics.render(), media_type=CONTENT_TYPE)

    return routes


def health(engine: Engine) -> dict[str, Any]:
    """`ready` while the broker takes messages and at least one door is open, where this process has doors.

    The rest says what is not well.
    """
    names = [channel.name for channel in engine.site.channels]
    closed = dict(engine.doors.closed)
    refused = sorted({f.file for f in engine.site.findings if f.severity == "error"})
    has_doors = "intake" in engine.roles
    ready = engine.started and engine.broker.open and (not has_doors or len(closed) < len(names))
    return {
        "ready": ready,
        "roles": sorted(engine.roles),
        "digest": engine.site.digest,
        "digests": {channel.name: channel.digest for channel in engine.site.channels},
        "reload_refused": engine.reload.last is not None and engine.reload.last.refused,
        "unattended": engine.unattended,
        "emptying": ["/".join(way) for way, post in engine.posts.items() if post.ending and post.outlet],
        "broker": "open" if engine.broker.open else "down",
        **(_journal(engine) if "journal" in engine.roles else {}),
        "channels": (
            dict.fromkeys(names, "open") | engine.doors.troubles | engine.paused() | closed
            if has_doors
            else {}
        ),
        **stopped(engine.board),
        "alerts": {
            str(alert.name): " ".join(texts(alert.name, alert.fact)) for alert in engine.open_alerts()
        },
        "refused_files": refused,
    }


def _journal(engine: Engine) -> dict[str, Any]:
    return {
        "journal": "writing" if engine.journal.ok else "waiting for its database",
        "journal_parked": engine.journal.parked,
        "missing": {f"{one.channel}/{one.destination}": str(one) for one in engine.conservation.missing},
    }


def stopped(board: Board) -> dict[str, Any]:
    """What operators stopped, and what waits for them: no reason to send this engine nothing more."""
    modes = {"/".join(way): f"{mode.state}: {mode.reason}".rstrip(": ") for way, mode in board.modes.items()}
    held = {held.queue: f"{held.code} at message {held.id}" for held in board.held.values()}
    return {"destinations": modes, "held_lanes": held}


def _operate(engine: Engine) -> APIRouter:
    routes = APIRouter(prefix="/api", tags=["operate"])

    @routes.get("/status")
    async def status() -> dict[str, Any]:
        """Health, and what waits for every destination now."""
        with contextlib.suppress(BrokerDown):  # then what was seen last
            await engine.gauges.sample()
        waiting = engine.gauges.waiting()
        return {
            **health(engine),
            "waiting": [
                {"channel": w.channel, "destination": w.destination, "depth": w.depth, "oldest_s": w.oldest_s}
                for w in waiting
            ],
        }

    return routes
