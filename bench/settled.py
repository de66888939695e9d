"""Settlements of insured outpatients from request to end: engine, broker, database and all parties on this machine.

Kiosks send by REST to two processes of the engine; each settlement is ten calls, each a message in a queue of RabbitMQ
and in the journal. Insurance centre, HIS, payment channel and invoice platform are the sandbox's, in a process that is
this one.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random

import httpx2

from bench import usage
from bench.services import Ready, Stack, stacks
from bench.site import environment, free_port, jingluo
from bench.table import Table
from deploy.sandbox.town import PIPELINE, Town, write_site

PER_S = 20.0  # of issue 7
COUNT = 300
KIOSKS = 32
_WARM = 40
_START_S = 60.0
_KEY = "0" * 32


def run() -> Iterator[Table]:
    table = Table(
        f"Insured outpatients settled, three fee lines each, {KIOSKS} kiosks at once",
        ["stack", "processes", "settled", "per s", "p50 s", "engine ms", "parties ms", "target"],
    )
    found, missing = stacks()
    for stack in found:
        if stack.key in ("embedded", "rabbitmq-postgresql"):
            for processes in (1, 2) if stack.amqp else (1,):
                asyncio.run(_measured(stack, processes, table))
    table.notes += missing
    table.notes.append(
        "engine and parties: processor time of a settlement; broker and database have theirs besides"
    )
    yield table


async def _measured(stack: Stack, processes: int, table: Table) -> None:
    town = Town(1)
    await town.start()
    try:
        with stack.prepared() as ready, tempfile.TemporaryDirectory(prefix="jingluo-bench-") as folder:
            async with _engines(Path(folder), ready, town, processes) as (doors, pids):
                kiosks = _Kiosks(town, doors)
                await kiosks.settle(_WARM)
                used = usage.cpu_s(pids)
                own, began = time.process_time(), time.perf_counter()
                await kiosks.settle(COUNT)
                took = time.perf_counter() - began
                engine = usage.cpu_s(pids) - used
                parties = time.process_time() - own
        done = kiosks.done
        rate = done / took
        target = table.target(f"settlements on {stack.name}", rate, PER_S) if processes > 1 else ""
        p50 = sorted(kiosks.took_s)[len(kiosks.took_s) // 2]
        table.add(
            stack.name, processes, done, rate, p50, engine * 1000 / COUNT, parties * 1000 / COUNT, target
        )
    finally:
        await town.stop()


class _Kiosks:
    """`done` counts those that were settled in the last `settle`."""

    def __init__(self, town: Town, doors: list[int]) -> None:
        self._town, self._doors = town, doors
        self._numbers = itertools.count()
        self._chance = Random(1)
        self.done = 0
        self.took_s: list[float] = []

    async def settle(self, count: int) -> None:
        self.done, self.took_s = 0, []
        numbers = iter(range(count))
        async with httpx2.AsyncClient(timeout=90) as client:
            await asyncio.gather(*(self._one(client, numbers) for _ in range(KIOSKS)))

    async def _one(self, client: httpx2.AsyncClient, numbers: Iterator[int]) -> None:
        for _ in numbers:
            number = next(self._numbers)
            bill = self._town.bill(number, self._chance, "code")
            url = f"http://127.0.0.1:{self._doors[number % len(self._doors)]}/v1/settlements"
            began = time.perf_counter()
            told = (await client.post(f"{url}/{PIPELINE}", json=bill)).json()
            while told.get("result") == "pending" and time.perf_counter() - began < 60:
                told = (await client.get(f"{url}/S{number}")).json()
            self.took_s.append(time.perf_counter() - began)
            self.done += told.get("result") == "done"


@contextlib.asynccontextmanager
async def _engines(
    folder: Path, ready: Ready, town: Town, count: int
) -> AsyncIterator[tuple[list[int], list[int]]]:
    """Doors and process ids, once all take settlements. RuntimeError where they do not."""
    write_site(folder)
    doors = [free_port() for _ in range(count)]
    started = [_started(folder, ready, town, number, door) for number, door in enumerate(doors)]
    try:
        async with httpx2.AsyncClient(timeout=5) as client:
            for number, door in enumerate(doors):
                await _open(client, door, folder / f"engine{number}.log")
        yield doors, [process.pid for process in started]
    finally:
        for process in started:
            process.send_signal(signal.SIGTERM)
        for process in started:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(40)
            process.kill()
            process.wait()


def _started(folder: Path, ready: Ready, town: Town, number: int, door: int) -> subprocess.Popen[bytes]:
    env = environment(ready.broker, ready.database, http=door) | town.env()
    env |= {"JINGLUO_VAR": f"var/{number}", "JINGLUO_JOURNAL_KEY": _KEY, "JINGLUO_BLOBS_KEY": _KEY}
    with (folder / f"engine{number}.log").open("wb") as log:
        command = [sys.executable, jingluo(), "--site", str(folder), "run"]
        return subprocess.Popen(command, env=env, stdout=log, stderr=log)


async def _open(client: httpx2.AsyncClient, door: int, log: Path) -> None:
    until = time.perf_counter() + _START_S
    while time.perf_counter() < until:
        with contextlib.suppress(httpx2.HTTPError):
            answer = await client.get(f"http://127.0.0.1:{door}/v1/settlements/none")
            if answer.json().get("code") == "JL-T012":
                return
        await asyncio.sleep(0.2)
    raise RuntimeError(f"an engine takes no settlements:\n{_end_of(log)}")


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]
