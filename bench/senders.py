"""The senders of the load generator: each as soon as it was answered, or all together by the clock.

Callback protocols, and frames that are made once and differ in MSH-10: about 13 microseconds a message. Every
connection has one message in flight.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import cast

from bench.book import Book
from bench.samples import MIXED

END = b"\x1c\r"
_TICK_S = 0.001


class Framed(asyncio.Protocol):
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


class Sender(Framed):
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
        self._write(self._book.next())

    def _write(self, number: int) -> None:
        self._number = number
        control_id = self._book.control_id(number)
        self._yes = b"|AA|" + control_id
        sample = MIXED[number & 1 if self._book.mixed else 0]
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


class Line(Sender):
    """One connection of a pacer."""

    def __init__(self, pacer: Pacer, book: Book, ended: Callable[[], None]) -> None:
        super().__init__(book, ended)
        self._pacer = pacer

    def _send(self) -> None:
        """Free: takes what waits, or waits itself."""
        if self._pacer.waiting:
            self._write(self._pacer.waiting.popleft())
        else:
            self._pacer.free.append(self)

    def take(self, number: int) -> None:
        self._write(number)


class Pacer:
    """Messages by the clock, `per_s` of them, whatever the answers do.

    One that finds no free connection waits here, and its time counts from when it should have gone: a door that is
    slow cannot hide it by slowing its senders down. `books` are one for each sink.
    """

    def __init__(self, books: Sequence[Book], per_s: float) -> None:
        self._books = books
        self._per_s = per_s
        self.free: list[Line] = []
        self.waiting: deque[int] = deque()

    async def run(self, seconds: float) -> None:
        """Called again, it goes on where it was: the first message of a call is due at once."""
        began, made = time.perf_counter(), 0
        while (now := time.perf_counter()) < began + seconds:
            while began + made / self._per_s <= now:
                self._due(began + made / self._per_s)
                made += 1
            await asyncio.sleep(_TICK_S)

    def _due(self, at: float) -> None:
        first, *others = self._books
        number = first.next(at)
        for book in others:
            book.next(at)
        if self.free:
            self.free.pop().take(number)
        else:
            self.waiting.append(number)

    def hang_up(self) -> None:
        """Who is free goes; the others after their answer, once the book says stop."""
        for line in self.free:
            line.transport.close()
