"""When an alert is opened, and when it is over: what is found now beside what is open, and since when it is so."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from router.alerts.kinds import KINDS, Fact, Name


@dataclass(slots=True)
class Findings:
    """What one look found. Of what is `unsure`, by its name or its kind, nothing is known: it stays as it is.

    Beside what cannot be seen just now, that is what lies between too much and little enough.
    """

    raised: dict[Name, Fact] = field(default_factory=dict)
    unsure: set[Name] = field(default_factory=set)
    unseen: set[str] = field(default_factory=set)


class Judge:
    """Remembers since when something is so; what is open is told to it."""

    def __init__(self) -> None:
        self._raised_ms: dict[Name, int] = {}  # not open yet
        self._calm_ms: dict[Name, int] = {}  # still open

    def judge(self, found: Findings, open: Set[Name], now_ms: int) -> tuple[dict[Name, Fact], list[Name]]:
        """What is to be opened now, and what is over."""
        raised = {name: fact for name, fact in found.raised.items() if name not in open}
        self._raised_ms = _since(self._raised_ms, raised, now_ms)
        calm = {
            name
            for name in open
            if name not in found.raised and name not in found.unsure and name.what not in found.unseen
        }
        self._calm_ms = _since(self._calm_ms, calm, now_ms)
        opening = {
            name: fact
            for name, fact in raised.items()
            if now_ms - self._raised_ms[name] >= KINDS[name.what].lasts_s * 1000
        }
        over = [n for n in sorted(calm) if now_ms - self._calm_ms[n] >= KINDS[n.what].calm_s * 1000]
        return opening, over


def _since(
    before: Mapping[Name, int], names: Set[Name] | Mapping[Name, Fact], now_ms: int
) -> dict[Name, int]:
    return {name: before.get(name, now_ms) for name in names}
