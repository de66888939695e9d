"""Settlements that are stuck, and those of which something does not hold: as the looks of each minute found them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from channels.model import Channel
from config.errors import Unreachable
from router.alerts.judge import Findings
from router.alerts.kinds import Fact, Name

_STUCK = "stuck"


class Counts(Protocol):
    """What is asked of the settlements' database."""

    async def counts(self) -> Mapping[str, int]:
        """How many are open, by rule. Raises Unreachable."""


class Money:
    """`counts` gives None while there is no settlement here."""

    def __init__(self, counts: Callable[[], Counts | None]) -> None:
        self._counts = counts

    async def look(self, channels: Sequence[Channel], found: Findings, now_ms: int) -> None:
        book = self._counts()
        if book is None:  # another process may know
            found.unseen |= {"stuck", "unsound"}
            return
        try:
            open = await book.counts()
        except Unreachable:
            found.unseen |= {"stuck", "unsound"}
            return
        stuck, unsound = open.get(_STUCK, 0), sum(n for rule, n in open.items() if rule != _STUCK)
        if stuck:
            found.raised[Name("stuck")] = Fact(stuck)
        if unsound:
            found.raised[Name("unsound")] = Fact(unsound)
