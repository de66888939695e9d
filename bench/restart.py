"""kill -9 with many messages waiting, and a start: how soon is the first delivered, and in how much memory.

They wait because the destination gives no answer, and no send ends while the queue is filled; when the engine comes
back, it answers, and its time is the usual one: with 15 minutes no message would be taken ahead of those being sent.
"""

from __future__ import annotations

import contextlib
import time

from bench import usage
from bench.load import Plan
from bench.loader import Loader
from bench.services import Stack, stacks
from bench.sinks import Mode
from bench.site import CHANNEL, Engine, engine
from bench.steady import Memory
from bench.table import Table

MESSAGES = 100_000
FIRST_S = 5.0
MEMORY_MB = 250.0
CONNECTIONS = 64
DRAIN_S = 600.0

_PATIENT = CHANNEL.replace("port: {sink}", "port: {sink}, timeout: 15m")
_COLUMNS = [
    "broker + journal",
    "waiting",
    "first delivery s",
    "MB at most",
    "with its children",
    "drained/s",
    "lost",
]


def run(messages: int = MESSAGES, only: str = "") -> list[Table]:
    """Every stack in one process. `only` is a part of a stack's name."""
    table = Table(f"kill -9 with {messages:,} messages waiting, and a start", [*_COLUMNS, "target"])
    found, missing = stacks()
    table.notes += missing
    for stack in found:
        if only in stack.name and len(stack.processes) == 1:
            _add(stack, messages, table)
    return [table]


def _add(stack: Stack, messages: int, table: Table) -> None:
    with contextlib.ExitStack() as held:
        ready, loader = held.enter_context(stack.prepared()), held.enter_context(Loader())
        running = held.enter_context(
            engine(ready.broker, ready.database, loader.sink, stack.processes, channel=_PATIENT)
        )
        running.wait_until_open()
        loader.mode(Mode(answers=False))
        plan = Plan(0, running.port, CONNECTIONS, 0.0, 0.0, drain_s=0.5, messages=messages)
        accepted = loader.run(plan)["accepted"]
        running.wait_for_journal(120.0)
        running.kill()
        running.write(CHANNEL)
        loader.mode(Mode())
        _restarted(stack, accepted, loader, running, table)


def _restarted(stack: Stack, accepted: int, loader: Loader, running: Engine, table: Table) -> None:
    began = time.perf_counter()
    running.start()
    with Memory(running.pids) as memory:
        came = loader.since(began, DRAIN_S)
    peak = usage.peak_mb(running.pids[0])
    first_s = came["first"] - began if came["first"] else DRAIN_S
    lost = loader.count()["lost"]
    targets = (
        table.target(f"first delivery, {stack.name}, s", first_s, FIRST_S, most=True),
        table.target(f"memory, {stack.name}, MB", peak, MEMORY_MB, most=True),
    )
    rate = came["count"] / (came["last"] - came["first"]) if came["last"] > came["first"] else 0.0
    table.add(
        stack.name, accepted, first_s, peak, max(memory.samples, default=0.0), rate, lost, "; ".join(targets)
    )
    if lost:
        table.missed.append(f"{stack.name}: {lost} lost, wanted 0")
