"""Load generator and sink, in one process of their own so that they take little of what is measured.

Callback protocols on uvloop, about 13 microseconds a message a side: frames are made once and differ in
MSH-10, the sink reads MSH-10 and answers from a template. Every connection has one message in flight. Of each
message is noted when it was sent and answered, and when and how often it reached the sink.

`bench.loader` starts this process and tells it what to do by JSON lines on its standard input.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Callable
from typing import Any, cast

import msgspec
import uvloop

from bench.book import Book, summary
from bench.samples import MIXED

END = b"\x1c\r"
_ACK_HEAD = b"\x0bMSH|^~\\&|SINK|HUB|HIS|A|20260105080000||ACK^A01^ACK|1|P|2.5.1\rMSA|AA|"
_ACK_TAIL = b"\r\x1c\r"


class Plan(msgspec.Struct):
    """One run: where to, with how many connections, for how long. All times in seconds."""

    run: int  # 0 to 99: no two runs of one engine share a control id
    port: int
    connections: int
    warm_s: float
    measure_s: float
    drain_s: float = 60.0  # how long the sink may lag behind the answers


class _Framed(asyncio.Protocol):
    """Cuts what comes into frames; the commonest case, one whole frame, costs no copy."""

    def __init__(self) -> None:
        self._rest = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
            self._rest = b""
        if data.find(END) == len(data) - 2:
            self.frame(data)
            return
        *whole, self._rest = data.split(END)
        for frame in whole:
            self.frame(frame)

    def frame(self, data: bytes) -> None:
        """A frame from its `0x0B` on."""


class Sender(_Framed):
    """One connection of the generator: sends the next message when the last was answered."""

    def __init__(self, book: Book, ended: Callable[[], None]) -> None:
        super().__init__()
        self._book = book
        self._ended = ended
        self._number = -1
        self._yes = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._send()

    def _send(self) -> None:
        number = self._number = self._book.next()
        control_id = self._book.control_id(number)
        self._yes = b"|AA|" + control_id
        sample = MIXED[number & 1]
        self.transport.write(b"\x0b%b%b%b\x1c\r" % (sample.head, control_id, sample.tail))

    def frame(self, data: bytes) -> None:
        book = self._book
        book.answered[self._number] = time.perf_counter()
        if self._yes in data:
            book.accepted += 1
        else:
            book.refused += 1
            book.answered[self._number] = -1.0
        if book.stopping:
            self.transport.close()
        else:
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended()


class Sink(_Framed):
    """The receiver: counts and says AA."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk

    def frame(self, data: bytes) -> None:
        control_id = data.split(b"|", 10)[9]
        self._desk.book.arrive(control_id)
        self.transport.write(b"%b%b%b" % (_ACK_HEAD, control_id, _ACK_TAIL))


class Desk:
    """The process: a sink that stays, and one run after the other."""

    def __init__(self) -> None:
        self.book = Book(99)

    async def open(self) -> int:
        """Opens the sink on any free port and returns it."""
        server = await asyncio.get_running_loop().create_server(
            lambda: Sink(self), "127.0.0.1", 0, backlog=1024
        )
        self._server = server
        return int(server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Closes the sink; its connections end when their senders end them."""
        self._server.close()

    async def run(self, plan: Plan) -> dict[str, Any]:
        """One run, from the first connection until the sink has everything or `drain_s` is over."""
        loop = asyncio.get_running_loop()
        book = self.book = Book(plan.run)
        ended = asyncio.Semaphore(0)
        for _ in range(plan.connections):
            await loop.create_connection(lambda: Sender(book, ended.release), "127.0.0.1", plan.port)
        await asyncio.sleep(plan.warm_s)
        began, first = time.perf_counter(), len(book.sent)
        await asyncio.sleep(plan.measure_s)
        over, last = time.perf_counter(), len(book.sent)
        backlog = book.accepted - book.reached
        book.stopping = True
        with contextlib.suppress(TimeoutError):  # who has no answer is counted as unanswered
            async with asyncio.timeout(plan.drain_s):
                for _ in range(plan.connections):
                    await ended.acquire()
        await book.drained(plan.drain_s)
        return summary(book, first, last, began, over, backlog)


async def _serve() -> None:
    desk = Desk()
    _say({"sink": await desk.open()})
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        told = json.loads(line)
        _say(desk.book.count() if told == "count" else await desk.run(msgspec.convert(told, Plan)))


def _say(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    uvloop.run(_serve())
