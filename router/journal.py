"""The journal's consumer: queue -> rows, in batches, acknowledged only after the commit.

While one batch is written the next gathers. A database that is away costs nothing but time: its messages stay
in the queue, which outlives us (promise 8).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import structlog

from router.brokers.base import Broker, BrokerDown, Consumer, Delivered
from router.envelope import JOURNAL
from router.store import StoreError

log = structlog.get_logger()

_GATHER_S = 0.2  # a batch may grow for so long: a commit costs as much for one row as for a hundred
_BATCH_BYTES = 32_000_000  # of bodies in one transaction
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.25, 15.0
_STOP_S = 10.0
_LOOK_S = 0.5
_LITTLE = 1_000  # messages and tries: written in a second


class Journal:
    """Writes what comes through the journal's queue, which the engine has declared.

    `write` makes bodies of that queue durable and says how many it had to park; it raises StoreError.
    `ok` is false while the database cannot be written to. `behind` counts what the broker has handed out and
    is not yet in rows; the queue's own depth counts the rest as well.
    """

    def __init__(
        self, write: Callable[[Sequence[bytes]], Awaitable[int]], broker: Broker, batch: int = 500
    ) -> None:
        self._into_rows = write
        self._broker = broker
        self._batch = batch
        self._came: deque[Delivered] = deque()
        self._some = asyncio.Event()
        self._full = asyncio.Event()
        self._stopping = asyncio.Event()
        self._consumer: Consumer | None = None
        self._task: asyncio.Task[None] | None = None
        self._in_hand = 0
        self.ok = True
        self.parked = 0

    @property
    def behind(self) -> int:
        return len(self._came) + self._in_hand

    async def caught_up(self, within_s: float = 60.0) -> bool:
        """Whether all that was accepted is in rows, for a moment at least. Raises BrokerDown."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + within_s
        while (await self._broker.depth([JOURNAL]))[JOURNAL].total:
            if loop.time() > ends_at:
                return False
            await asyncio.sleep(_LOOK_S)
        return True

    async def keeps_pace(self) -> bool:
        """Whether little waits for it: then what was accepted a minute ago is in rows. Raises BrokerDown."""
        return self.ok and (await self._broker.depth([JOURNAL]))[JOURNAL].total < _LITTLE

    async def has_all(self) -> None:
        """Returns when what was accepted until now is in rows, however long that takes."""
        while True:
            with contextlib.suppress(BrokerDown):
                if await self.caught_up() or await self.keeps_pace():  # under load its queue is never empty
                    return
            await asyncio.sleep(_LOOK_S)

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="journal")
        self._consumer = await self._broker.consume(JOURNAL, self._take, prefetch=self._batch * 2)

    async def stop(self) -> None:
        """Writes what was handed out, if the database is there; the rest goes back to the queue."""
        self._stopping.set()
        self._some.set()
        self._full.set()
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=_STOP_S)
            self._task.cancel()
        if self._consumer is not None:
            await self._consumer.cancel()

    def _take(self, delivered: Delivered) -> None:
        self._came.append(delivered)
        self._some.set()
        if len(self._came) >= self._batch:
            self._full.set()

    async def _run(self) -> None:
        while True:
            await self._some.wait()
            await self._within(self._full, _GATHER_S)
            batch = self._next_batch()
            self._in_hand = len(batch)
            if batch and not await self._write(batch):
                return
            self._in_hand = 0
            self._wait_for_more()
            if self._stopping.is_set() and not self._came:
                return

    def _next_batch(self) -> list[Delivered]:
        batch: list[Delivered] = []
        size = 0
        while self._came and len(batch) < self._batch and size < _BATCH_BYTES:
            batch.append(self._came.popleft())
            size += len(batch[-1].body)
        return batch

    def _wait_for_more(self) -> None:
        if self._stopping.is_set():
            return
        if not self._came:
            self._some.clear()
        if len(self._came) < self._batch:
            self._full.clear()

    async def _write(self, batch: list[Delivered]) -> bool:
        """Until it is in. False where the engine stops before that."""
        wait_s = _FIRST_WAIT_S
        bodies = [delivered.body for delivered in batch]
        while True:
            try:
                self.parked += await self._into_rows(bodies)
                break
            except StoreError as error:
                log.warning("journal.database_down", code=error.code, error=error.text, again_in_s=wait_s)
            except Exception:
                log.exception("journal.bug", again_in_s=wait_s)
            self.ok = False
            await self._within(self._stopping, wait_s)
            if self._stopping.is_set():
                return False
            wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
        if not self.ok:
            log.info("journal.database_back")
            self.ok = True
        for delivered in batch:
            self._broker.ack(delivered)
        return True

    @staticmethod
    async def _within(event: asyncio.Event, seconds: float) -> None:
        try:
            await asyncio.wait_for(event.wait(), seconds)
        except TimeoutError:
            return
