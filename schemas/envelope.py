"""What `$@` reads: the envelope of a message, as far as it is known where something is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Protocol


class Enveloped(Protocol):
    """A message, or what the journal has of it."""

    @property
    def id(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def channel(self) -> str: ...
    @property
    def received_ms(self) -> int: ...
    @property
    def parent(self) -> str: ...


def _received(message: Enveloped) -> str:
    at = datetime.fromtimestamp(message.received_ms // 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{message.received_ms % 1000:03d}Z"


ENVELOPE: dict[str, Callable[[Enveloped], str]] = {
    "id": lambda message: message.id,
    "source": lambda message: message.source,
    "received": _received,
    "channel": lambda message: message.channel,
    "parent": lambda message: message.parent,
}
ALL = (*ENVELOPE, "header")
DOOR = ("source", "header")  # what is known before a message has its place in a channel
