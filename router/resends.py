"""Resends that come to another machine: what one intake remembers, all hear, by a stream of the broker.

A sender whose machine died turns to the next one and sends again what was not answered. That one has heard by then
what was accepted. Nobody waits for it: a key is told while it is written to its own machine's disk, and a machine that
dies within those milliseconds takes it along; so does one resend that overtakes it. Then a message is doubled, never
lost.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator

import msgspec

from router.brokers.base import Broker, QueueSpec
from router.duplicates import Row, Seen
from router.stream import Stream

# At its limit it forgets its oldest: half a million keys, for machines that were down.
SEEN = QueueSpec("jl.seen", stream=True, max_length=500_000, max_bytes=64_000_000)
_ENTRY_BYTES = 200_000
_UNTOLD = 1_000  # entries that wait for a broker, at most
_APART_MS = 600_000  # clocks of two machines may differ by so much


class _Told(msgspec.Struct, frozen=True, tag="seen", array_like=True):
    by: str  # the process
    at_ms: int
    rows: tuple[Row, ...]


_decode = msgspec.msgpack.Decoder(_Told).decode


class Resends:
    """Tells the others what this process's `seen` remembers, and teaches it what they tell."""

    def __init__(self, broker: Broker, seen: Seen, now_ms: Callable[[], int]) -> None:
        self._broker = broker
        self._seen = seen
        self._now_ms = now_ms
        self._stream = Stream(broker, SEEN, self._heard)
        self._own = uuid.uuid4().hex
        self._untold: deque[_Told] = deque(maxlen=_UNTOLD)
        self._started = False

    async def start(self) -> None:
        """Returns when all is known that others told while this machine was down. Once is enough. BrokerDown."""
        if self._started:
            return
        await self._stream.start(max(self._seen.heard_ms - _APART_MS, 0))
        self._started = True
        self._seen.tell = self._tell
        self._broker.on_change(self._alive)

    def _tell(self, rows: Iterable[Row]) -> None:
        for some in _entries(rows):
            self._say(_Told(self._own, self._now_ms(), some))

    def _say(self, told: _Told) -> None:
        def said(done: asyncio.Future[None]) -> None:
            if done.cancelled() or done.exception() is not None:
                self._untold.append(told)

        self._stream.mention(told).add_done_callback(said)

    def _alive(self, open: bool) -> None:
        if open:
            waiting = list(self._untold)
            self._untold.clear()
            for told in waiting:
                self._say(told)

    def _heard(self, body: bytes) -> None:
        told = _decode(body)
        self._seen.learn(told.rows if told.by != self._own else (), told.at_ms)


def _entries(rows: Iterable[Row]) -> Iterator[tuple[Row, ...]]:
    """In pieces of a size that a stream likes."""
    some: list[Row] = []
    size = 0
    for row in rows:
        if some and size + len(row[2]) > _ENTRY_BYTES:
            yield tuple(some)
            some, size = [], 0
        some.append(row)
        size += len(row[0]) + len(row[2])
    if some:
        yield tuple(some)
