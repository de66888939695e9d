"""What all parties share: a door on loopback that can be shut and opened again, and a behaviour."""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod

from deploy.sandbox.behaviour import Behaviour

MAX_MESSAGE = 16_000_000  # bytes


class Party(ABC):
    """A server of one of the hospital's systems. Subclasses say how they talk in `serve`."""

    def __init__(self, name: str, port: int = 0, seed: int = 0) -> None:
        self.name = name
        self.port = port
        self.behaviour = Behaviour(seed)
        self._server: asyncio.Server | None = None
        self._callers: set[asyncio.Task[None]] = set()
        self._opening: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Takes its port; lets callers in unless it was told to be absent: then they are refused."""
        server = await asyncio.start_server(
            self._welcome, "127.0.0.1", self.port, limit=MAX_MESSAGE, start_serving=False
        )
        self._server = server
        self.port = server.sockets[0].getsockname()[1]
        away_s = self.behaviour.absent_s
        if away_s is None:
            await server.start_serving()
        elif not math.isinf(away_s):
            self._opening = asyncio.create_task(self._open_later(server, away_s))

    async def close(self) -> None:
        """The end of the day."""
        await self.leave()

    async def leave(self) -> None:
        """Shuts the door and hangs up; `open` comes back on the same port."""
        if self._opening is not None:
            self._opening.cancel()
        if self._server is not None:
            self._server.close()
            self._server = None
        callers, self._callers = self._callers, set()
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)

    @abstractmethod
    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talks with one caller until either hangs up."""

    async def _open_later(self, server: asyncio.Server, away_s: float) -> None:
        await asyncio.sleep(away_s)
        await server.start_serving()

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        this = asyncio.current_task()
        assert this is not None
        self._callers.add(this)
        try:
            await self.serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the caller hung up
        except asyncio.CancelledError:
            writer.transport.abort()  # we left
        finally:
            self._callers.discard(this)
            writer.close()
