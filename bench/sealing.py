"""What encryption, hash chain and blind index cost in messages per second: the engine beside a bare one.

By turns in pairs (sealed, bare, bare, sealed, ...), so that both meet the same machine. Each turn has an engine,
a broker's place and a journal of its own, and the journal is looked into: sealed it must be, or in the clear.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bench import bare
from bench.flow import WARM_S, Row, odd, one_run, standing
from bench.load import Plan
from bench.services import Stack, stacks
from bench.table import Table

STACK = "RabbitMQ + PostgreSQL"
CONNECTIONS = (8, 32)
SECONDS = 4.0  # the window of one row
PAIRS = 5
OF_BARE = 0.85  # messages/s: sealing costs at most 15 %

_COLUMNS = ["broker + journal", "conn.", "sealed/s", "bare/s", "of bare", "least", "most", "target"]
_COLUMNS += ["CPU ms sealed", "bare", "journal s sealed", "bare", "lost", "doubled"]
_MEANING = (
    "of bare: the pairs' median, least and most; all else medians; CPU ms a message of all processes",
    "journal s: until it had written what had already reached the sink; it looks once a second",
    "bare: the same engine and rows, without SM4-GCM, SM3 chain and blind index; it compresses as ever",
)


@dataclass(frozen=True)
class Pair:
    """Two runs, one right after the other."""

    sealed: Row
    bare: Row

    @property
    def of_bare(self) -> float:
        return self.sealed.per_s / self.bare.per_s


def run(measure_s: float, pairs: int, only: str = "") -> list[Table]:
    """Every stack in one process whose name holds `only`; without it, `STACK`."""
    table = Table(
        f"What encryption and hash chain cost: at most {100 * (1 - OF_BARE):.0f} % of messages/s (pairs: {pairs})",
        _COLUMNS,
    )
    found, missing = stacks()
    table.notes += [*_MEANING, *missing]
    for stack in found:
        if (only or STACK) in stack.name and len(stack.processes) == 1:
            for measured in _measure(stack, measure_s, pairs):
                _add(measured, table)
    return [table]


def _measure(stack: Stack, measure_s: float, pairs: int) -> list[list[Pair]]:
    """For each number of connections its pairs."""
    turns: dict[bool, list[list[Row]]] = {True: [], False: []}
    for number in range(pairs):
        for is_bare in (False, True) if number % 2 == 0 else (True, False):
            turns[is_bare].append(_turn(stack, measure_s, is_bare))
    return [
        [Pair(sealed[n], unsealed[n]) for sealed, unsealed in zip(turns[False], turns[True], strict=True)]
        for n in range(len(CONNECTIONS))
    ]


def _turn(stack: Stack, measure_s: float, is_bare: bool) -> list[Row]:
    """One run for each number of connections."""
    with standing(stack, program=bare.PROGRAM if is_bare else ()) as (_, loader, running):
        # The first batch starts the process that writes rows: that shall not fall into the first window.
        one_run(stack, Plan(0, running.port, CONNECTIONS[0], 0.0, WARM_S), loader, running)
        rows = [
            one_run(stack, Plan(number, running.port, connections, WARM_S, measure_s), loader, running)
            for number, connections in enumerate(CONNECTIONS, 1)
        ]
        prove(running.journal, is_bare)
    if not all(row.per_s for row in rows):
        raise RuntimeError("nothing that was sent in the window reached the sink: --seconds is too short")
    return rows


def prove(journal: str, is_bare: bool) -> None:
    """RuntimeError where a journal (its database's URL) is not as such an engine writes it."""
    if bare.in_clear(journal) != is_bare:
        raise RuntimeError("the bare engine sealed its journal" if is_bare else "the engine sealed nothing")


def _add(pairs: Sequence[Pair], table: Table) -> None:
    what = pairs[0].sealed.what
    sealed, unsealed = [pair.sealed for pair in pairs], [pair.bare for pair in pairs]

    def medians(name: str) -> list[float]:
        return [statistics.median(getattr(row, name) for row in rows) for rows in (sealed, unsealed)]

    parts = [pair.of_bare for pair in pairs]
    part = statistics.median(parts)
    wrong = {name: sum(row.count[name] for row in (*sealed, *unsealed)) for name in ("lost", "doubled")}
    table.add(
        pairs[0].sealed.stack,
        pairs[0].sealed.connections,
        *medians("per_s"),
        part,
        min(parts),
        max(parts),
        table.target(f"messages/s sealed of bare, {what}", part, OF_BARE),
        *medians("all_cpu_ms"),
        *medians("journal_s"),
        *wrong.values(),
    )
    table.missed += [f"{what}: {number} {name}, wanted 0" for name, number in wrong.items() if number]
    for kind, rows in (("sealed", sealed), ("bare", unsealed)):
        table.notes += [f"{kind}: {line}" for row in rows for line in odd(row)]
