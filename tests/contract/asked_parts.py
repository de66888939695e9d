"""A party that is asked over HTTP, and answers when a test lets it."""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from typing import Self


class Asked(ABC):
    """Answers what it is told, when it is told to."""

    kind = "application/json"

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.came = asyncio.Event()

    @abstractmethod
    def answer(self, body: bytes) -> bytes:
        """What it says to a request."""

    async def start(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                size = re.search(rb"content-length: (\d+)", head.lower())
                assert size is not None
                body = self.answer(await reader.readexactly(int(size[1])))
                self.came.set()
                await self.open.wait()
                writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: {self.kind}\r\n".encode())
                writer.write(b"content-length: %d\r\n\r\n" % len(body) + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
