"""The journal's rows are written by a process of their own.

Making rows (compressing, encrypting, chaining, COPY) is a fifth of a message's work, and in a thread it would hold
Python's lock while senders wait: apart, the embedded engine takes 18 to 27 % more messages on two cores. What it is
handed are the bodies of the journal's queue as they are; they are acknowledged only after its commit, so its death
costs nothing but time.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, NamedTuple

import structlog

from config.logs import setup
from config.settings import Settings
from router.clock import now_ms
from router.store import Rules, Store, StoreDown, StoreError, open_journal

log = structlog.get_logger()

_STOP_S = 5.0
# Whoever takes and sends messages goes first; rows may lag behind, in batches that are larger then.
_NICE = 10


class _Done(NamedTuple):
    """How many were parked or dropped, or why nothing was done."""

    number: int = 0
    code: str = ""
    text: str = ""
    down: bool = False


class Scribe:
    """One writing process, started with the first batch and again after it died. Its owner stops it with `stop`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pool: ProcessPoolExecutor | None = None
        self.pid = 0

    async def write(self, bodies: Sequence[bytes]) -> int:
        """Durable when it returns: how many bodies had to be parked. Raises StoreDown and StoreError."""
        return await self._ask(_write, list(bodies))

    async def keep(self, rules: Rules) -> int:
        """Drops what is over, between two batches: how many things that were. Raises StoreDown and StoreError."""
        return await self._ask(_keep, rules)

    async def _ask(self, work: Callable[[Any], _Done], what: Any) -> int:
        loop = asyncio.get_running_loop()
        try:
            if self._pool is None:
                self._pool = self._started()
                self.pid = await loop.run_in_executor(self._pool, os.getpid)
            done = await loop.run_in_executor(self._pool, work, what)
        except BrokenProcessPool as died:
            self._pool = None
            raise StoreDown("JL-J011", "the journal's writing process died; it is started again") from died
        if done.code:
            raise (StoreDown if done.down else StoreError)(done.code, done.text)
        return done.number

    async def stop(self) -> None:
        """Ends the process after what it is writing, and in the midst of it where that takes too long."""
        if self._pool is None:
            return
        ending = asyncio.create_task(asyncio.to_thread(self._pool.shutdown, cancel_futures=True))
        if not (await asyncio.wait([ending], timeout=_STOP_S))[0]:
            log.warning("scribe.killed", after_s=_STOP_S)
            os.kill(self.pid, signal.SIGKILL)
            await ending
        self._pool = None

    def _started(self) -> ProcessPoolExecutor:
        apart = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(1, apart, initializer=_begin, initargs=(self._settings,))


# In the writing process

_store: Store


def _begin(settings: Settings) -> None:
    global _store
    os.nice(_NICE)
    # Signals go to the whole group: its owner says when it is over, or dies, and then so does this.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_end_with_owner, daemon=True).start()
    setup(settings.log.level, settings.log.format)
    _store = open_journal(settings)


def _end_with_owner() -> None:
    owner = multiprocessing.parent_process()
    assert owner is not None
    owner.join()
    os._exit(0)


def _write(bodies: list[bytes]) -> _Done:
    return _done(lambda: _store.write_bodies(bodies))


def _keep(rules: Rules) -> _Done:
    return _done(lambda: _store.keep(rules, now_ms()))


def _done(work: Callable[[], int]) -> _Done:
    try:
        return _Done(work())
    except StoreError as error:
        return _Done(code=error.code, text=error.text, down=isinstance(error, StoreDown))
