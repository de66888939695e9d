"""Load generator and sinks, in one process of their own so that they take little of what is measured.

On uvloop. Of each message is noted when it was sent and answered, and
when and how often it reached each sink.

`bench.loader` starts this process and tells it what to do by JSON lines on its standard input.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from functools import partial
from typing import Any

import msgspec
import uvloop

from bench.book import Book, end_to_end, summary
from bench.senders import Line, Pacer, Sender
from bench.sinks import HttpSink, Mode, Sink

SINKS = (Sink, HttpSink)


class Plan(msgspec.Struct, tag="run"):
    """One run: where to, with how many connections, for how long. All times in seconds."""

    run: int  # 0 to 99: no two runs of one engine share a control id
    port: int
    connections: int
    warm_s: float
    measure_s: float
    drain_s: float = 60.0  # how long the sinks may lag behind the answers
    per_s: float = 0.0  # messages by the clock; 0: each connection as soon as it was answered
    messages: int = 0  # ends after so many, however long it takes; 0: by time
    sinks: int = 1  # to how many of the sinks a message goes
    mixed: bool = True  # ADT and ORU by turns; else ADT alone


class Since(msgspec.Struct, tag="since"):
    """What reached the first sink after `at` (`time.perf_counter`, the same in every process), once all have come.

    It is waited for at most `drain_s`.
    """

    at: float
    drain_s: float


class Desk:
    """The process: sinks that stay, and one run after the other."""

    def __init__(self) -> None:
        self.books = [Book(99) for _ in SINKS]
        self.mode = Mode()

    @property
    def book(self) -> Book:
        """That of the first sink: it has the answers too."""
        return self.books[0]

    async def open(self) -> int:
        """Opens the sinks on any free ports, `ports`, and returns the first."""
        loop = asyncio.get_running_loop()
        self._servers = [
            await loop.create_server(partial(kind, self, number), "127.0.0.1", 0, backlog=1024)
            for number, kind in enumerate(SINKS)
        ]
        self.ports = [int(server.sockets[0].getsockname()[1]) for server in self._servers]
        return self.ports[0]

    async def close(self) -> None:
        """Closes the sinks; their connections end when their senders end them."""
        for server in self._servers:
            server.close()

    async def run(self, plan: Plan) -> dict[str, Any]:
        """One run, from the first connection until the sinks have everything or `drain_s` is over."""
        self.books = [Book(plan.run, plan.mixed) for _ in SINKS]
        book, used = self.book, self.books[: plan.sinks]
        ended = asyncio.Semaphore(0)
        pacer = Pacer(used, plan.per_s) if plan.per_s else None
        loop = asyncio.get_running_loop()
        lines = [
            await loop.create_connection(
                lambda: Line(pacer, book, ended.release) if pacer else Sender(book, ended.release),
                "127.0.0.1",
                plan.port,
            )
            for _ in range(plan.connections)
        ]
        await self._pass(plan.warm_s, pacer)
        began, first = time.perf_counter(), len(book.sent)
        await self._pass(plan.measure_s, pacer, plan.messages)
        over, last = time.perf_counter(), len(book.sent)
        backlog = book.accepted - min(each.reached for each in used)
        book.stopping = True
        if pacer is not None:
            pacer.hang_up()
        with contextlib.suppress(TimeoutError):  # who has no answer is counted as unanswered
            async with asyncio.timeout(plan.drain_s):
                for _ in range(plan.connections):
                    await ended.acquire()
        for transport, _ in lines:
            transport.abort()
        for each in used:
            await each.drained(book.accepted, plan.drain_s)
        return summary(book, first, last, began, over, backlog) | end_to_end(book, used, first, last)

    async def _pass(self, seconds: float, pacer: Pacer | None, messages: int = 0) -> None:
        if pacer is not None:
            await pacer.run(seconds)
        elif messages:
            while len(self.book.sent) < messages:  # noqa: ASYNC110 - an event costs each message
                await asyncio.sleep(0.01)
        else:
            await asyncio.sleep(seconds)

    async def since(self, asked: Since) -> dict[str, float]:
        """`first` and `last` arrival after that time; 0.0 where there is none."""
        await self.book.drained(self.book.accepted, asked.drain_s)
        came = [at for at in self.book.arrived if at > asked.at]
        return {"first": min(came, default=0.0), "last": max(came, default=0.0), "count": len(came)}


async def _serve() -> None:
    desk = Desk()
    await desk.open()
    _say({"sinks": desk.ports})
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        _say(await _do(desk, json.loads(line)))


async def _do(desk: Desk, told: Any) -> dict[str, Any]:
    if told == "count":
        return desk.book.count()
    asked = msgspec.convert(told, Plan | Mode | Since)
    if isinstance(asked, Mode):
        desk.mode = asked
        return {"at": time.perf_counter()}
    return await (desk.run(asked) if isinstance(asked, Plan) else desk.since(asked))


def _say(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    uvloop.run(_serve())
