"""The operator's routes for reconciliation, under /api/reconcile."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import APIRouter, HTTPException, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from config.errors import Refused, Unreachable
from router.api_lists import MOST
from router.reconcile.desk import Person, Reconciler
from router.reconcile.kept import Source

T = TypeVar("T")
_DAY = r"^\d{4}-\d\d-\d\d$"
Day = Annotated[str, Field(pattern=_DAY)]
_NOT_FOUND = ("JL-Q010", "JL-Q030")


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Statement(_Asked):
    """A statement by hand: its bytes in base64."""

    form: str = Field(max_length=40, description="wechat, alipay, unionpay, aggregated, terminal, his")
    body: str = Field(max_length=300_000_000)
    merchants: list[str] = Field([], max_length=100)
    sha1: str = Field("", max_length=40, description="as the channel gave it")


class Said(_Asked):
    who: str = Field(min_length=1, max_length=100, description="who says so 签字人")
    office: str = Field(
        min_length=1, max_length=40, description="finance, cashier head, insurance office ... 部门"
    )


class Explanation(_Asked):
    """Why a difference is none, or what was done about it; by the offices of its class."""

    by: list[Said] = Field(min_length=1, max_length=5)
    reason: str = Field(min_length=1, max_length=500, description="why 原因")
    evidence: str = Field("", max_length=500, description="the document that shows it 凭证")
    journal: str = Field("", max_length=200, description="the journal that corrects the books 更正凭证")


class Sign(_Asked):
    who: str = Field(min_length=1, max_length=100)
    office: str = Field("finance", max_length=40)
    second: str = Field("", max_length=100, description="the second person 复核人")


def routes(desk: Reconciler) -> APIRouter:
    made = APIRouter(prefix="/api/reconcile", tags=["operate"])

    @made.get("/days")
    async def days(
        system: str = "", limit: Annotated[int, Query(ge=1, le=MOST)] = 100
    ) -> list[dict[str, Any]]:
        """Statements that came, the newest days first, with what is open and who signed."""
        return [msgspec.to_builtins(one) for one in await _answered(desk.days(system, limit))]

    @made.get("/items")
    async def items(
        system: str = "",
        day: str = "",
        state: str = "live",
        until: str = "",
        limit: Annotated[int, Query(ge=1, le=10_000)] = MOST,
    ) -> list[dict[str, Any]]:
        """Differences, oldest first. `state`: TRANSIT, OPEN, EXPLAINED, RESOLVED, or `live` for all but the last."""
        return msgspec.to_builtins(await _answered(desk.kept.items(system, day, state, until, limit)))  # type: ignore[no-any-return]

    @made.get("/items/{id}")
    async def item(id: str) -> dict[str, Any]:
        """One difference, and all that became of it."""
        found, events = await _answered(desk.show(id))
        return {**msgspec.to_builtins(found), "events": msgspec.to_builtins(events)}

    @made.post("/items/{id}/explanations")
    async def explain(id: str, said: Explanation) -> dict[str, Any]:
        """Durable when it is answered."""
        by = [Person(one.who, one.office) for one in said.by]
        return msgspec.to_builtins(  # type: ignore[no-any-return]
            await _answered(desk.explain(id, by, said.reason, said.evidence, said.journal))
        )

    _days(made, desk)
    _exports(made, desk)
    return made


def _days(made: APIRouter, desk: Reconciler) -> None:
    """A day of a system: taken, compared, resolved by rule, signed."""

    @made.post("/{system}/{day}/statement")
    async def take(system: str, day: Day, said: Statement) -> dict[str, Any]:
        """Keeps a statement and compares its day and those that waited for it."""
        try:
            body = base64.b64decode(said.body, validate=True)
        except (ValueError, binascii.Error):
            raise HTTPException(422, "JL-Q001: `body` is no base64 不是base64") from None
        source = Source(system, said.form, tuple(said.merchants))
        return msgspec.to_builtins(await _answered(desk.take(source, day, body, said.sha1)))  # type: ignore[no-any-return]

    @made.post("/{system}/{day}/runs")
    async def run(system: str, day: Day) -> dict[str, Any]:
        """Compares a day again."""
        return msgspec.to_builtins(await _answered(desk.run(system, day)))  # type: ignore[no-any-return]

    @made.post("/{system}/{day}/resolutions")
    async def resolve(system: str, day: Day) -> dict[str, int]:
        """What rules can do: the channel is asked, what was paid twice goes back, what nobody owns is in suspense."""
        return {"tried": await _answered(desk.resolve(system, day))}

    @made.post("/{system}/{day}/signature")
    async def sign(system: str, day: Day, said: Sign) -> dict[str, Any]:
        """No item until this day may be without an explanation."""
        return msgspec.to_builtins(  # type: ignore[no-any-return]
            await _answered(desk.sign(system, day, said.who, said.office, said.second))
        )


def _exports(made: APIRouter, desk: Reconciler) -> None:
    """Each is written down: who took what."""

    @made.get("/{system}/{day}/report")
    async def report(
        system: str,
        day: Day,
        who: Annotated[str, Query(min_length=1, max_length=100)],
        name: str = "",
        form: Annotated[str, Query(pattern="^(json|csv|xlsx)$")] = "json",
    ) -> Response:
        """A day's reports as tables. Without `name` all of them; CSV has one."""
        body, kind = await _answered(desk.report(system, day, name, form, who))
        return Response(body, media_type=kind)


async def _answered(asked: Awaitable[T]) -> T:
    try:
        return await asked
    except Refused as error:
        raise HTTPException(404 if error.code in _NOT_FOUND else 409, str(error)) from None
    except Unreachable as error:
        raise HTTPException(503, str(error)) from None
