"""`replay:` of jingluo.yaml: what a replay may take, so that live traffic is not held up."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ReplaySettings(BaseModel):
    """Of one job of the engine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    messages: int = Field(default=100_000, ge=1, le=10_000_000, description="the most that one job replays")
    rate: float = Field(default=200.0, gt=0, le=100_000, description="messages a second, at the most")
    waiting: int = Field(
        default=1000, ge=1, description="a job waits while so many wait for one of its destinations"
    )
