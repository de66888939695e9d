"""What settlements say when they are done, as a source: each event is a message, in queues and in the journal."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from config import registry
from endpoints.base import Doorless, Options


class SourceOptions(Options):
    """`from: {events: settlement.completed}`: each such event of any settlement, at least once."""

    makes: ClassVar[str] = "json"
    short: ClassVar[str] = "of"

    of: str = Field(
        min_length=1, description="as a settlement's step calls it: `settlement.completed` of `emit`"
    )


@registry.source("events")
class EventSource(Doorless):
    """Nothing to open: the engine hands the events over by itself."""

    Options: ClassVar[type[Options]] = SourceOptions
