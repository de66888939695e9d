"""The operator's routes for settlements, under /api/settlements."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Literal, TypeVar

import structlog
from fastapi import APIRouter, HTTPException, Query, Request, Response

from config.errors import Unreachable
from router.api_lists import MOST, After, Limit, linked
from router.settlement.ledger_shown import Checked, DepositShown, Proved, Suspended, Unsound, Waits
from router.settlement.operators import Ask, Close, Decide, NotDecided, Operators, Release
from router.settlement.shown import Shown, Story
from router.settlement.watch import Watch
from router.store import StoreError

T = TypeVar("T")
log = structlog.get_logger()


def routes(operators: Operators, watch: Watch, note: Callable[[str, str], None] | None = None) -> APIRouter:
    """`note` writes into the journal that somebody did something; it may block."""
    made = APIRouter(prefix="/api/settlements", tags=["operate"])
    _add_lists(made, operators)
    _add_ledger(made, operators, watch)
    _add_acts(made, operators, note)
    return made


def _add_lists(made: APIRouter, operators: Operators) -> None:
    @made.get("")
    async def all(
        request: Request,
        response: Response,
        state: str = "",
        name: str = "",
        since_ms: int = 0,
        stuck: bool = False,
        limit: Limit = MOST,
        after: After = "",
    ) -> list[Shown]:
        """Newest first. `state`: one of theirs, or `open` for all that have no end. `after`: a number. `stuck`: only
        those that wait for a person, take far longer than usual, or know too long of no outcome; oldest first."""
        if stuck:
            return list(await _answered(operators.stuck(name, limit)))
        found = await _answered(operators.list(state, name, since_ms, limit + 1, after))
        linked(response, request, found[limit - 1].number if len(found) > limit else "")
        return list(found[:limit])

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


def _add_ledger(made: APIRouter, operators: Operators, watch: Watch) -> None:
    @made.get("/findings")
    async def findings(closed: bool = False, limit: Limit = MOST) -> list[Unsound]:
        """What must hold of settlements and did not, newest first. It is looked for each minute over what changed."""
        return list(await _answered(operators.findings(closed, limit)))

    @made.post("/check")
    async def check(after: After = "", limit: Limit = 200) -> Checked:
        """Looks at some settlements now. Ask again with `after` as it is answered until that is ''."""
        return await _answered(watch.page(after, limit))

    @made.get("/proof")
    async def proof(after: After = "", limit: Limit = MOST) -> Proved:
        """The journals of some settlements, recomputed: what was changed, is missing or stands elsewhere. Ask again
        with `after` as it is answered until that is ''."""
        return await _answered(operators.proof(after, limit))

    @made.get("/deposits/{admission}")
    async def deposit(admission: str, since_ms: int = 0, until_ms: int = 0) -> DepositShown:
        """What was paid in advance for an admission: opening + in - used - refunded = closing."""
        return await _answered(operators.deposit(admission, since_ms, until_ms))


def _add_acts(made: APIRouter, operators: Operators, note: Callable[[str, str], None] | None) -> None:
    """Beside one itself: its path would take the others' names."""

    @made.get("/{number}")
    async def one(number: str) -> Story:
        """What was tried of whom, what was decided, and what the ledger has."""
        return await _answered(operators.show(number))

    @made.post("/{number}/decisions")
    async def decide(number: str, said: Decide) -> Story:
        """Durable when it is answered; then the settlement goes on."""
        story = await _answered(operators.decide(number, said))
        await _noted(note, number, said.what, said.step, said.who, said.second)
        return story

    @made.post("/suspense/close")
    async def close(said: Close) -> Waits:
        """Closes an item of an order, or of a settlement that has ended: with a document and a second person; `to`
        books its money to that account."""
        item = await _answered(operators.close_item(said))
        await _noted(note, item.book, "close", said.id, said.who, said.second)
        return item

    @made.post("/{number}/ask")
    async def ask(number: str, said: Ask) -> Story:
        """Asks a step's party now; its answer is an attempt of direction `probe` once it came."""
        story = await _answered(operators.ask(number, said))
        await _noted(note, number, "ask", said.step, said.who)
        return story

    @made.post("/{number}/release")
    async def release(number: str, said: Release) -> Story:
        """Frees the bills of a SUSPENDED settlement of which nothing is left."""
        story = await _answered(operators.release(number, said))
        await _noted(note, number, "release", "", said.who, said.second)
        return story


async def _noted(
    note: Callable[[str, str], None] | None, number: str, what: str, step: str, who: str, second: str = ""
) -> None:
    """Who did what, into the journal's chain of notes and the log; what they decided is a row of the settlement."""
    log.info("settlement.decided", settlement=number, what=what, step=step, who=who, second=second)
    if note is not None:
        people = f"{who} + {second}" if second else who
        about = " ".join(filter(None, (f"settlement {number}:", what, step, "by", people)))
        try:
            await asyncio.to_thread(note, "decided", about)
        except StoreError as error:  # the decision itself is durable
            log.warning("settlement.not_noted", settlement=number, code=error.code)


async def _answered(asked: Awaitable[T]) -> T:
    try:
        return await asked
    except NotDecided as error:
        raise HTTPException(404 if error.code == "JL-T012" else 409, str(error)) from None
    except Unreachable as error:
        raise HTTPException(503, str(error)) from None
