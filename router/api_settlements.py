"""The operator's routes for settlements, under /api/settlements."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated, Literal, TypeVar

from fastapi import APIRouter, HTTPException, Query, Request, Response

from config.errors import Unreachable
from router.api_lists import MOST, After, Limit, linked
from router.settlement.ledger_shown import DepositShown, Proved, Suspended
from router.settlement.operators import Decide, NotDecided, Operators, Shown, Story

T = TypeVar("T")


def routes(operators: Operators) -> APIRouter:
    made = APIRouter(prefix="/api/settlements", tags=["operate"])

    @made.get("")
    async def all(
        request: Request,
        response: Response,
        state: str = "",
        name: str = "",
        since_ms: int = 0,
        limit: Limit = MOST,
        after: After = "",
    ) -> list[Shown]:
        """Newest first. `state`: one of theirs, or `open` for all that have no end. `after`: a number."""
        found = await _answered(operators.list(state, name, since_ms, limit + 1, after))
        linked(response, request, found[limit - 1].number if len(found) > limit else "")
        return found[:limit]

    @made.get("/suspense")
    async def suspense(
        party: str = "",
        cls: Annotated[str, Query(alias="class", description="difference, unknown, left ...")] = "",
        least_fen: int = 0,
        by: Literal["age", "amount"] = "age",
        closed: bool = False,
        limit: Limit = MOST,
    ) -> Suspended:
        """Money that waits for a person: how much by party and age, and each; oldest or largest first."""
        return await _answered(operators.suspense(party, cls, least_fen, by, closed, limit))

    @made.get("/proof")
    async def proof(after: After = "", limit: Limit = MOST) -> Proved:
        """The journals of some settlements, recomputed: what was changed, is missing or stands elsewhere. Ask again
        with `after` as it is answered until that is ''."""
        return await _answered(operators.proof(after, limit))

    @made.get("/deposits/{admission}")
    async def deposit(admission: str, since_ms: int = 0, until_ms: int = 0) -> DepositShown:
        """What was paid in advance for an admission: opening + in - used - refunded = closing."""
        return await _answered(operators.deposit(admission, since_ms, until_ms))

    @made.get("/{number}")
    async def one(number: str) -> Story:
        """What was tried of whom, what was decided, and what the ledger has."""
        return await _answered(operators.show(number))

    @made.post("/{number}/decisions")
    async def decide(number: str, said: Decide) -> Story:
        """Durable when it is answered; then the settlement goes on."""
        return await _answered(operators.decide(number, said))

    return made


async def _answered(asked: Awaitable[T]) -> T:
    try:
        return await asked
    except NotDecided as error:
        raise HTTPException(404 if error.code == "JL-T012" else 409, str(error)) from None
    except Unreachable as error:
        raise HTTPException(503, str(error)) from None
