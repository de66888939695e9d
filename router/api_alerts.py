"""The operator's list of alerts, /api/alerts: those that are open and the latest that are over."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from router.alerts.book import Alert
from router.alerts.kinds import KINDS, texts
from router.api_lists import MOST, After, Limit, linked, part
from router.api_messages import Moment, Word, ms_of


class Shown(BaseModel):
    """`closed_ms` is 0 while it is open. `figure` and `limit` are seconds or a count, by what it is about."""

    id: str
    what: str
    severity: str
    channel: str
    destination: str
    about: str
    figure: float
    limit: float
    opened_ms: int
    closed_ms: int
    english: str
    chinese: str


def routes(alerts: Callable[[], Iterable[Alert]]) -> APIRouter:
    made = APIRouter(prefix="/api/alerts", tags=["operate"])

    @made.get("")
    async def all(
        request: Request, response: Response, state: Literal["", "open", "closed"] = "", what: Word = "",
        channel: Word = "", since: Moment = None, until: Moment = None, limit: Limit = MOST, after: After = "",
    ) -> list[Shown]:  # fmt: skip
        """Newest first; those that were open at any time from `since` on and before `until`."""
        since_ms, until_ms = ms_of(since), ms_of(until)
        wanted = [
            shown(one)
            for one in sorted(alerts(), key=lambda one: (one.opened_ms, one.id), reverse=True)
            if state in ("", "closed" if one.closed_ms else "open")
            and what in ("", one.name.what)
            and channel in ("", one.name.channel)
            and (since_ms is None or not one.closed_ms or one.closed_ms >= since_ms)
            and (until_ms is None or one.opened_ms < until_ms)
        ]
        some, following = part(wanted, lambda one: one.id, limit, after)
        linked(response, request, following)
        return some

    return made


def shown(alert: Alert) -> Shown:
    name, fact = alert.name, alert.fact
    english, chinese = texts(name, fact)
    return Shown(
        id=alert.id,
        severity=KINDS[name.what].severity,
        **name._asdict(),
        figure=round(fact.figure, 1),
        limit=fact.limit,
        opened_ms=alert.opened_ms,
        closed_ms=alert.closed_ms,
        english=english,
        chinese=chinese,
    )
