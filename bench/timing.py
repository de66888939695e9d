"""How long a call takes, in CPU time, so that what else the machine does counts less."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

_ROUNDS = 10


def fastest(calls: Mapping[str, Callable[[], object]], round_s: float = 0.08) -> dict[str, float]:
    """Calls per second of CPU for each: the best of ten rounds, by turns so that all meet the same load."""
    counts = {name: _count_for(call, round_s) for name, call in calls.items()}
    best = dict.fromkeys(calls, 0.0)
    for _ in range(_ROUNDS):
        for name, call in calls.items():
            best[name] = max(best[name], counts[name] / _cpu_s(call, counts[name]))
    return best


def _count_for(call: Callable[[], object], round_s: float) -> int:
    """How many calls fill a round; at least one, however slow."""
    call()  # what is made once is made
    count = 1
    while (took := _cpu_s(call, count)) < round_s / 10:
        count *= 4
    return max(1, int(count * round_s / took))


def _cpu_s(call: Callable[[], object], count: int) -> float:
    began = time.process_time()
    for _ in range(count):
        call()
    return time.process_time() - began
