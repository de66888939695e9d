"""The interface of a broker, and the promises both brokers keep.

* `publish` puts one body into several queues in one durable step: the Future resolves only when all of them
  have it on disk; otherwise it fails and the sender is told so.
* A queue is declared before anything is published to it; publishing to a queue that was not declared fails.
* A delivery that was neither acknowledged nor released comes back after a crash, flagged `redelivered`.
* What a cancelled consumer had not acknowledged returns to the head of its queue, in its old order, flagged.
* `publish(..., delay_s=...)` makes the body appear in the queues after that time: the wait is durable too.
* A stream is a queue that is read, not emptied: who follows it hears every entry, from the first on, in the one order
  that all who follow it hear.
* `Delivered.deliveries` counts how often a message was handed out, also where it was only held ahead: more than
  one makes a message worth watching, and it takes `POISON_AFTER` tries that ended the process to park it.
All methods are called from the event loop's thread; none blocks it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from msgspec import Struct

from config.errors import JingluoError

POISON_AFTER = 3
MAYBE_KEPT = frozenset(("JL-B006", "JL-B007"))  # failures after which a message may be kept all the same


class BrokerDown(JingluoError):
    """No broker, no room, or no confirm in time: nothing may be counted as kept."""


class QueueFull(BrokerDown):
    """A queue has reached its limit."""


@dataclass(frozen=True, slots=True)
class QueueSpec:
    """A durable queue. `single` gives it one active consumer at a time (a lane).

    A `stream` is followed instead of consumed; at its limit it forgets its oldest entries.
    """

    name: str
    single: bool = False
    stream: bool = False
    max_length: int = 1_000_000  # messages
    max_bytes: int = 2_000_000_000


class Delivered(Struct, frozen=True):
    """A body handed to a consumer. `tag` belongs to the broker."""

    queue: str
    body: bytes
    tag: Any
    redelivered: bool = False
    deliveries: int = 1  # how often it was handed out, this time included, as far as the broker knows


@dataclass(frozen=True, slots=True)
class Depth:
    """`ready` waits in the queue, `held` is handed out and not acknowledged, `delayed` waits for its time.

    `bytes` are those of all their bodies; 0 where the broker does not know.
    """

    ready: int
    held: int = 0
    delayed: int = 0
    bytes: int = 0

    @property
    def total(self) -> int:
        return self.ready + self.held + self.delayed


@dataclass(frozen=True, slots=True)
class Standing:
    """Messages that wait in a queue, and how many consume from it, those of other processes too."""

    ready: int
    consumers: int


class Consumer(Protocol):
    async def cancel(self) -> None:
        """No more deliveries; what is not acknowledged goes back to the head of the queue."""


class Publisher(Protocol):
    """What a way in needs of a broker."""

    def publish(self, queues: Sequence[str], body: bytes, *, delay_s: float = 0) -> asyncio.Future[None]:
        """One durable publish. The Future fails with BrokerDown or QueueFull."""


class Post(Protocol):
    """Mail between the processes of one engine."""

    async def mailbox(self, on_mail: Callable[[bytes], None]) -> Callable[[], str]:
        """Says the address at which other processes reach this one now; empty where there are none (embedded)."""

    def post(self, address: str, body: bytes) -> None:
        """At most once, and only while the other process is there: for what nobody needs afterwards."""


class Broker(Publisher, Post, Protocol):
    def on_change(self, tell: Callable[[bool], None]) -> None:
        """`tell(True)` when the broker can take messages, `tell(False)` when it cannot."""

    @property
    def open(self) -> bool: ...

    async def start(self) -> None:
        """Connects (waits and tries again while there is no broker; returns once it is open)."""

    async def declare(self, queues: Sequence[QueueSpec]) -> None:
        """Makes the queues. Remembered: after a reconnect they are declared again before anything else."""

    async def delete(self, queues: Sequence[str]) -> None: ...

    async def consume(self, queue: str, on_delivery: Callable[[Delivered], None], prefetch: int) -> Consumer:
        """Calls `on_delivery` from the event loop; at most `prefetch` unacknowledged at once."""

    async def follow(self, stream: str, on_entry: Callable[[bytes], None], since_ms: int = 0) -> None:
        """Calls `on_entry` for every entry of a stream, also over a reconnect; once a process.

        From its first on, or from one that is no younger than `since_ms` (Unix ms).
        """

    def ack(self, delivered: Delivered) -> None:
        """Done with it. Batched; one of a lost connection is silently forgotten (it comes back)."""

    def holds(self, delivered: Delivered) -> bool:
        """Whether a delivery is still ours to finish: false once it has gone back to its queue."""

    async def depth(self, queues: Sequence[str]) -> dict[str, Depth]:
        """Also of a queue that is there and was not declared here. Raises BrokerDown where one is not there."""

    async def settled(self) -> None:
        """Returns when everything that was published until now has been confirmed, or has failed."""

    async def empty(self, queues: Sequence[str]) -> bool:
        """Whether for certain nothing is in them, and nothing waits for its time to come into them."""

    async def look(self, queue: str) -> Standing | None:
        """What there is to see of a queue, also of one that was not declared here; None where there is none."""

    async def delayed(self) -> int:
        """How many messages wait for their time, of all queues together."""

    async def delayed_in(self, queue: str, limit: int) -> list[bytes]:
        """Bodies that wait for their time in one queue, earliest published first; [] where nobody knows."""

    async def contents(self, queue: str, limit: int) -> list[bytes] | None:
        """Every body in a queue, handed out or waiting for its time too; None where there are more, or nobody knows."""

    async def stop(self) -> None:
        """Flushes acknowledgements, then lets go. What is unacknowledged comes back at the next start."""
