"""The thread that writes, and the hand-over between it and the event loop.

The loop collects work in a batch. When the thread is idle the batch goes to it at the end of the loop's
round, otherwise when it comes back: alone, a message waits for nothing; under load many share one commit.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from router.brokers.base import BrokerDown
from router.brokers.embedded_store import Batch, Found, Store

BATCH_BYTES = 8_000_000


class Worker:
    """`done(batch)` is called in the loop with each batch that was written or has its `error` set."""

    def __init__(self, store: Store, done: Callable[[Batch], None]) -> None:
        self._store = store
        self._done = done
        self._inbox: SimpleQueue[Batch | None] = SimpleQueue()
        self._waiting: deque[Batch] = deque([Batch()])
        self._busy = False
        self._soon = False
        self._later: asyncio.TimerHandle | None = None
        self._stopping = False
        self._ended: asyncio.Future[None] | None = None  # once it runs
        self.paused = False  # after a failure: collects, but hands nothing over until `retry`

    async def start(self) -> tuple[list[Found], int]:
        """Opens the file and says what is in it. Raises sqlite3.Error."""
        self._loop = asyncio.get_running_loop()
        opened: asyncio.Future[tuple[list[Found], int]] = self._loop.create_future()
        threading.Thread(target=self._run, args=(opened,), name="embedded-broker", daemon=True).start()
        found = await opened
        self._ended = self._loop.create_future()
        return found

    def batch(self, size: int = 0) -> Batch:
        """The batch being collected, with room for a body of `size` bytes."""
        batch = self._waiting[-1]
        if batch.bytes > BATCH_BYTES:
            batch = Batch()
            self._waiting.append(batch)
        batch.bytes += size
        return batch

    def soon(self) -> None:
        """Hands over at the end of this round of the loop, so that one round's publishes share a commit."""
        if not self._soon and not self.paused:
            self._soon = True
            self._loop.call_soon(self._hand_over)

    def later(self, wait_s: float) -> None:
        """Hands over within `wait_s` seconds; for what may wait for company."""
        if self._later is None and not self._soon and not self.paused:
            self._later = self._loop.call_later(wait_s, self._hand_over)

    def retry(self, failed: Batch, wait_s: float) -> None:
        """Puts back what no sender was told of (acknowledgements, pages) and tries again after `wait_s`."""
        self.paused = True
        first = self._waiting[0]
        first.acked[:0] = failed.acked
        first.finished[:0] = failed.finished
        first.perhaps[:0] = failed.perhaps
        for page in failed.pages:
            page.rows.clear()
        first.pages[:0] = failed.pages
        first.probe = True
        if not self._stopping:
            self._later = self._loop.call_later(wait_s, self._hand_over)

    async def stop(self) -> None:
        """Writes what waits, if it can be written, and closes the file."""
        self._stopping = True
        if self._ended is not None:
            self._hand_over()
            await self._ended

    def _hand_over(self) -> None:
        self._soon = False
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._busy:
            return
        self._busy = True
        self._inbox.put(self._waiting.popleft())
        if not self._waiting:
            self._waiting.append(Batch())

    def _back(self, batch: Batch) -> None:
        self._busy = False
        self.paused = batch.error is not None
        if not self.paused and not self._waiting[0].empty():
            self._hand_over()  # the disk works while the loop hands out what was written
        self._done(batch)
        if self._stopping and not self._busy:
            if self.paused or self._waiting[0].empty():
                self._inbox.put(None)
            else:
                self._hand_over()

    def _run(self, opened: asyncio.Future[Any]) -> None:
        tell = self._loop.call_soon_threadsafe
        try:
            self._store.open()
            found = self._store.load()
        except sqlite3.Error as error:
            self._store.close()
            tell(opened.set_exception, error)
            return
        tell(opened.set_result, found)
        while (batch := self._inbox.get()) is not None:
            try:
                self._store.write(batch)
            except sqlite3.Error as error:
                batch.error = error
            except Exception as error:  # a bug: the senders must hear of it, and the thread must live
                batch.error = sqlite3.InternalError(repr(error))
            tell(self._back, batch)
        self._store.close()
        tell(self._gone)

    def _gone(self) -> None:
        assert self._ended is not None
        self._ended.set_result(None)


def broken(error: sqlite3.Error) -> BrokerDown:
    """What went wrong with the file, for people. JL-B005: another process has it; JL-B004: the rest."""
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
        return BrokerDown(
            "JL-B005", "another process is using this file; one process may run on it at a time"
        )
    return BrokerDown("JL-B004", f"the embedded broker's file cannot be used: {error}")
