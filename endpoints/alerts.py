"""The engine's own alerts as a source: a channel of them sends on what an operator should know."""

from __future__ import annotations

from typing import ClassVar

from config import registry
from endpoints.base import Doorless, Options


class SourceOptions(Options):
    """`from: {alerts: {}}`: each alert of the engine is a message when it is opened, and when it is over."""

    makes: ClassVar[str] = "json"


@registry.source("alerts")
class AlertSource(Doorless):
    """Nothing to open: the engine hands its alerts over by itself."""

    Options: ClassVar[type[Options]] = SourceOptions
