"""`alert:` of a channel, and `alerts:` of a site: what somebody is to be told of, and from when on it is too much."""

from __future__ import annotations

import math
import re
import sys
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from config.units import seconds

NEVER = "never"
ALERTS = "alerts"  # the kind of source that alerts come in by
_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d"
_HOURS = re.compile(rf"({_CLOCK})-({_CLOCK})")
_DAY = 24 * 60  # minutes


class Hours(NamedTuple):
    """Hours of the day, in minutes since midnight, local time. Where `end` is not after `begin`, it is tomorrow's."""

    begin: int
    end: int

    def since(self, minute: float) -> float | None:
        """For how many minutes it has been within the hours at this minute of the day; None outside of them.

        >>> Hours(7 * 60, 19 * 60).since(8 * 60), Hours(19 * 60, 7 * 60).since(60), Hours(420, 1140).since(1140)
        (60, 360, None)
        """
        gone = (minute - self.begin) % _DAY
        return gone if gone < ((self.end - self.begin) % _DAY or _DAY) else None

    def __str__(self) -> str:
        return "-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in self)


def _hours(value: Any) -> Any:
    match = _HOURS.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is no part of a day; write it so: '07:00-19:00'")
    begin, end = (int(clock[:2]) * 60 + int(clock[3:]) for clock in match.groups())
    return Hours(begin, end)


def _time(value: Any) -> Any:
    return math.inf if value == NEVER else seconds(value)


def _count(value: Any) -> Any:
    return sys.maxsize if value == NEVER else value


_Time = Annotated[
    float,
    BeforeValidator(_time),
    Field(gt=0),
    WithJsonSchema({"type": "string", "pattern": r"^(never|\d+(\.\d+)?(ms|s|m|h|d))$"}),
]
_Count = Annotated[
    int,
    BeforeValidator(_count),
    Field(ge=1),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"const": NEVER}]}),
]
_Hours = Annotated[
    Hours,
    BeforeValidator(_hours),
    WithJsonSchema({"type": "string", "pattern": f"^{_CLOCK}-{_CLOCK}$"}),
]


class AlertSettings(BaseModel):
    """What an alert is opened for. `never` is for a channel that shall not have what its site says of all."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    silent: _Time | None = Field(default=None, description="no message was accepted for so long")
    hours: _Hours | None = Field(
        default=None, description="`silent` counts within these hours of the day alone, local time"
    )
    oldest: _Time | None = Field(default=None, description="a message waits for a destination for longer")
    dead: _Count | None = Field(
        default=None, description="so many dead letters of a destination within an hour"
    )

    def over(self, site: AlertSettings) -> AlertSettings:
        """What counts: this, and where it says nothing what the site says. `never` is then None too."""
        said = {name: getattr(self, name) or getattr(site, name) for name in type(self).model_fields}
        return self.model_construct(
            **{k: None if v in (math.inf, sys.maxsize) else v for k, v in said.items()}
        )
