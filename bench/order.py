"""What order costs: eight lanes beside one, where the destination takes 5 ms for each message."""

from __future__ import annotations

from bench.load import Plan
from bench.loader import Loader
from bench.services import Stack, stacks
from bench.sinks import Mode
from bench.site import engine
from bench.table import Table

TAKES_S = 0.005
LANES = (1, 8)
TIMES = 4.0  # as many messages/s as one lane
MESSAGES = 1_500
CONNECTIONS = 16

_CHANNEL = """\
channel: {{name}}
from: {{{{mllp: {{{{port: {{port}}}}}}}}}}
format: hl7v2
order: {{{{by: $MSH-10, lanes: {lanes}}}}}
to:
  sink: {{{{send: {{{{mllp: {{{{host: 127.0.0.1, port: {{sink}}}}}}}}}}}}}}
"""


def run(only: str = "") -> list[Table]:
    """Every stack in one process. `only` is a part of a stack's name."""
    table = Table(
        f"A destination that takes {TAKES_S * 1000:.0f} ms, {MESSAGES:,} messages of as many keys",
        ["broker + journal", "lanes", "sink/s", "times one lane", "lost", "target"],
    )
    found, missing = stacks()
    table.notes += missing
    for stack in found:
        if only in stack.name and len(stack.processes) == 1:
            _add(stack, table)
    return [table]


def _add(stack: Stack, table: Table) -> None:
    one = 0.0
    for lanes in LANES:
        rate, lost = _measure(stack, lanes)
        one = one or rate
        times = rate / one if one else 0.0
        goal = table.target(f"{lanes} lanes, {stack.name}, times one", times, TIMES) if lanes > 1 else None
        table.add(stack.name, lanes, rate, times, lost, goal)
        if lost:
            table.missed.append(f"{stack.name}, {lanes} lanes: {lost} lost, wanted 0")


def _measure(stack: Stack, lanes: int) -> tuple[float, int]:
    """Messages per second at the sink, from the first to the last arrival of all; and how many were lost."""
    with stack.prepared() as ready, Loader() as loader:
        loader.mode(Mode(after_s=TAKES_S))
        channel = _CHANNEL.format(lanes=lanes)
        with engine(ready.broker, ready.database, loader.sink, stack.processes, channel=channel) as running:
            running.wait_until_open()
            result = loader.run(Plan(0, running.port, CONNECTIONS, 0.0, 0.0, messages=MESSAGES))
            return result["sink_per_s"], loader.count()["lost"]
