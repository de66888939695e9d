"""A destination's post: one outlet holds it at a time, and another takes over when it has finished what it was sending.

What waits is delivered as the channel is now; what was being sent is finished as it was begun. Where nobody takes over,
the last outlet empties the queues first. They go only when no other process runs that may still send to them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from config.errors import JingluoError
from router.brokers.base import BrokerDown
from router.delivery import Outlet
from router.queues import Queues

log = structlog.get_logger()

_AGAIN_S = 1.0
_LOOK_S = 0.2  # between two looks whether the queues are empty


class Post:
    """`outlet` is who delivers now, None once the post is gone. What is being sent may take `within_s` seconds.

    `fed`: whether another destination may still bring something here, although no door does.
    """

    def __init__(self, queues: Queues, within_s: float, fed: Callable[[], bool]) -> None:
        self.outlet: Outlet | None = None
        self.ending = False
        self._stopped = False
        self._queues = queues
        self._within_s = within_s
        self._fed = fed
        self._lock = asyncio.Lock()
        self._emptying: asyncio.Task[None] | None = None

    async def take_over(self, outlet: Outlet) -> None:
        """This one, which is prepared, from now on."""
        self.ending = False
        async with self._lock:
            if self.outlet is not None:
                await self._finish(self.outlet)
            self.outlet = outlet
            await self._start(outlet)

    def end(self) -> None:
        """Nobody takes over: what waits is delivered, then the queues go."""
        self.ending = True
        if self.outlet is not None:
            self.outlet.emptying = True
            self.outlet.look()
        if self._emptying is None or self._emptying.done():
            self._emptying = asyncio.create_task(self._until_gone(), name="post")

    async def stop(self) -> None:
        """Finishes and records what is being sent; what waits stays in its queue. Nobody takes over any more."""
        self._stopped = True
        if self._emptying is not None:
            self._emptying.cancel()
            await asyncio.gather(self._emptying, return_exceptions=True)
        if self.outlet is not None:
            await self.outlet.stop()

    async def _until_gone(self) -> None:
        while self.ending and self.outlet is not None:
            try:
                async with self._lock:
                    await self._look(self.outlet)
            except JingluoError as error:  # the broker is down: then nothing is known
                log.info("post.waits", code=error.code)
            except Exception:
                log.exception("post.bug")
            await asyncio.sleep(_LOOK_S)

    async def _look(self, outlet: Outlet) -> None:
        """Ends it where nothing waits. While another process may still send there, it stays."""
        if self._fed():
            return
        empty = await self._queues.alone() and await self._queues.empty(outlet.queues)
        if not empty or not self.ending:
            return
        await self._finish(outlet)
        self.outlet = None
        log.info("destination.gone", channel=outlet.channel.name, destination=outlet.branch.name)
        await self._queues.drop(outlet.queues)

    async def _start(self, outlet: Outlet) -> None:
        """Again and again while the broker is away: nothing else would ever start it."""
        while not self._stopped:
            try:
                await outlet.start()
                return
            except BrokerDown as error:
                log.warning("post.waits", code=error.code)
                await asyncio.sleep(_AGAIN_S)

    async def _finish(self, outlet: Outlet) -> None:
        """Ends an outlet within its time; what it could not finish comes back to its queue."""
        try:
            async with asyncio.timeout(self._within_s):
                await outlet.stop()
        except TimeoutError:
            log.warning("delivery.cut_short", channel=outlet.channel.name, destination=outlet.branch.name)
            await outlet.stop()
