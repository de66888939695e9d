"""`insurance:` of jingluo.yaml: what the engine remembers of its talk with insurance centres."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from config.secrets import Secret
from config.tls import Identity
from config.units import Seconds


class InsuranceSettings(BaseModel):
    """What the engine remembers of its talk with insurance centres: in the journal's database, under its key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keep: Seconds = Field(
        default=400 * 86_400.0,
        description="for how long exchanges that have an end are kept 医保交易记录保存期",
    )


class InsurancePlace(BaseModel):
    """With where that is. `database` is empty where this process was not given what it needs to open it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keep: float  # seconds
    database: Secret = Secret("")
    database_tls: Identity | None = None
    key: Secret = Secret("")
    old_keys: tuple[Secret, ...] = ()
