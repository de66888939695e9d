"""Which messages may be killing the workers: tries of redelivered messages that began and never ended.

A broker's count of deliveries also rises for what was merely held ahead when a process ended. So a try of a message
that was handed out before is announced on a stream while it lasts, and only a process that died in it never says that
it ended. All processes hear it: a message that kills one worker after the other is known to the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator

import msgspec
import structlog

from router.brokers.base import Broker, BrokerDown, QueueSpec
from router.stream import Stream

log = structlog.get_logger()

# What is older than that many tries of redelivered messages is forgotten: marks matter for minutes.
TRIES = QueueSpec("jl.tries", stream=True, max_length=20_000, max_bytes=4_000_000)


class _Began(msgspec.Struct, frozen=True, tag="began", array_like=True):
    id: str
    destination: str
    mark: str  # tells it from every other try


class _Ended(msgspec.Struct, frozen=True, tag="ended", array_like=True):
    id: str
    destination: str


_Key = tuple[str, str]  # a message and a destination
_decoder = msgspec.msgpack.Decoder(_Began | _Ended)


class Suspects:
    """Tries of all processes that have no end."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._stream = Stream(broker, TRIES, self._heard)
        self._unended: dict[_Key, set[str]] = {}  # marks of tries
        self._own: dict[str, _Key] = {}  # of those that this process is at
        self._unsaid: set[_Key] = set()  # they ended while no broker was there to hear it
        self._alone = asyncio.Lock()

    async def start(self) -> None:
        await self._stream.start()
        self._broker.on_change(self._alive)

    @contextlib.asynccontextmanager
    async def trying(self, message_id: str, destination: str) -> AsyncIterator[int]:
        """Around a try: how many before it began and never ended. Whatever way this one ends, that is said.

        A message with a try that never ended is tried when no other such is: if the process dies in it, it was this
        one, and not one of those that happened to be under way.
        """
        key = (message_id, destination)
        mark = uuid.uuid4().hex
        async with self._alone if key in self._unended else contextlib.nullcontext():
            self._own[mark] = key
            try:
                with contextlib.suppress(BrokerDown):  # without a broker, nothing comes of the try
                    await self._stream.say(_Began(*key, mark))
                yield len(self._unended.get(key, set()) - self._own.keys())
            finally:
                del self._own[mark]
                self._end(key)

    def _end(self, key: _Key) -> None:
        def said(done: asyncio.Future[None]) -> None:
            if done.cancelled() or done.exception() is not None:
                self._unsaid.add(key)

        self._stream.mention(_Ended(*key)).add_done_callback(said)

    def _alive(self, open: bool) -> None:
        """The line was cut, and others have got what was tried here: it did not end with this process."""
        if open:
            unsaid, self._unsaid = self._unsaid, set()
            for key in unsaid.union(self._own.values()):
                self._end(key)

    def _heard(self, body: bytes) -> None:
        match _decoder.decode(body):
            case _Began(id, destination, mark):
                self._unended.setdefault((id, destination), set()).add(mark)
            case _Ended(id, destination):
                self._unended.pop((id, destination), None)
