"""The broker inside the process: one SQLite file, one worker thread, group commit.

What was written is handed to waiting consumers from memory; a queue that is behind is read page by page.

How often a message was handed out must survive a crash, without a write per delivery: an item is born with
the mark when its consumer has room at that time (it will be handed out right after the commit), and reading a
page marks its items in the same transaction. Whatever was in the file at the start counts as redelivered.
A consumer that is cancelled gives back what it held without its counting as a delivery.
"""

from __future__ import annotations

import asyncio
import math
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import structlog

from router.brokers.base import BrokerDown, Delivered, Depth, QueueFull, QueueSpec, Standing
from router.brokers.embedded_queue import Body, EmbeddedConsumer, Queue
from router.brokers.embedded_store import (
    SHIFT,
    Batch,
    Call,
    DuePage,
    Message,
    Page,
    Store,
    contents,
    declare,
    delayed_in,
    delete,
)
from router.brokers.embedded_worker import Worker, broken

log = structlog.get_logger()

ACK_WAIT_S = 0.005  # acknowledgements alone wait this long for company; a publish takes them along at once
RETRY_S = 0.5  # between two tries to write again after a failure
DUE_PAGE = 500  # due messages moved at once


class EmbeddedBroker:
    """`file` belongs to one process at a time."""

    def __init__(self, file: Path) -> None:
        self._worker = Worker(Store(file), self._done)
        self._queues: dict[str, Queue] = {}
        self._numbers: dict[int, Queue] = {}
        self._open = False
        self._stopping = False
        self._tell: list[Callable[[bool], None]] = []
        self._futures: dict[int, asyncio.Future[None]] = {}
        self._next_id = 1
        self._found_until = 0
        self._due_timer: asyncio.TimerHandle | None = None
        self._due_ms: float = math.inf  # when the timer fires
        self._due_running = False  # from reading what is due until it is in its queues
        self._moving: set[int] = set()  # new ids of due messages
        # Waiting is written down by the wall clock, for it outlives us; while we run it passes as time does, also
        # where the wall clock is set: a clock that is put back an hour must not hold a retry for an hour.
        self._started_s = time.time() - time.monotonic()

    def on_change(self, tell: Callable[[bool], None]) -> None:
        self._tell.append(tell)

    @property
    def open(self) -> bool:
        return self._open

    async def start(self) -> None:
        """Opens the file. BrokerDown JL-B005: another process has it; JL-B004: it cannot be used."""
        self._loop = asyncio.get_running_loop()
        try:
            found, self._found_until = await self._worker.start()
        except sqlite3.Error as error:
            raise broken(error) from error
        self._next_id = self._found_until + 1
        for was in found:
            queue = self._add(was.no, was.spec)
            queue.length, queue.bytes, queue.delayed = was.length, was.bytes, was.delayed
        self._set_open(True)
        self._wait_until_due(0)

    async def declare(self, queues: Sequence[QueueSpec]) -> None:
        for no, spec in zip(await self._call(declare, queues), queues, strict=True):
            known = self._numbers.get(no)
            if known is None:
                self._add(no, spec)
            else:
                known.spec = spec
                known.measure()

    async def delete(self, queues: Sequence[str]) -> None:
        gone = [self._queues.pop(name) for name in queues if name in self._queues]
        for queue in gone:
            del self._numbers[queue.no]
            queue.forget()
        await self._call(delete, [queue.no for queue in gone])

    def publish(self, queues: Sequence[str], body: bytes, *, delay_s: float = 0) -> asyncio.Future[None]:
        if not queues:
            raise ValueError("a publish needs at least one queue")
        future: asyncio.Future[None] = self._loop.create_future()
        try:
            # What waits for its time is work that was accepted before: it may not be refused for want of room.
            to = self._accepting(queues, len(body), limited=delay_s <= 0)
        except BrokerDown as refused:
            future.set_exception(refused)
            return future
        delayed = delay_s > 0
        for queue in to:
            queue.count(len(body), 1, delayed)
        message = self._message(to, body)
        batch = self._worker.batch(len(body))
        if delayed:
            message.due_ms = math.ceil(self._now_ms() + delay_s * 1000)
            batch.delayed.append(message)
        else:
            batch.messages.append(message)
        self._futures[message.id] = future
        self._worker.soon()
        return future

    async def consume(
        self, queue: str, on_delivery: Callable[[Delivered], None], prefetch: int
    ) -> EmbeddedConsumer:
        state = self._queue(queue)
        consumer = EmbeddedConsumer(state, on_delivery, prefetch)
        state.add(consumer)
        return consumer

    async def follow(self, stream: str, on_entry: Callable[[bytes], None], since_ms: int = 0) -> None:
        """What is never acknowledged is handed out again at each start."""
        spec = self._queue(stream).spec
        kept: deque[Delivered] = deque()

        def came(delivered: Delivered) -> None:
            kept.append(delivered)
            if len(kept) * 2 > spec.max_length:
                self.ack(kept.popleft())
            on_entry(delivered.body)

        await self.consume(stream, came, spec.max_length)

    def ack(self, delivered: Delivered) -> None:
        consumer, item = delivered.tag
        body = item.body
        if consumer.held.pop(body.id, None) is None:
            return  # released before, or its queue is gone
        queue = consumer.queue
        queue.room += 1
        queue.count(len(body.data), -1)
        batch = self._worker.batch()
        batch.acked.append((queue.no << SHIFT) + body.id)
        body.refs -= 1
        if body.refs == 0:
            batch.finished.append(body.id)
        elif body.refs < 0:
            batch.perhaps.append(body.id)
        if queue.window or not queue.caught_up:
            queue.pump()
        self._worker.later(ACK_WAIT_S)

    def holds(self, delivered: Delivered) -> bool:
        consumer, item = delivered.tag
        return item.body.id in consumer.held

    async def mailbox(self, on_mail: Callable[[bytes], None]) -> Callable[[], str]:
        return lambda: ""  # nobody else is there

    def post(self, address: str, body: bytes) -> None:
        raise AssertionError("the embedded broker gives no addresses")

    async def depth(self, queues: Sequence[str]) -> dict[str, Depth]:
        return {name: self._queue(name).depth() for name in queues}

    async def settled(self) -> None:
        if self._futures:
            await asyncio.wait(list(self._futures.values()))

    async def empty(self, queues: Sequence[str]) -> bool:
        return not any(self._queues[name].length for name in queues if name in self._queues)

    async def look(self, queue: str) -> Standing | None:
        found = self._queues.get(queue)
        return Standing(found.length, len(found.consumers)) if found is not None else None

    async def delayed(self) -> int:
        return sum(queue.delayed for queue in self._queues.values())

    async def delayed_in(self, queue: str, limit: int) -> list[bytes]:
        found: list[bytes] = await self._call(delayed_in, (self._queue(queue).no, limit))
        return found

    async def contents(self, queue: str, limit: int) -> list[bytes] | None:
        found: list[bytes] | None = await self._call(contents, (self._queue(queue).no, limit))
        return found

    async def stop(self) -> None:
        self._stopping = True
        self._set_open(False)
        for queue in self._queues.values():
            queue.forget()
        if self._due_timer is not None:
            self._due_timer.cancel()
        await self._worker.stop()
        for id_ in list(self._futures):  # the disk did not take them
            self._resolve(id_, BrokerDown("JL-B001", "the embedded broker is stopped"))

    def _add(self, no: int, spec: QueueSpec) -> Queue:
        queue = self._queues[spec.name] = self._numbers[no] = Queue(no, spec, self._need_page)
        return queue

    def _queue(self, name: str) -> Queue:
        queue = self._queues.get(name)
        if queue is None:
            raise BrokerDown("JL-B002", f"queue {name} was not declared")
        return queue

    def _accepting(self, names: Sequence[str], size: int, limited: bool) -> list[Queue]:
        """The queues, if each of them takes one more message of this size."""
        if not self._open:
            raise BrokerDown("JL-B001", "the embedded broker cannot take messages now")
        to = [self._queue(name) for name in dict.fromkeys(names)]
        for queue in to:
            spec = queue.spec
            if limited and (queue.length >= spec.max_length or queue.bytes + size > spec.max_bytes):
                raise QueueFull(
                    "JL-B003", f"{spec.name} is full: {queue.length} messages, {queue.bytes} bytes"
                )
        return to

    def _message(self, to: Sequence[Queue], body: bytes) -> Message:
        id_, self._next_id = self._next_id, self._next_id + 1
        return Message(id_, body, [q.no for q in to], [1 if q.expects_room() else 0 for q in to])

    def _need_page(self, page: Page) -> None:
        self._worker.batch().pages.append(page)
        self._worker.soon()

    async def _call(self, what: Callable[[sqlite3.Connection, Any], Any], argument: Any) -> Any:
        future: asyncio.Future[Any] = self._loop.create_future()
        self._worker.batch().calls.append(Call(lambda connection: what(connection, argument), future))
        self._worker.soon()
        return await future

    def _set_open(self, is_open: bool) -> None:
        if self._open != is_open:
            self._open = is_open
            for tell in self._tell:
                tell(is_open)

    # What comes back from the worker

    def _done(self, batch: Batch) -> None:
        if batch.error is not None:
            self._failed(batch, broken(batch.error))
            return
        self._set_open(not self._stopping)
        touched: dict[int, Queue] = {}
        for message in batch.messages:
            self._written(message, touched)
        for message in batch.delayed:
            self._resolve(message.id)
            self._wait_until_due(message.due_ms)
        for call in batch.calls:
            if not call.future.done():
                call.future.set_result(call.answer)
        for page in batch.pages:
            if page.queue in self._numbers:
                self._numbers[page.queue].paged(page, self._found_until)
        for queue in touched.values():
            queue.pump()
        if batch.due is not None and batch.due.rows:
            self._move(batch.due)
        elif batch.due is not None or batch.moved:
            self._due_running = False
            self._wait_until_due(batch.next_due_ms or math.inf)

    def _written(self, message: Message, touched: dict[int, Queue]) -> None:
        """A message is on disk: into its queues' windows, and its publisher is told."""
        body = Body(message.id, message.body, len(message.queues))
        was_delayed = message.id in self._moving
        for no, counted in zip(message.queues, message.handed, strict=True):
            queue = self._numbers.get(no)
            if queue is None:
                body.refs = 0
                continue
            queue.delayed -= was_delayed
            queue.arrived(body, bool(counted))
            touched[no] = queue
        if was_delayed:
            self._moving.discard(message.id)
        else:
            self._resolve(message.id)

    def _resolve(self, id_: int, error: BrokerDown | None = None) -> None:
        future = self._futures.pop(id_)
        if future.done():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    def _failed(self, batch: Batch, error: BrokerDown) -> None:
        """Nothing of the batch is on disk. Its senders are told; its acknowledgements are tried again."""
        log.error("the embedded broker cannot write", code=error.code, reason=error.text)
        self._set_open(False)
        for message in (*batch.messages, *batch.delayed):
            if message.id in self._moving:
                self._moving.discard(message.id)  # it still is where it was, and is looked for again
                continue
            for no in message.queues:
                if no in self._numbers:
                    self._numbers[no].count(len(message.body), -1, message.due_ms > 0)
            self._resolve(message.id, error)
        for call in batch.calls:
            if not call.future.done():
                call.future.set_exception(error)
        if batch.due is not None or batch.moved:
            self._due_running = False
            self._wait_until_due(self._now_ms() + RETRY_S * 1000)
        for queue in self._queues.values():
            queue.doubt()
        self._worker.retry(batch, RETRY_S)

    # Delayed messages: a timer for the earliest, then into their queues as new arrivals

    def _now_ms(self) -> float:
        return (self._started_s + time.monotonic()) * 1000

    def _wait_until_due(self, due_ms: float) -> None:
        if due_ms >= self._due_ms or self._stopping:
            return
        if self._due_timer is not None:
            self._due_timer.cancel()
        self._due_ms = due_ms
        self._due_timer = self._loop.call_later(max(0.0, due_ms - self._now_ms()) / 1000, self._look_for_due)

    def _look_for_due(self) -> None:
        self._due_ms = math.inf
        if not self._due_running:  # the round under way sets the timer anew at its end
            self._due_running = True
            self._worker.batch().due = DuePage(int(self._now_ms()), DUE_PAGE)
            self._worker.soon()

    def _move(self, due: DuePage) -> None:
        batch = self._worker.batch()
        for old, numbers, data in due.rows:
            to = [self._numbers[no] for no in numbers if no in self._numbers]
            batch.moved.append(old)
            if to:
                message = self._message(to, data)
                self._moving.add(message.id)
                batch.messages.append(message)
        self._worker.soon()
