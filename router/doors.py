"""The channels' sources: opened last, closed first, and tried again where one cannot open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from channels.model import Channel
from config import registry
from endpoints.base import Deliver, Ground, Source, Web

log = structlog.get_logger()

_TRY_AGAIN_S = 5.0


class Doors:
    """Every channel's way in. A door that cannot open (a port in use) does not hold the others."""

    def __init__(
        self, ways_in: Sequence[tuple[Channel, Deliver]], web: Web, base_dir: str, now_ms: Callable[[], int]
    ) -> None:
        self._ways_in = ways_in
        self._sources: dict[str, Source] = {}
        for channel, _ in ways_in:
            kind = registry.sources.get(channel.kind)
            ground = Ground(channel.name, channel.format.name, web, base_dir, now=lambda: now_ms() / 1000)
            self._sources[channel.name] = kind(channel.options, ground)
        self.closed = dict.fromkeys(self._sources, "not opened yet")  # channel -> why
        self._again: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Opens all it can; the others are tried again every few seconds."""
        await self._open_closed()
        if self.closed:
            self._again = asyncio.create_task(self._keep_trying(), name="doors")

    async def close(self) -> None:
        """No new messages; returns when every reply that is owed has been given."""
        if self._again is not None:
            self._again.cancel()
            await asyncio.gather(self._again, return_exceptions=True)
        await asyncio.gather(*(s.stop() for name, s in self._sources.items() if name not in self.closed))

    def pause(self, channel: str) -> None:
        """Takes nothing new there until `resume`."""
        self._sources[channel].pause()

    def resume(self, channel: str) -> None:
        self._sources[channel].resume()

    def port(self, channel: str) -> int | None:
        """The port a door listens on, for doors that have one of their own."""
        return getattr(self._sources[channel], "port", None)

    async def _open_closed(self) -> None:
        for channel, deliver in self._ways_in:
            if channel.name not in self.closed:
                continue
            try:
                await self._sources[channel.name].start(deliver)
            except Exception as error:  # also a plug-in's: it is that door's alone
                reason = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
                if self.closed[channel.name] != reason:
                    log.error("door.closed", channel=channel.name, kind=channel.kind, reason=reason)
                self.closed[channel.name] = reason
            else:
                del self.closed[channel.name]
                log.info("door.open", channel=channel.name, kind=channel.kind, port=self.port(channel.name))

    async def _keep_trying(self) -> None:
        while self.closed:
            await asyncio.sleep(_TRY_AGAIN_S)
            await self._open_closed()
