"""Which settlements are stuck: that wait for a person, take far longer than usual, or know too long of no outcome.

Pure. Times are Unix milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Literal

from channels.settling.model import Definition
from router.settlement.progress import progress_of
from router.settlement.rows import Rows, State

TIMES = 3  # of the usual duration
LEAST_MS = 300_000  # no settlement is late before
UNKNOWN_MS = 1_800_000  # without an outcome
_KNOWN = 5  # so many that completed make a usual duration

Why = Literal["", "person", "late", "unknown"]


def usual_ms(durations: Sequence[int]) -> int:
    """Of those that completed lately; 0 where they are too few to say."""
    return int(median(durations)) if len(durations) >= _KNOWN else 0


def limit_ms(usual: int) -> int:
    """How long one may take; 0 where nobody knows."""
    return max(TIMES * usual, LEAST_MS) if usual else 0


def is_late(state: State | str, began_ms: int, usual: int, now_ms: int) -> Why:
    """By its own row alone."""
    if state == "SUSPENDED":
        return "person"
    most = limit_ms(usual)
    return "late" if most and now_ms - began_ms > most else ""


def is_unknown(definition: Definition, rows: Rows, now_ms: int) -> bool:
    """Whether of a call nobody knows for too long what became of it."""
    for place, progress in progress_of(rows).items():
        step = next((one for one in definition.steps if one.name == place.step), None)
        if step is None:
            continue
        for way, standing in (
            (progress.do, progress.standing(step)),
            (progress.undo, progress.undoing(step)),
        ):
            if way.last is not None and standing == "OPEN" and now_ms - way.last.began_ms > UNKNOWN_MS:
                return True
    return False
