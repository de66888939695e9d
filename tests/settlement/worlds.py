"""A world for `decide` alone: parties with books of their own that answer, lose, delay and lie by a seeded chance."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from channels.settling.model import Definition
from router.settlement.commands import Call, Command, End, Say, Wait
from router.settlement.decide import decide
from router.settlement.rows import Attempt, Outcome, Rows

MINUTE_MS = 60_000


@dataclass
class Party:
    """Knows what it did by key; does the same key twice where it is asked twice (no party is trusted to notice)."""

    done: Counter[str] = field(default_factory=Counter)
    undone: Counter[str] = field(default_factory=Counter)
    refuses: set[str] = field(default_factory=set)  # steps that it will not do
    shown_ms: dict[str, int] = field(default_factory=dict)  # since when a query shows it


@dataclass
class World:
    """Plays one settlement to its end. `fault` is the chance that a call meets one; it stops after `faults_ms`."""

    definition: Definition
    seed: int
    fault: float = 0.3
    lag_ms: int = 60_000
    faults_ms: int = 20 * MINUTE_MS
    party: Party = field(default_factory=Party)
    now_ms: int = 1_000_000
    calls: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.rows = Rows("S1", {"total": 100}, self.now_ms)
        self.began_ms = self.now_ms

    def play(self, most: int = 5000) -> End:
        for _ in range(most):
            command = decide(self.definition, self.rows, self.now_ms)
            if isinstance(command, End):
                return command
            self._do(command)
        raise AssertionError(f"seed {self.seed}: no end after {most} commands")

    def _do(self, command: Command) -> None:
        if isinstance(command, Wait):
            assert command.until_ms > self.now_ms, "it would spin"
            self.now_ms = command.until_ms
        elif isinstance(command, Say):
            self.rows = replace(self.rows, decisions=(*self.rows.decisions, command.decision))
        elif isinstance(command, Call):
            self._call(command)

    def _call(self, call: Call) -> None:
        self.calls += 1
        attempt = Attempt(
            len(self.rows.attempts) + 1,
            call.place,
            call.direction,
            call.operation,
            call.key,
            self.now_ms,
            about=call.about,
        )
        outcome, final = self._answer(call)
        self.now_ms += self.random.choice((1, 50, 3000))
        if outcome is not None:
            attempt = replace(attempt, outcome=outcome, ended_ms=self.now_ms, final=final)
        self.rows = replace(self.rows, attempts=(*self.rows.attempts, attempt))

    def _answer(self, call: Call) -> tuple[Outcome | None, bool]:
        """What the caller hears; None where the process died before it heard."""
        faulty = self.random.random() < self.fault and self.now_ms - self.began_ms < self.faults_ms
        kind = self.random.choice(("lost", "never", "unsent", "died", "died before")) if faulty else "well"
        if kind == "unsent":
            return "UNSENT", False
        silent: Outcome | None = None if kind.startswith("died") else "UNKNOWN"
        if kind in ("never", "died before"):
            return silent, False
        said = self._effect(call)
        return (said[0], said[1]) if kind == "well" else (silent, False)

    def _effect(self, call: Call) -> tuple[Outcome, bool]:
        done, undone = self.party.done, self.party.undone
        if call.direction == "do":
            if call.place.step in self.party.refuses:
                return "REJECTED", False
            if ".read" in call.operation:
                return "OK", False
            done[call.key] += 1
            self.party.shown_ms.setdefault(call.key, self.now_ms + self.random.randrange(self.lag_ms))
            return "OK", False
        if call.direction == "undo":
            undone[call.key] += 1
            return "OK", False
        if call.direction == "reverse":
            if done[call.key] == 0:
                return "ABSENT", True
            done[call.key] -= 1
            return "OK", False
        return self._found(call)

    def _found(self, call: Call) -> tuple[Outcome, bool]:
        """A query that lags: what was done a moment ago is not shown yet."""
        if call.about == "undo":
            return ("OK", False) if self.party.undone[call.key] else ("ABSENT", False)
        if self.party.done[call.key] and self.now_ms >= self.party.shown_ms[call.key]:
            return "OK", False
        return "ABSENT", False

    @property
    def live(self) -> dict[str, int]:
        """What is done and not undone, by key; only what has an effect."""
        left: dict[str, int] = {}
        for key, times in self.party.done.items():
            if times - self.party.undone[key]:
                left[key] = times - self.party.undone[key]
        return left


def ignore(_: Any) -> None:
    """Nothing is kept of it."""
