"""The operator's routes for what runs: /api/plan and /api/apply."""

from __future__ import annotations

from collections.abc import Awaitable

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from config.errors import JingluoError
from router.plan import Plan
from router.reload import Reload


class Ask(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    drain: bool = Field(default=False, description="deliver what waits for destinations that go")


def routes(reload: Reload) -> APIRouter:
    made = APIRouter(prefix="/api", tags=["operate"])

    @made.post("/plan")
    async def plan(ask: Ask) -> Plan:
        """What the files would change. Changes nothing."""
        return await _answered(reload.plan(drain=ask.drain))

    @made.post("/apply")
    async def apply(ask: Ask) -> Plan:
        """Puts the files to work; or changes nothing (`applied` is false), and `findings` say why."""
        return await _answered(reload.apply(drain=ask.drain))

    return made


async def _answered(asked: Awaitable[Plan]) -> Plan:
    try:
        return await asked
    except JingluoError as error:  # the broker is down, or the engine starts or stops
        raise HTTPException(503, str(error)) from None
