"""What all processes of a site agree on: what operators decided, which lanes are held, which orders a destination had.

One stream of the broker: an entry counts once it is durable there, every process hears all of them in the same order,
and at its start those of before. So a pause outlives restarts and reaches every process that delivers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from router.brokers.base import Broker, QueueSpec
from router.envelope import queues_of
from router.stream import Stream

BOARD = QueueSpec("jl.board", stream=True, max_length=1_000_000, max_bytes=200_000_000)

Way = tuple[str, str]  # a channel and one of its destinations
State = Literal["running", "paused", "draining"]


class Mode(msgspec.Struct, frozen=True, tag="mode", array_like=True):
    """An operator's word on a destination. `paused`: nothing is sent. `draining`: its channel takes nothing new."""

    channel: str
    destination: str
    state: State
    at_ms: int
    reason: str = ""


class Held(msgspec.Struct, frozen=True, tag="held", array_like=True):
    """A lane waits for an operator: the message `id` at its head was given up for `code`."""

    queue: str
    id: str
    code: str
    reason: str
    at_ms: int


class Decided(msgspec.Struct, frozen=True, tag="decided", array_like=True):
    """What shall become of the head of a held lane: another try, or (`skip`) a dead letter."""

    queue: str
    id: str
    skip: bool
    at_ms: int


class Ordered(msgspec.Struct, frozen=True, tag="ordered", array_like=True):
    """From here on a destination has so many lanes; 0: no order."""

    channel: str
    destination: str
    lanes: int


class Drained(msgspec.Struct, frozen=True, tag="drained", array_like=True):
    """A queue has delivered all that came into it in one era (the number of an `Ordered` of its destination)."""

    queue: str
    era: int


Entry = Mode | Held | Decided | Ordered | Drained
_decoder = msgspec.msgpack.Decoder(Entry)


class Board:
    """The state that all entries together make. `start` returns when everything said before is known."""

    def __init__(self, broker: Broker) -> None:
        self.modes: dict[Way, Mode] = {}  # of those that do not simply run
        self.held: dict[str, Held] = {}  # by queue
        self.skipped: dict[str, Held] = {}  # by queue: the hold that its operator ended with `skip`
        self._resumed: dict[str, Decided] = {}  # by queue: the last hold that ended with another try
        self._eras: dict[
            Way, list[int]
        ] = {}  # the numbers of lanes that a destination had, one after the other
        self._drained: set[tuple[str, int]] = set()
        self._stream = Stream(broker, BOARD, self._heard)
        self._listeners: list[Callable[[], None]] = []
        self.start = self._stream.start

    def listen(self, tell: Callable[[], None]) -> Callable[[], None]:
        """`tell()` after each entry, until what this returns is called."""
        self._listeners.append(tell)
        return lambda: self._listeners.remove(tell)

    async def say(self, entry: Entry) -> None:
        """Returns when it is durable, and known here. Raises BrokerDown."""
        await self._stream.say(entry)

    # Operators

    def state(self, way: Way) -> State:
        mode = self.modes.get(way)
        return mode.state if mode else "running"

    def ways(self, state: State) -> list[Way]:
        return sorted(way for way, mode in self.modes.items() if mode.state == state)

    def skips(self, queue: str, id: str) -> Held | None:
        """Why the message was held, where its operator wants it to become a dead letter."""
        held = self.skipped.get(queue)
        return held if held is not None and held.id == id else None

    def resumed_ms(self, queue: str, id: str) -> int:
        """When the message's operator wanted another try of it (Unix ms), or 0."""
        decided = self._resumed.get(queue)
        return decided.at_ms if decided is not None and decided.id == id else 0

    # Orders

    def known(self) -> list[Way]:
        """Every destination that there ever was."""
        return list(self._eras)

    def eras(self, way: Way) -> list[int]:
        return self._eras.get(way, [])

    def undrained(self, way: Way, era: int) -> list[str]:
        """The queues that may hold messages of an era of before."""
        queues = queues_of(*way, self.eras(way)[era])
        return [queue for queue in queues if (queue, era) not in self._drained]

    def over(self, queue: str, era: int) -> bool:
        """Whether all that came into a queue in an era is delivered."""
        return (queue, era) in self._drained

    def in_turn(self, way: Way, queue: str, lanes: int) -> bool:
        """Whether all that came to the destination before what is now at the head of this queue is delivered."""
        eras = self.eras(way)
        now = [e for e, had in enumerate(eras) if had == lanes and (queue, e) not in self._drained][:1]
        return not any(self.undrained(way, era) for end in now for era in range(end) if eras[era] != lanes)

    def _heard(self, body: bytes) -> None:
        entry = _decoder.decode(body)
        match entry:
            case Mode(channel, destination, state):
                self.modes[channel, destination] = entry
                if state == "running":
                    del self.modes[channel, destination]
            case Held(queue):
                self.held[queue] = entry
            case Decided(queue, id, skip):
                held = self.held.get(queue)
                if held is not None and held.id == id:
                    del self.held[queue]
                    if skip:
                        self.skipped[queue] = held
                    else:
                        self._resumed[queue] = entry
            case Ordered(channel, destination, lanes):
                eras = self._eras.setdefault((channel, destination), [])
                if not eras or eras[-1] != lanes:  # two processes may say it at once
                    eras.append(lanes)
            case Drained(queue, era):
                self._drained.add((queue, era))
        for tell in list(self._listeners):
            tell()
