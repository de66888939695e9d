"""The operator's routes for messages, under /api/messages: found by all that the journal knows, newest first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi import Query as Asked

from router.api_lists import After, Limit, linked
from router.search import PAGE, BadQuery, Query
from router.store import Store, StoreDown
from router.store.read import NotFound

T = TypeVar("T")

Word = Annotated[str, Asked(max_length=200)]
Index = Annotated[tuple[str, ...], Asked(max_length=8, description="name=value, whole; repeatable")]
Moment = Annotated[datetime | None, Asked(description="2026-01-31T08:00:00+08:00")]


def routes(store: Store) -> APIRouter:
    made = APIRouter(prefix="/api/messages", tags=["operate"])

    @made.get("")
    async def search(
        request: Request, response: Response, text: Word = "", channel: Word = "", destination: Word = "",
        state: Word = "", kind: Word = "", code: Word = "", index: Index = (), since: Moment = None,
        until: Moment = None, limit: Limit = PAGE, after: After = "",
    ) -> list[dict[str, Any]]:  # fmt: skip
        """All that is given must hold; `text` is an id (or its first digits), or any searchable value."""

        def look() -> Any:
            query = Query(
                text=text, channel=channel, destination=destination, state=state,  # type: ignore[arg-type]
                kind=kind, code=code, index=_values(index), since_ms=ms_of(since), until_ms=ms_of(until),
            )  # fmt: skip
            return store.search(query, limit, after)

        page = await _answered(look)
        linked(response, request, page.next)
        return [asdict(one) for one in page.found]

    @made.get("/{id}")
    async def show(id: str) -> dict[str, Any]:
        """Its whole way, without the message itself and the answers: those are opened by `jingluo log view`."""
        story = asdict(await _answered(lambda: store.show(id)))
        for secret in ("body", "headers", "blob"):
            del story[secret]
        story["tries"] = [
            {key: value for key, value in one.items() if key != "answer"} for one in story["tries"]
        ]
        return story

    return made


def _values(index: tuple[str, ...]) -> Mapping[str, str]:
    if wrong := [one for one in index if "=" not in one]:
        raise BadQuery("JL-J004", f"{wrong[0]!r} is no name=value")
    return dict(one.split("=", 1) for one in index)


def ms_of(moment: datetime | None) -> int | None:
    return int(moment.timestamp() * 1000) if moment is not None else None


async def _answered(ask: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(ask)
    except BadQuery as error:
        raise HTTPException(422, str(error)) from None
    except NotFound as error:
        raise HTTPException(404, str(error)) from None
    except StoreDown as error:
        raise HTTPException(503, str(error)) from None
