"""A hospital's day in short: messages by the clock, on RabbitMQ and PostgreSQL, to two destinations, one with a map.

What counts is whether it stays as it is: answers quick, queues flat, memory flat.
"""

from __future__ import annotations

import statistics
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import msgspec

from bench import usage
from bench.load import Plan
from bench.loader import Loader
from bench.services import stacks
from bench.site import engine
from bench.table import Table

PER_S = 500.0
SECONDS = 600.0
CONNECTIONS = 64
STACK = "rabbitmq-postgresql"
ANSWER_P99_MS = 50.0
END_P99_MS = 1000.0
BACKLOG = 50.0  # messages at the end: a tenth of a second of arrivals
GROWTH = 1.05  # of memory, from the second quarter to the last

CHANNEL = """\
channel: {{name}}
from: {{{{mllp: {{{{port: {{port}}}}}}}}}}
format: hl7v2
index: {{{{patient: $PID-3.1, name: $PID-5, visit: $PV1-19.1}}}}
to:
  lis: {{{{send: {{{{mllp: {{{{host: 127.0.0.1, port: {{sink}}}}}}}}}}}}}}
  emr: {{{{map: adt-to-fhir, send: {{{{http: {{{{url: "http://127.0.0.1:{second}/fhir"}}}}}}}}}}}}
"""
_COLUMNS = ["what", "measured", "target"]


class Memory:
    """Resident MB of processes and all that they started, each second, while the block runs."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = pids
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.samples: list[float] = []

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def quarter(self, number: int) -> float:
        """The mean of a quarter of the time, from 0."""
        size = len(self.samples) // 4
        return statistics.mean(self.samples[number * size : (number + 1) * size] or [0.0])

    def _watch(self) -> None:
        while not self._over.wait(1.0):
            self.samples.append(sum(map(usage.resident_mb, usage.family(self._pids))))


def run(seconds: float = SECONDS, per_s: float = PER_S) -> list[Table]:
    """RuntimeError where there is no RabbitMQ or no PostgreSQL."""
    table = Table(
        f"{per_s:,.0f} messages/s by the clock for {seconds:,.0f} s, two destinations, one map", _COLUMNS
    )
    stack = next((stack for stack in stacks()[0] if stack.key == STACK), None)
    if stack is None:
        raise RuntimeError("; ".join(stacks()[1]))
    plan = Plan(0, 0, CONNECTIONS, min(10.0, seconds / 10), seconds, per_s=per_s, sinks=2, mixed=False)
    with stack.prepared() as ready, Loader() as loader:
        channel = CHANNEL.format(second=loader.sinks[1])
        with engine(ready.broker, ready.database, loader.sink, stack.processes, channel=channel) as running:
            running.wait_until_open()
            parts = {"engine": running.pids, "load generator": [loader.pid], **stack.pids()}
            with usage.Cores(parts) as cores, Memory(running.pids) as memory:
                result = loader.run(msgspec.structs.replace(plan, port=running.port))
            behind_s = running.wait_for_journal(30.0)
    _judge(table, result, memory)
    _tell(table, result, memory)
    table.add(
        "CPU of the engine, ms a message", cores.used["engine"] / max(result["accepted"], 1) * 1000, None
    )
    table.add("journal behind at the end, s", behind_s, None)
    for part, value in cores.busy().items():
        table.add(f"cores kept busy: {part}", value, None)
    return [table]


def _judge(table: Table, result: dict[str, Any], memory: Memory) -> None:
    early, late = memory.quarter(1), memory.quarter(3)
    for what, value, goal in (
        ("answer p99 ms", result["p99_ms"], ANSWER_P99_MS),
        ("end to end p99 ms, both destinations", result["end_p99_ms"], END_P99_MS),
        ("waiting when the last was sent", float(max(result["backlog"], 0)), BACKLOG),
        ("resident memory, last quarter of the second", late / early if early else 0.0, GROWTH),
        ("lost at either destination", float(sum(result["missing"])), 0.0),
        ("not answered yes", float(result["refused"] + result["unanswered"]), 0.0),
    ):
        table.add(what, value, table.target(what, value, goal, most=True))


def _tell(table: Table, result: dict[str, Any], memory: Memory) -> None:
    windows = result["windows_p99_ms"]
    for what, value in (
        ("accepted/s", result["accepted_per_s"]),
        ("answer p50 ms", result["p50_ms"]),
        ("answer p99 ms within ten seconds, median", statistics.median(windows)),
        ("answer p99 ms within ten seconds, the worst", max(windows)),
        ("ten seconds over the target, of all", sum(p99 > ANSWER_P99_MS for p99 in windows) / len(windows)),
        ("end to end p50 ms", result["end_p50_ms"]),
        ("end to end, the slowest, ms", result["end_max_ms"]),
        ("MB of all processes, second quarter", memory.quarter(1)),
        ("MB of all processes, last quarter", memory.quarter(3)),
    ):
        table.add(what, value, None)
