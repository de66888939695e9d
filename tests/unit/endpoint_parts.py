"""What the endpoints' tests share: an engine that answers as told, and peers that speak raw bytes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from config import registry
from endpoints.base import Ground
from endpoints.hl7.framing import Framer, framed
from endpoints.rest.source import HttpSource
from schemas.message import Message, Reply

Door = Callable[..., Awaitable[HttpSource]]  # what the fixture `door` gives


def adt(control_id: str, more: str = "", version: str = "2.5", header_end: str = "") -> bytes:
    header = f"MSH|^~\\&|HIS|A|LIS|B|20260105080000||ADT^A01|{control_id}|P|{version}{header_end}"
    return f"{header}\rPID|1||P0001||TEST^ONE\r{more}".encode()


class FakeEngine:
    """Keeps what it is given. Replies at once as `reply` says, or, `held`, when a test resolves `open`."""

    def __init__(self, reply: Reply | Callable[[Message], Reply] | None = None, held: bool = False) -> None:
        self.reply = reply or Reply("accepted", id="1")
        self.held = held
        self.got: list[Message] = []
        self.refused: list[Message] = []
        self.open: list[asyncio.Future[Reply]] = []
        self._changed = asyncio.Event()

    def deliver(self, message: Message) -> asyncio.Future[Reply]:
        future = asyncio.get_running_loop().create_future()
        if message.fault:  # as intake does: refused, filed with what there is of it
            self.refused.append(message)
            future.set_result(Reply("refused", code=message.fault_code, text=message.fault))
            return future
        self.got.append(message)
        self._changed.set()
        if self.held:
            self.open.append(future)
        else:
            future.set_result(self.reply if isinstance(self.reply, Reply) else self.reply(message))
        return future

    async def has(self, count: int) -> list[Message]:
        while len(self.got) < count:
            self._changed.clear()
            await asyncio.wait_for(self._changed.wait(), 10)
        return self.got


@asynccontextmanager
async def opening(kind: str, ground: Ground) -> AsyncIterator[Callable[..., Awaitable[Any]]]:
    """Opens sources of a kind for an engine, with these options; all are stopped in the end."""
    opened: list[Any] = []

    async def open(engine: FakeEngine, **options: Any) -> Any:
        made = registry.sources.get(kind)
        opened.append(made(made.Options(**options), ground))
        await opened[-1].start(engine.deliver)
        return opened[-1]

    yield open
    for one in opened:
        await one.stop()


class Peer:
    """The other end of an MLLP connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._framer = Framer(50_000_000)
        self._frames: list[bytes] = []

    @classmethod
    async def connect(cls, port: int, receive_buffer: int = 0) -> Peer:
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        except OSError:
            sock.close()
            raise
        return cls(*await asyncio.open_connection(sock=sock))

    def write(self, *bodies: bytes) -> None:
        self.writer.write(b"".join(framed(body) for body in bodies))

    async def frame(self) -> bytes:
        """The next frame; b'' at the end of the connection."""
        while not self._frames:
            data = await asyncio.wait_for(self.reader.read(65536), 10)
            if not data:
                return b""
            self._frames += [frame.body for frame in self._framer.feed(data)]
        return self._frames.pop(0)

    async def msa(self) -> tuple[str, str]:
        """MSA-1 and MSA-2 of the next answer; two '' at the end of the connection."""
        body = await self.frame()
        segments = [line.split("|") for line in body.decode().split("\r")]
        return next(((row[1], "".join(row[2:3])) for row in segments if row[0] == "MSA"), ("", ""))

    async def ask(self, body: bytes) -> tuple[str, str]:
        self.write(body)
        return await self.msa()

    async def closed(self) -> bool:
        """Whether the other side ends the connection without another byte."""
        try:
            return await asyncio.wait_for(self.reader.read(1), 10) == b""
        except ConnectionError:
            return True

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


async def until(true: Callable[[], bool]) -> None:
    """Waits for what no event tells of."""
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
