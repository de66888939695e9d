"""The operator's routes for destinations, under /api/destinations."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Literal, TypeVar

from fastapi import APIRouter, HTTPException, Request, Response

from router.api_lists import MOST, After, Limit, linked, part
from router.brokers.base import BrokerDown
from router.destinations import Destinations, NotPossible, Order, Shown

T = TypeVar("T")


def routes(destinations: Destinations) -> APIRouter:
    made = APIRouter(prefix="/api/destinations", tags=["operate"])

    @made.get("")
    async def all(
        request: Request,
        response: Response,
        channel: str = "",
        state: str = "",
        limit: Limit = MOST,
        after: After = "",
    ) -> list[Shown]:
        """Every destination: whether it runs, what waits, which lanes are held. `after`: channel/destination."""
        known = await _answered(destinations.all())
        wanted = [one for one in known if channel in ("", one.channel) and state in ("", one.state)]
        some, following = part(wanted, lambda one: f"{one.channel}/{one.destination}", limit, after)
        linked(response, request, following)
        return some

    @made.get("/{channel}/{destination}")
    async def one(channel: str, destination: str) -> Shown:
        return await _answered(destinations.one((channel, destination)))

    @made.post("/{channel}/{destination}/{what}")
    async def order(
        channel: str, destination: str, what: Literal["pause", "resume", "drain", "skip"], order: Order
    ) -> Shown:
        """Answers once it is durable. Sends that are under way at a pause still end."""
        way = (channel, destination)
        match what:
            case "pause":
                return await _answered(destinations.set(way, "paused", order))
            case "drain":
                return await _answered(destinations.set(way, "draining", order))
            case "resume":
                return await _answered(destinations.resume(way, order))
            case "skip":
                return await _answered(destinations.skip(way, order))

    return made


async def _answered(asked: Awaitable[T]) -> T:
    try:
        return await asked
    except NotPossible as error:
        raise HTTPException(404 if error.code == "JL-D910" else 409, str(error)) from None
    except BrokerDown as error:
        raise HTTPException(503, str(error)) from None
