"""Which alerts are open, and which were: a stream of the broker, so that it outlives restarts and all processes agree.

What is said there counts once for all who hear it: an alert that is open is not opened again, and only the one that is
open is closed. Whose word came first decides, by the order in which all hear them.
"""

from __future__ import annotations

from collections import deque

import msgspec

from router.alerts.kinds import Fact, Name
from router.brokers.base import Broker, QueueSpec
from router.stream import Stream

ALERTS = QueueSpec("jl.alerts", stream=True, max_length=40_000, max_bytes=20_000_000)
_CLOSED_KEPT = 1_000


class Opened(msgspec.Struct, frozen=True, tag="opened", array_like=True):
    """From `at_ms` (Unix) on. `id` is this alert's own, of the form of a message's."""

    id: str
    name: Name
    fact: Fact
    at_ms: int


class Closed(msgspec.Struct, frozen=True, tag="closed", array_like=True):
    """The alert `id` is over."""

    id: str
    name: Name
    at_ms: int


class Told(msgspec.Struct, frozen=True, tag="told", array_like=True):
    """Those who are to hear of it have been told that the alert was opened, or (`closed`) that it is over."""

    id: str
    closed: bool


Entry = Opened | Closed | Told
_decoder = msgspec.msgpack.Decoder(Entry)


class Alert(msgspec.Struct, frozen=True):
    """An alert as it stands. `closed_ms` is 0 while it is open."""

    id: str
    name: Name
    fact: Fact
    opened_ms: int
    closed_ms: int = 0


class Book:
    """The state that all entries together make. `start` returns when everything said before is known."""

    def __init__(self, broker: Broker) -> None:
        self.open: dict[Name, Alert] = {}
        self.closed: deque[Alert] = deque(maxlen=_CLOSED_KEPT)  # the latest last
        self.untold: dict[tuple[str, bool], Alert] = {}  # by id, and whether it is its end
        self._stream = Stream(broker, ALERTS, self._heard)
        self.start = self._stream.start

    async def opened(self, entry: Opened) -> bool:
        """Durable when it returns: whether this opened it, or it was open. Raises BrokerDown."""
        await self._stream.say(entry)
        return (alert := self.open.get(entry.name)) is not None and alert.id == entry.id

    async def over(self, entry: Closed) -> None:
        """Raises BrokerDown."""
        await self._stream.say(entry)

    async def told(self, id: str, closed: bool) -> None:
        """Raises BrokerDown."""
        await self._stream.say(Told(id, closed))

    def _heard(self, body: bytes) -> None:
        match _decoder.decode(body):
            case Opened(id, name, fact, at_ms):
                if name not in self.open:
                    self.open[name] = self.untold[id, False] = Alert(id, name, fact, at_ms)
            case Closed(id, name, at_ms):
                alert = self.open.get(name)
                if alert is not None and alert.id == id:
                    del self.open[name]
                    over = msgspec.structs.replace(alert, closed_ms=at_ms)
                    self.closed.append(over)
                    self.untold[id, True] = over
            case Told(id, closed):
                self.untold.pop((id, closed), None)
