"""What trials came to, a line a fault."""

from __future__ import annotations

from collections import defaultdict

from trial import Result

from bench.table import Table

_COLUMNS = [
    "fault",
    "trials",
    "broken",
    "accepted",
    "lost",
    "doubled",
    "explained",
    "inverted",
    "in flight s",
    "longest outage s",
]


class Tally:
    """Results by fault."""

    def __init__(self) -> None:
        self._by_fault: defaultdict[str, list[Result]] = defaultdict(list)

    def add(self, result: Result) -> None:
        self._by_fault["two together" if "+" in result.fault else result.fault].append(result)

    def table(self) -> Table:
        """`doubled` counts copies after the first; `explained` are those with a reason (verdict.py).

        `in flight`: how long before a fault the oldest copy came that came again for it.
        """
        table = Table("Chaos: what was accepted and what arrived, by number", _COLUMNS)
        for fault, results in sorted(self._by_fault.items()):
            table.add(fault, *_line(results))
        if len(self._by_fault) > 1:
            table.add("all", *_line([each for results in self._by_fault.values() for each in results]))
        return table


def _line(results: list[Result]) -> tuple[int | float, ...]:
    verdicts = [result.verdict for result in results]
    return (
        len(results),
        sum(bool(result.broken) for result in results),
        sum(verdict.accepted for verdict in verdicts),
        sum(len(verdict.lost) for verdict in verdicts),
        sum(verdict.doubled for verdict in verdicts),
        sum(verdict.explained for verdict in verdicts),
        sum(len(verdict.inverted) for verdict in verdicts),
        max(verdict.in_flight_s for verdict in verdicts),
        max(result.outage_s for result in results),
    )
