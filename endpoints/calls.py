"""What settlements ask of a party, as a source: each call is a message, in a queue and in the journal like others."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from config import registry
from endpoints.base import Doorless, Options


class SourceOptions(Options):
    """`from: {calls: insurance}`: what settlements ask of that system. A call is sent once, and never tried again."""

    makes: ClassVar[str] = "json"
    short: ClassVar[str] = "of"

    of: str = Field(min_length=1, description="as settlements call it: `insurance` of `do: insurance.2207`")


@registry.source("calls")
class CallSource(Doorless):
    """Nothing to open: the engine hands the calls over by itself."""

    Options: ClassVar[type[Options]] = SourceOptions
