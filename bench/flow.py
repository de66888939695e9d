"""Messages per second MLLP to MLLP through the running engine, beside what its broker alone can do.

The engine is one process, load generator and sink another. A message counts when it has reached the sink.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench import usage
from bench.load import Plan
from bench.loader import Loader
from bench.profiles import top
from bench.services import Ready, Stack, stacks
from bench.site import Engine, engine
from bench.table import Table

CONNECTIONS = (1, 8, 32)
OF_CEILING = {8: 0.55, 32: 0.45}  # through RabbitMQ
EMBEDDED_AT_32 = 2500.0  # messages/s
CPU_MS = 0.9  # a message, over all processes
SECONDS = 4.0  # the window of one row
WARM_S = 1.0
JOURNAL_S = 30.0  # how long the journal may lag behind

_RATES = ["broker + journal", "conn.", "sink/s", "accepted/s", "p50 ms", "p99 ms", "lost", "doubled"]
_RATES += ["backlog", "drain s", "ceiling/s", "of it", "target"]
_PROCESSES = ["engine", "load + sink", "RabbitMQ", "PostgreSQL"]
_COSTS = ["broker + journal", "conn.", "CPU ms", *_PROCESSES, "target", "MB start", "MB end"]
_MEANING = (
    "sink/s: from the first to the last arrival of what was sent in the window; backlog: when it closed",
    "ceiling: the broker alone before and after, 1 KB to two queues, both consumed, as many in flight",
)


@dataclass(frozen=True)
class Row:
    """One run: the load generator's summary and count, CPU ms a message, MB of the engine."""

    stack: str
    connections: int
    run: dict[str, Any]
    count: dict[str, int]
    cpu_ms: dict[str, float]
    resident_mb: tuple[float, float] | tuple[None, None]
    ceiling: float | None = None
    journal_s: float = 0.0  # how long the journal was behind at the end

    @property
    def what(self) -> str:
        return f"{self.stack}, {self.connections} connections"

    @property
    def per_s(self) -> float:
        """Messages that reached the sink."""
        return float(self.run["sink_per_s"])

    @property
    def all_cpu_ms(self) -> float:
        return sum(self.cpu_ms.values())


def run(measure_s: float, only: str = "", profile: bool = False) -> list[Table]:
    """Every stack with every number of connections. `only` is a part of a stack's name.

    A stack that cannot run is named among the missed targets, and does not keep the others from running.
    """
    rates = Table("MLLP to MLLP through the engine, 1 KB ADT and 3 KB ORU by turns", _RATES)
    costs = Table("The same runs: CPU a message over all processes, resident memory of the engine", _COSTS)
    _add(_harness(measure_s / 2), rates, costs, judged=False)
    found, missing = stacks()
    rates.notes += [*_MEANING, *missing]
    for stack in found:
        if only not in stack.name:
            continue
        path = Path("var") / f"flow-{stack.key}.prof" if profile else None
        try:
            for row in _measure(stack, measure_s, path):
                _add(row, rates, costs, judged=True)
        except RuntimeError as error:
            rates.missed.append(f"{stack.name}: NOT MEASURED: {error}")
        if path is not None and path.exists():
            print(top(path, stack.name))
    return [rates, costs]


def _measure(stack: Stack, measure_s: float, profile: Path | None) -> Iterator[Row]:
    with standing(stack, profile) as (ready, loader, running):
        ready.ceiling(CONNECTIONS[-1])  # warms the servers up
        for number, connections in enumerate(CONNECTIONS):
            ceiling = ready.ceiling(connections)
            plan = Plan(number, running.port, connections, WARM_S, measure_s)
            row = one_run(stack, plan, loader, running)
            yield replace(row, ceiling=(ceiling + ready.ceiling(connections)) / 2)


@contextlib.contextmanager
def standing(
    stack: Stack, profile: Path | None = None, program: Sequence[str] = ()
) -> Iterator[tuple[Ready, Loader, Engine]]:
    """What a run needs, the engine's door open. RuntimeError where it does not come to that."""
    with contextlib.ExitStack() as held:
        ready, loader = held.enter_context(stack.prepared()), held.enter_context(Loader())
        running = held.enter_context(
            engine(
                ready.broker, ready.database, loader.sink, stack.processes, profile=profile, program=program
            )
        )
        running.wait_until_open()
        yield ready, loader, running


def one_run(stack: Stack, plan: Plan, loader: Loader, running: Engine) -> Row:
    """Until the sink has everything and the journal has written it."""
    pids = {"engine": running.pids, "load + sink": [loader.pid], **stack.pids()}
    start_mb, used = (
        usage.resident_mb(running.pids[0]),
        {name: usage.cpu_s(each) for name, each in pids.items()},
    )
    result = loader.run(plan)
    journal_s = running.wait_for_journal(JOURNAL_S)
    each_s = {name: usage.cpu_s(each) - used[name] for name, each in pids.items()}
    cpu_ms = {name: spent / max(result["accepted"], 1) * 1000 for name, spent in each_s.items()}
    resident_mb = (start_mb, usage.resident_mb(running.pids[0]))
    count = loader.count()
    return Row(stack.name, plan.connections, result, count, cpu_ms, resident_mb, journal_s=journal_s)


def _harness(measure_s: float) -> Row:
    """Load generator straight to the sink: what of the other figures is the harness's own."""
    with Loader() as loader:
        used = usage.cpu_s([loader.pid])
        result = loader.run(Plan(0, loader.sink, 8, WARM_S / 2, measure_s))
        cpu_ms = (usage.cpu_s([loader.pid]) - used) / max(result["accepted"], 1) * 1000
        return Row("harness alone", 8, result, loader.count(), {"load + sink": cpu_ms}, (None, None))


def _add(row: Row, rates: Table, costs: Table, judged: bool) -> None:
    result, count = row.run, row.count
    of_it = row.per_s / row.ceiling if row.ceiling else None
    rates.add(
        row.stack,
        row.connections,
        *(result[name] for name in ("sink_per_s", "accepted_per_s", "p50_ms", "p99_ms")),
        count["lost"],
        count["doubled"],
        max(result["backlog"], 0),
        result["drain_s"],
        row.ceiling,
        of_it,
        _rate_target(row, of_it, rates) if judged else None,
    )
    total = row.all_cpu_ms
    busy = (
        row.connections in OF_CEILING
    )  # alone, a message shares its commits, confirms and wake-ups with nobody
    costs.add(
        row.stack,
        row.connections,
        total,
        *(row.cpu_ms.get(name) for name in _PROCESSES),
        costs.target(f"CPU ms a message, {row.what}", total, CPU_MS, most=True) if judged and busy else None,
        *row.resident_mb,
    )
    if count["lost"] or count["doubled"]:
        rates.missed.append(f"{row.what}: {count['lost']} lost, {count['doubled']} doubled, wanted 0 and 0")
    rates.notes += odd(row)


def _rate_target(row: Row, of_it: float | None, rates: Table) -> str | None:
    if row.stack.startswith("embedded"):
        if row.connections != 32:
            return None
        return rates.target(f"messages/s, {row.what}", row.per_s, EMBEDDED_AT_32)
    share = OF_CEILING.get(row.connections)
    return rates.target(f"of the ceiling, {row.what}", of_it, share) if share and of_it is not None else None


def odd(row: Row) -> list[str]:
    """What of a run the columns do not say, if anything."""
    refused, unanswered, strangers = row.run["refused"], row.run["unanswered"], row.count["strangers"]
    said = []
    if refused or unanswered or strangers:
        said.append(f"{row.what}: {refused} not AA, {unanswered} unanswered, {strangers} unknown at the sink")
    if row.journal_s > 3.0:
        said.append(f"{row.what}: the journal was {row.journal_s:.0f} s behind at the end")
    return said
