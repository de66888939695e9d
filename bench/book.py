"""What became of each message of one run, and what that comes to."""

from __future__ import annotations

import asyncio
import math
import time
from array import array
from collections.abc import Sequence
from typing import Any

WINDOW_S = 10.0
_DIGITS = 10  # of a control id: B, two of the run, the message's number


class Book:
    """What became of each message of one run, by its number. Times by `time.perf_counter`, 0.0: not yet."""

    def __init__(self, run: int, mixed: bool = True) -> None:
        self.mixed = mixed  # ADT and ORU by turns; else ADT alone
        self.prefix = b"B%02d" % run
        self.sent = array("d")
        self.answered = array("d")
        self.arrived = array("d")
        self.copies = bytearray()
        self.refused = 0  # answered, but not AA
        self.strangers = 0  # reached the sink under a control id that was never sent
        self.reached = 0  # different messages at the sink
        self.accepted = 0
        self.stopping = False

    def next(self, at: float = 0.0) -> int:
        """The next message's number; `at` is when it is sent, if not now."""
        self.sent.append(at or time.perf_counter())
        self.answered.append(0.0)
        self.arrived.append(0.0)
        self.copies.append(0)
        return len(self.sent) - 1

    def control_id(self, number: int) -> bytes:
        return b"%b%0*d" % (self.prefix, _DIGITS, number)

    def arrive(self, control_id: bytes) -> None:
        number = int(control_id[3:]) if control_id[:3] == self.prefix and control_id[3:].isdigit() else -1
        if not 0 <= number < len(self.copies):
            self.strangers += 1
            return
        if not self.copies[number]:
            self.arrived[number] = time.perf_counter()
            self.reached += 1
        self.copies[number] = min(self.copies[number] + 1, 255)

    async def drained(self, accepted: int, within_s: float) -> None:
        """Until so many have reached the sink, at most so long."""
        until = time.perf_counter() + within_s
        while self.reached < accepted and time.perf_counter() < until:  # noqa: ASYNC110 - an event costs each message
            await asyncio.sleep(0.02)

    def count(self, answers: Book | None = None) -> dict[str, int]:
        """The count by control ids: a message may still come a second time after all have come once.

        `answers` is the book that has them, where that is another sink's.
        """
        answered = (answers or self).answered
        lost = sum(1 for at, copies in zip(answered, self.copies, strict=True) if at > 0.0 and not copies)
        doubled = sum(1 for copies in self.copies if copies > 1)
        return {"sent": len(self.sent), "lost": lost, "doubled": doubled, "strangers": self.strangers}


def summary(book: Book, first: int, last: int, began: float, over: float, backlog: int) -> dict[str, Any]:
    """What a run came to. Messages `first` to `last` were sent within the measured window, `began` to `over`.

    `sink_per_s` counts at the sink, from the first to the last arrival of those messages: what waited in a
    queue when the window closed counts with the time it still took. Latencies are those of the answers;
    `windows_p99_ms` has one of each ten seconds: it tells a machine that was disturbed once from one that is too slow.
    """
    arrivals = sorted(at for at in book.arrived[first:last] if at)
    answers = sorted(
        done - sent
        for sent, done in zip(book.sent[first:last], book.answered[first:last], strict=True)
        if done > 0.0
    )
    took = arrivals[-1] - arrivals[0] if len(arrivals) > 1 else 0.0
    return {
        "accepted_per_s": (last - first) / (over - began),
        "sink_per_s": (len(arrivals) - 1) / took if took else 0.0,
        "p50_ms": percentile(answers, 0.50) * 1000,
        "p99_ms": percentile(answers, 0.99) * 1000,
        "windows_p99_ms": _windows(book, first, last),
        "backlog": backlog,
        "drain_s": max(max(book.arrived, default=over) - over, 0.0),
        "messages": len(book.sent),
        "accepted": book.accepted,
        "refused": book.refused,
        "unanswered": sum(1 for at in book.answered if at == 0.0),
    }


def _windows(book: Book, first: int, last: int) -> list[float]:
    """The 99th percentile of the answers to what was sent within each ten seconds, in ms."""
    windows: dict[int, list[float]] = {}
    for sent, done in zip(book.sent[first:last], book.answered[first:last], strict=True):
        if done > 0.0:
            windows.setdefault(int((sent - book.sent[first]) / WINDOW_S), []).append(done - sent)
    return [percentile(sorted(took), 0.99) * 1000 for _, took in sorted(windows.items())]


def end_to_end(book: Book, sinks: Sequence[Book], first: int, last: int) -> dict[str, Any]:
    """From when a message was sent (should have been, where the clock says when) to its arrival at the last sink."""
    took = sorted(
        at - sent
        for sink in sinks
        for sent, at in zip(book.sent[first:last], sink.arrived[first:last], strict=True)
        if at
    )
    missing = [sink.count(book)["lost"] for sink in sinks]
    return {
        "end_p50_ms": percentile(took, 0.50) * 1000,
        "end_p99_ms": percentile(took, 0.99) * 1000,
        "end_max_ms": (took[-1] if took else 0.0) * 1000,
        "missing": missing,
    }


def percentile(ordered: list[float], part: float) -> float:
    """The value that `part` of them do not exceed.

    >>> percentile([1.0, 2.0, 3.0, 4.0], 0.5), percentile([], 0.99)
    (2.0, 0.0)
    """
    return ordered[math.ceil(len(ordered) * part) - 1] if ordered else 0.0
