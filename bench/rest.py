"""REST with signatures through the running engine: how much on one core, how quick by the clock, what idle costs.

How much: the engine and all that it starts have one core, the load generator and the receiver the other. Each request
is signed anew (HMAC-SM3), has 1 KB of JSON, is made durable by the embedded broker, answered, and delivered by HTTP.
By the clock and idle, the engine has all cores, as it would.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import itertools
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, cast

from bench import usage
from bench.site import environment, free_port, jingluo, write_site
from bench.table import Table

PER_S = 1000.0  # accepted and delivered, on one core
P99_MS = 50.0  # at `STEADY_PER_S`
STEADY_PER_S = 200.0
IDLE = 500  # connections of each kind
IDLE_MB = 60.0
CONNECTIONS = 32
SECONDS = 6.0
_WARM_S = 2.0
_REST_S = 3.0  # after the flood: what it left to be written
_START_S = 30.0
_DRAIN_S = 30.0
_KEY = "an-invented-key-of-a-load-generator"
_BODY = json.dumps({"bill": "B000000000", "ward": "W3", "items": ["x" * 90] * 10}).encode()
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CALLERS = "callers: {kiosk: {keys: [{hmac-sm3: secret://bench-key}], rate: 100000, burst: 100000}}\n"
_REST = """\
channel: bills
from: {{http: {{path: /v1/bills, callers: kiosk}}}}
format: json
index: {{bill: $.bill}}
to:
  books: {{send: {{http: {{url: "http://127.0.0.1:{sink}/bills"}}}}}}
"""
_MLLP = """\
channel: adt
from: {{mllp: {{port: {port}}}}}
format: hl7v2
to:
  books: {{send: {{file: {{folder: var/books}}}}}}
"""


class Sink(asyncio.Protocol):
    """Says 200 to each request, and counts."""

    came = 0
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        self._rest += data
        while (end := _end(self._rest)) and len(self._rest) >= end:
            self._rest = self._rest[end:]
            Sink.came += 1
            self._transport.write(self.answer)


class Asking(NamedTuple):
    """What is asked, and which answers are good."""

    request: Callable[[], bytes]
    good: Callable[[bytes], bool]


class Kiosk(asyncio.Protocol):
    """A connection with one request in flight. `tell` hears how long each took (seconds), and if its answer is good."""

    def __init__(self, asking: Asking, tell: Callable[[Kiosk, float, bool], None]) -> None:
        self._asking, self._tell = asking, tell
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def send(self, due: float) -> None:
        """`due`: when it should have been sent: its time counts from then."""
        self._due = due
        self.transport.write(self._asking.request())

    def data_received(self, data: bytes) -> None:
        self._rest += data
        end = _end(self._rest)
        if end and len(self._rest) >= end:
            answer, self._rest = self._rest[:end], self._rest[end:]
            self._tell(self, time.perf_counter() - self._due, self._asking.good(answer))


_numbers = itertools.count()
_digest = hashlib.new("sm3", _BODY).hexdigest()
_head = b"POST /v1/bills HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
_head += b"content-length: %d\r\nauthorization: JINGLUO-HMAC-SM3 app=kiosk, " % len(_BODY)


def _request() -> bytes:
    when, nonce = str(int(time.time())), f"{os.getpid()}-{next(_numbers):012}"
    text = f"POST\n/v1/bills\n{when}\n{nonce}\n{_digest}\n"
    mac = hmac.new(_KEY.encode(), text.encode(), "sm3").hexdigest()
    said = f"time={when}, nonce={nonce}, digest={_digest}, signature={mac}\r\n\r\n"
    return b"".join((_head, said.encode(), _BODY))


SIGNED = Asking(_request, lambda answer: answer[9:12] == b"202")


def _end(data: bytes) -> int:
    """Where the first message in it ends; 0 where its head is not whole."""
    head = data.find(b"\r\n\r\n")
    if head < 0:
        return 0
    length = _LENGTH.search(data, 0, head + 2)
    return head + 4 + (int(length[1]) if length else 0)


class Load:
    """What came of one run."""

    def __init__(self) -> None:
        self.took: list[float] = []
        self.refused = 0

    def note(self, took_s: float, good: bool) -> None:
        self.took.append(took_s)
        self.refused += not good

    def at(self, share: float) -> float:
        """Milliseconds within which this share was answered."""
        ordered = sorted(self.took)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000 if ordered else 0.0


async def flood(port: int, seconds: float, asking: Asking = SIGNED) -> Load:
    """As much as goes: each connection sends when it has its answer."""
    load, over = Load(), time.perf_counter() + seconds

    def answered(kiosk: Kiosk, took_s: float, good: bool) -> None:
        load.note(took_s, good)
        if time.perf_counter() < over:
            kiosk.send(time.perf_counter())

    kiosks = [await _kiosk(port, asking, answered) for _ in range(CONNECTIONS)]
    for kiosk in kiosks:
        kiosk.send(time.perf_counter())
    await asyncio.sleep(seconds + 0.5)
    for kiosk in kiosks:
        kiosk.transport.close()
    return load


async def steady(port: int, seconds: float, asking: Asking = SIGNED) -> Load:
    """By the clock: what is late waits for a connection, and its time counts from when it was due."""
    load, free = Load(), asyncio.Queue[Kiosk]()

    def answered(kiosk: Kiosk, took_s: float, good: bool) -> None:
        load.note(took_s, good)
        free.put_nowait(kiosk)

    kiosks = [await _kiosk(port, asking, answered) for _ in range(CONNECTIONS)]
    for kiosk in kiosks:
        free.put_nowait(kiosk)
    begin = time.perf_counter()
    for number in range(int(seconds * STEADY_PER_S)):
        due = begin + number / STEADY_PER_S
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        (await free.get()).send(due)
    await asyncio.sleep(0.5)
    for kiosk in kiosks:
        kiosk.transport.close()
    return load


async def _kiosk(port: int, asking: Asking, tell: Callable[[Kiosk, float, bool], None]) -> Kiosk:
    loop = asyncio.get_running_loop()
    _, kiosk = await loop.create_connection(lambda: Kiosk(asking, tell), "127.0.0.1", port)
    return kiosk


@contextlib.contextmanager
def engine(folder: Path, http: int, files: Mapping[str, str], asking: Asking = SIGNED) -> Iterator[list[int]]:
    """The process ids; all on the first core. `files` of the site, by their names."""
    write_site(folder, http)
    for name, text in files.items():
        (folder / name).write_text(text)
    env = environment("embedded", "", "", http=http) | {"JINGLUO_SECRET_BENCH_KEY": _KEY}
    core = min(os.sched_getaffinity(0))
    command = ["taskset", "-c", str(core), sys.executable, str(jingluo()), "--site", str(folder), "run"]
    with (folder / "engine.log").open("wb") as log:
        running = subprocess.Popen(command, stdout=log, stderr=log, env=env)
    try:
        until = time.perf_counter() + _START_S
        while not asking.good(_answer(http, asking)) and time.perf_counter() < until:
            time.sleep(0.1)
        if running.poll() is not None:
            raise RuntimeError(f"the engine ended:\n{(folder / 'engine.log').read_text()[-2000:]}")
        yield [running.pid]
    finally:
        running.terminate()
        running.wait(40)


def _answer(port: int, asking: Asking) -> bytes:
    """The beginning of the answer to one request; nothing where nobody answers."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2) as asked:
        asked.sendall(asking.request())
        return asked.recv(10_000)
    return b""


def run(seconds: float = SECONDS) -> list[Table]:
    """RuntimeError where the engine does not come up."""
    with beside():
        return [asyncio.run(_measure(seconds))]


@contextlib.contextmanager
def beside() -> Iterator[None]:
    """All cores but the engine's."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise RuntimeError("it takes two cores: one for the engine, one for who asks it")
    os.sched_setaffinity(0, cores[1:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


async def _measure(seconds: float) -> Table:
    table = Table("REST, each request signed by HMAC-SM3, 1 KB of JSON", ["what", "measured", "target"])
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0)
    sink, http, mllp = server.sockets[0].getsockname()[1], free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="jingluo-bench-") as folder:
        files = {
            "callers.yaml": _CALLERS,
            "channels/bills.yaml": _REST.format(sink=sink),
            "channels/adt.yaml": _MLLP.format(port=mllp),
        }
        running = engine(Path(folder), http, files)
        pids = await asyncio.to_thread(running.__enter__)
        try:
            await flood(http, _WARM_S)
            await _through(table, pids, http, seconds)
            free(pids)
            await asyncio.sleep(_REST_S)
            await _by_the_clock(table, http, seconds)
            await _idle(table, pids, http, mllp)
        finally:
            await asyncio.to_thread(running.__exit__, None, None, None)
    server.close()
    return table


async def _through(table: Table, pids: list[int], http: int, seconds: float) -> None:
    before, used, began = Sink.came, usage.cpu_s(pids), time.perf_counter()
    load = await flood(http, seconds)
    accepted = len(load.took) - load.refused
    while Sink.came - before < accepted and time.perf_counter() - began < seconds + _DRAIN_S:  # noqa: ASYNC110
        await asyncio.sleep(0.01)  # nobody tells us
    delivered, took_s = Sink.came - before, time.perf_counter() - began - 0.5
    cpu_ms = (usage.cpu_s(pids) - used) / max(accepted, 1) * 1000
    rate = accepted / seconds
    table.add(
        f"accepted/s on one core, {CONNECTIONS} connections",
        rate,
        table.target("REST accepted/s", rate, PER_S),
    )
    table.add("delivered/s, to the last", delivered / took_s, "")
    table.add("CPU ms a request, the journal's rows included", cpu_ms, "")
    table.add("p50, p99 ms", f"{load.at(0.5):.1f}, {load.at(0.99):.1f}", "")
    table.add("refused, lost", f"{load.refused}, {accepted - delivered}", "")
    if load.refused or accepted != delivered:
        table.missed.append(f"REST: {load.refused} refused, {accepted - delivered} lost, wanted 0 and 0")


async def _by_the_clock(table: Table, http: int, seconds: float) -> None:
    load = await steady(http, seconds)
    p99 = load.at(0.99)
    table.add(f"p50 ms at {STEADY_PER_S:g}/s by the clock", load.at(0.5), "")
    table.add(
        f"p99 ms at {STEADY_PER_S:g}/s by the clock", p99, table.target("REST p99 ms", p99, P99_MS, most=True)
    )


async def _idle(table: Table, pids: list[int], http: int, mllp: int) -> None:
    """HTTP connections that have asked once, and MLLP connections that have said nothing yet."""
    answers = asyncio.Queue[bool]()
    warm = await _kiosk(http, SIGNED, lambda kiosk, took_s, good: answers.put_nowait(good))
    warm.send(0.0)
    await answers.get()
    before = _resident(pids)
    kiosks = [
        await _kiosk(http, SIGNED, lambda kiosk, took_s, good: answers.put_nowait(good))
        for _ in range(IDLE - 1)
    ]
    for kiosk in kiosks:
        kiosk.send(0.0)
        await answers.get()
    others = [await asyncio.open_connection("127.0.0.1", mllp) for _ in range(IDLE)]
    await asyncio.sleep(1.0)
    cost = _resident(pids) - before
    what = f"MB for {IDLE} idle HTTP and {IDLE} idle MLLP connections"
    table.add(what, cost, table.target(what, cost, IDLE_MB, most=True))
    for kiosk in (*kiosks, warm):
        kiosk.transport.close()
    for _, writer in others:
        writer.close()
    await asyncio.sleep(0.5)


def free(pids: list[int]) -> None:
    """All cores for all threads of the engine."""
    for pid in usage.family(pids):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                os.sched_setaffinity(int(task.name), range(os.cpu_count() or 1))


def _resident(pids: list[int]) -> float:
    return sum(map(usage.resident_mb, usage.family(pids)))
