"""One queue of the embedded broker as the event loop sees it: what is in memory, who consumes, what counts.

`window` holds the next deliveries in order. While the queue is `caught_up`, everything in the file that is
not handed out is in the window, and a new message goes from its publisher to its consumer without being read
back. Otherwise the window is filled from the file, page by page, after `cursor`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from msgspec import Struct

from router.brokers.base import Delivered, Depth, QueueSpec
from router.brokers.embedded_store import PAGE_BYTES, Page

log = structlog.get_logger()


class Body(Struct):
    """A message's bytes, shared by its queues. `refs`: items left, exact while all of them are in memory.

    Zero or less means: ask the file whether an item is left.
    """

    id: int
    data: bytes
    refs: int = 0


class Item(Struct):
    """A body in one queue. `deliveries` is how often it will have been handed out with the next time."""

    body: Body
    redelivered: bool = False
    deliveries: int = 1


@dataclass(eq=False, slots=True)
class EmbeddedConsumer:
    """Who gets deliveries; `held` is what was handed out and not acknowledged, by id."""

    queue: Queue
    on_delivery: Callable[[Delivered], None]
    prefetch: int
    held: dict[int, Item] = field(default_factory=dict)

    async def cancel(self) -> None:
        self.queue.release(self)


class Queue:
    """State of one queue. `need_page(Page)` asks the worker for more."""

    def __init__(self, no: int, spec: QueueSpec, need_page: Callable[[Page], None]) -> None:
        self.no = no
        self.spec = spec
        self.length = 0  # ready, held and delayed
        self.bytes = 0
        self.delayed = 0
        self.window: deque[Item] = deque()
        self.consumers: list[EmbeddedConsumer] = []
        self.caught_up = False
        self.room = 0  # how many more the active consumers may hold
        self._wanted = 0  # how many the window shall hold
        self._window_bytes = 0
        self._cursor = 0
        self._paging = False
        self._pumping = False
        self._need_page = need_page

    def depth(self) -> Depth:
        held = sum(len(c.held) for c in self.consumers)
        return Depth(self.length - held - self.delayed, held, self.delayed, self.bytes)

    def count(self, size: int, sign: int, delayed: bool = False) -> None:
        """One message more (sign 1) or less (-1)."""
        self.length += sign
        self.bytes += sign * size
        if delayed:
            self.delayed += sign

    def expects_room(self) -> bool:
        """Whether a message published now will most likely be handed out as soon as it is written."""
        return self.caught_up and self.room > len(self.window)

    def arrived(self, body: Body, counted: bool) -> None:
        """A message was written: it goes into the window, or stays in the file until the window has room.

        `counted`: it was born as handed out. One that was not is counted by the page that reads it.
        """
        room = len(self.window) < self._wanted and self._window_bytes < PAGE_BYTES
        if counted and room and self.caught_up:
            self._append(Item(body))
        else:
            self.caught_up = False
            body.refs = 0

    def paged(self, page: Page, found_until: int) -> None:
        """Adds what was read. All up to `found_until` was there at the start, perhaps handed out before."""
        self._paging = False
        for id_, deliveries, data in page.rows:
            self._append(Item(Body(id_, data), deliveries > 1 or id_ <= found_until, deliveries))
        self.caught_up = page.last and bool(self.consumers)
        self.pump()

    def pump(self) -> None:
        """Hands out what the consumers have room for, in turn, then sees to it that the window is filled."""
        if self._pumping:
            return  # a consumer that acknowledges at once: the loop below goes on with the next
        self._pumping = True
        window = self.window
        for consumer in self._active():
            while window and len(consumer.held) < consumer.prefetch:
                item = window.popleft()
                self._window_bytes -= len(item.body.data)
                self._hand_out(consumer, item)
        self._pumping = False
        if not self.caught_up and not self._paging and self.consumers and len(window) * 2 <= self._wanted:
            self._paging = True
            self._need_page(Page(self.no, self._cursor, self._wanted))

    def add(self, consumer: EmbeddedConsumer) -> None:
        self.consumers.append(consumer)
        self.measure()
        self.pump()

    def release(self, consumer: EmbeddedConsumer) -> None:
        """Takes a consumer away; what it held goes back to the head, in order. No delivery is counted."""
        if consumer not in self.consumers:
            return
        self.consumers.remove(consumer)
        for item in consumer.held.values():
            item.redelivered = True
            self._window_bytes += len(item.body.data)
        self.window = deque(sorted([*consumer.held.values(), *self.window], key=lambda item: item.body.id))
        consumer.held.clear()
        self.measure()
        if not self.consumers:
            self.caught_up = False
        self.pump()

    def doubt(self) -> None:
        """A write failed: what is in the file beyond the window must be looked up."""
        self.caught_up = False
        self.pump()

    def forget(self) -> None:
        """The queue is deleted: nothing of it may be handed out or counted any more."""
        for item in [*self.window, *(i for c in self.consumers for i in c.held.values())]:
            item.body.refs = 0
        for consumer in self.consumers:
            consumer.held.clear()
        self.consumers.clear()
        self.window.clear()
        self.measure()
        self.caught_up = False

    def _active(self) -> list[EmbeddedConsumer]:
        """In turn: the first one moves to the end each time. A lane has one, the others stand by."""
        consumers = self.consumers
        if self.spec.single:
            return consumers[:1]
        if len(consumers) > 1:
            consumers.append(consumers.pop(0))
        return consumers[:]

    def measure(self) -> None:
        """Anew, where consumers have come or gone, or one at a time became all at once."""
        self._wanted = 2 * sum(c.prefetch for c in self.consumers)
        self.room = sum(c.prefetch - len(c.held) for c in self._active())

    def _append(self, item: Item) -> None:
        self.window.append(item)
        self._window_bytes += len(item.body.data)
        self._cursor = item.body.id

    def _hand_out(self, consumer: EmbeddedConsumer, item: Item) -> None:
        consumer.held[item.body.id] = item
        self.room -= 1
        delivered = Delivered(
            self.spec.name, item.body.data, (consumer, item), item.redelivered, item.deliveries
        )
        try:
            consumer.on_delivery(delivered)
        except Exception:
            log.exception("a consumer failed; its delivery stays unacknowledged", queue=self.spec.name)
