"""A TCP connection on which frames arrive, of either side."""

from __future__ import annotations

import asyncio
import socket
from abc import ABC, abstractmethod

from endpoints.wire.framing import Frame, Framer

_HANG = 0.05  # seconds after which a frame that may have ended counts as ended


class Line(asyncio.Protocol, ABC):
    """A connection of either side: bytes become frames."""

    transport: asyncio.Transport

    def __init__(self, framer: Framer) -> None:
        self.loop = asyncio.get_running_loop()
        self.framer = framer
        self.last_read = self.loop.time()
        self._flush: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def data_received(self, data: bytes) -> None:
        self.last_read = self.loop.time()
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        frames = self.framer.feed(data)
        if self.framer.hanging:
            self._flush = self.loop.call_later(_HANG, self._hung)
        self.received(frames)

    def _hung(self) -> None:
        self._flush = None
        self.received(self.framer.flush())

    @abstractmethod
    def received(self, frames: list[Frame]) -> None:
        """Called after each read, also when it completed no frame."""
