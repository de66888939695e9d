"""What the doors of the centre have in common: an address on loopback, kept connections, and what it tells others."""

from __future__ import annotations

import asyncio
import contextlib
from abc import abstractmethod
from collections.abc import Awaitable

from deploy.sandbox.centre import wire
from deploy.sandbox.centre.misbehaviour import Act
from deploy.sandbox.party import Party


class Door(Party):
    """`told` are the things that it told the hospital by itself, and the status that it heard; 0 for nobody."""

    def __init__(self, name: str, port: int = 0, seed: int = 0) -> None:
        super().__init__(name, port, seed)
        self.told: list[tuple[str, int]] = []
        self._telling: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        await self.open()

    async def stop(self) -> None:
        for task in self._telling:
            task.cancel()
        await asyncio.gather(*self._telling, return_exceptions=True)
        await self.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            asked = await wire.read(reader)
            await self.served(reader, writer, asked)
            if asked.headers.get("connection", "").lower() == "close":
                return

    @abstractmethod
    async def served(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: wire.Asked
    ) -> None:
        """Answers one request, as its behaviour says."""

    def tell_later(self, what: str, telling: Awaitable[tuple[int, object]]) -> None:
        """Tells the hospital beside the answer that is under way."""
        task = asyncio.create_task(self._tell(what, telling))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell(self, what: str, telling: Awaitable[tuple[int, object]]) -> None:
        status = 0
        with contextlib.suppress(OSError, EOFError, TimeoutError, ValueError):
            status, _ = await telling
        self.told.append((what, status))

    async def silent(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, act: Act) -> bool:
        """Where nothing was done and no word is said of it: whether it was so."""
        if act.kind == "lose":
            raise ConnectionAbortedError("told to lose it")
        if act.kind == "deaf":
            await wire.silence(reader)
        if act.kind == "status":
            await wire.say(writer, b"", status=int(act.code or 503))
        return act.kind in ("deaf", "status")
