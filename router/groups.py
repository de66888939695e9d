"""Which messages a collecting destination made one of: said on a stream of the broker before it is handed over.

After a crash the messages of a group come again, some of them or all, and others that came since stand behind them.
What was said tells which belong together: a group that was not handed over is handed over as it was, under the same id;
of one that was, the rest leaves the queue.

Only who has taken the queue last can say anything of it: whoever takes it over has heard all that was said before, and
what the other says later counts for nobody.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Sequence
from hashlib import blake2b

import msgspec

from router.brokers.base import Broker, QueueSpec
from router.stream import Stream

# At its limit it forgets its oldest entries: a group matters until all of it has left the queue.
GROUPS = QueueSpec("jl.groups", stream=True, max_length=4_000, max_bytes=32_000_000)
_KEPT = 50_000  # messages of groups that have ended, a queue
_DIGEST = 8  # bytes


class _Took(msgspec.Struct, frozen=True, tag="took", array_like=True):
    queue: str
    mark: str


class _Formed(msgspec.Struct, frozen=True, tag="formed", array_like=True):
    """Groups: the id of each, and the digests of its messages' ids, one after the other."""

    queue: str
    mark: str
    groups: tuple[tuple[str, bytes], ...]


class _Ended(msgspec.Struct, frozen=True, tag="ended", array_like=True):
    """Groups by id. With a code their messages are dead letters, else they were handed over."""

    queue: str
    ends: tuple[tuple[str, str], ...]


class _Dissolved(msgspec.Struct, frozen=True, tag="dissolved", array_like=True):
    queue: str
    ids: tuple[str, ...]


_decoder = msgspec.msgpack.Decoder(_Took | _Formed | _Ended | _Dissolved)


class Known(msgspec.Struct):
    """A group as it was formed. `ended`: what became of it, '' handed over, else the code; None: nobody knows."""

    id: str
    items: frozenset[bytes]
    ended: str | None = None


class Lost(Exception):
    """Another process has taken the queue."""


class _Queue:
    """What was said of one queue."""

    def __init__(self) -> None:
        self.mark = ""
        self.groups: dict[str, Known] = {}
        self._of: dict[bytes, Known] = {}

    def find(self, digest: bytes) -> Known | None:
        return self._of.get(digest)

    def add(self, known: Known) -> None:
        self.groups[known.id] = known
        self._of.update(dict.fromkeys(known.items, known))

    def remove(self, id: str) -> None:
        known = self.groups.pop(id, None)
        for digest in known.items if known else ():
            if self._of.get(digest) is known:
                del self._of[digest]

    def forget(self) -> None:
        ended = [known for known in self.groups.values() if known.ended is not None]
        kept = sum(len(known.items) for known in ended)
        for known in ended:
            if kept <= _KEPT:
                return
            kept -= len(known.items)
            self.remove(known.id)


class Groups:
    """What all processes know of the groups of all queues."""

    def __init__(self, broker: Broker) -> None:
        self._stream = Stream(broker, GROUPS, self._heard)
        self._queues: dict[str, _Queue] = {}
        self._own: dict[str, str] = {}  # by queue: our mark
        self._starting = asyncio.Lock()
        self._started = False

    async def start(self) -> None:
        """Once, by whoever needs it first. Raises BrokerDown."""
        async with self._starting:
            if not self._started:
                await self._stream.start()
                self._started = True

    async def take(self, queue: str) -> None:
        """From now on its groups are ours to form, and all is known of those before. Raises BrokerDown."""
        self._own[queue] = uuid.uuid4().hex
        await self._stream.say(_Took(queue, self._own[queue]))

    def find(self, queue: str, message_id: str) -> Known | None:
        """The group that a message is in."""
        known = self._queues.get(queue)
        return known.find(_digest(message_id)) if known else None

    async def form(self, queue: str, groups: Iterable[tuple[str, Sequence[str]]]) -> None:
        """Each with its id and those of its messages. Returns when it is durable. Raises Lost, BrokerDown."""
        made = tuple((id, b"".join(map(_digest, ids))) for id, ids in groups)
        await self._stream.say(_Formed(queue, self._own[queue], made))
        if self._queues[queue].mark != self._own[queue]:
            raise Lost

    async def end(self, queue: str, ends: Iterable[tuple[str, str]]) -> None:
        """With the code of what made them dead letters, or ''. Raises BrokerDown."""
        await self._stream.say(_Ended(queue, tuple(ends)))

    async def dissolve(self, queue: str, ids: Iterable[str]) -> None:
        """Groups that were not handed over and are not whole any more. Raises BrokerDown."""
        await self._stream.say(_Dissolved(queue, tuple(ids)))

    def _heard(self, body: bytes) -> None:
        entry = _decoder.decode(body)
        of = self._queues.setdefault(entry.queue, _Queue())
        match entry:
            case _Took(_, mark):
                of.mark = mark
            case _Formed(_, mark, groups):
                for id, digests in groups if mark == of.mark else ():
                    of.add(Known(id, frozenset(_parts(digests))))
            case _Ended(_, ends):
                for id, code in ends:
                    if (known := of.groups.get(id)) is not None:
                        known.ended = code
                of.forget()
            case _Dissolved(_, ids):
                for id in ids:
                    of.remove(id)


def _digest(message_id: str) -> bytes:
    return blake2b(message_id.encode(), digest_size=_DIGEST).digest()


def _parts(digests: bytes) -> Iterable[bytes]:
    return (digests[at : at + _DIGEST] for at in range(0, len(digests), _DIGEST))
