"""The parties of a test: they say yes and keep what they did, unless the test says otherwise; and the test's clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from channels.settling.cases import SaysText, Word
from channels.settling.model import Definition
from router.proving.settling.inputs import faults_of
from router.proving.settling.replies import Orders, reply_of
from router.settlement.book import Settlement
from router.settlement.commands import Call
from router.settlement.runner import Told

_ANSWER_MS = 100
_LOST_MS = 30_000  # so long a caller waits for an answer that does not come


@dataclass(slots=True)
class _Script:
    says: tuple[SaysText, ...]
    used: int = 0  # answers of the first that is left

    def next(self, passed_ms: int) -> SaysText | None:
        """None where the party is left to itself."""
        while self.says:
            first = self.says[0]
            gone = self.used >= first.times if first.until is None else passed_ms > first.until * 1000
            if not gone:
                self.used += 1
                return first
            self.says, self.used = self.says[1:], 0
        return None


class World:
    """Meets `router.settlement.runner.Calls`. `now` is Unix milliseconds."""

    def __init__(self, definition: Definition, parties: Mapping[str, tuple[SaysText, ...]], now: int) -> None:
        self.now = self.began = now
        self.asked: list[Call] = []
        self.doubled: list[str] = []  # what was done while it was done already
        self.faults: list[tuple[str, str]] = []  # operation, what is wrong with what it was sent
        self._definition = definition
        self._scripts = {operation: _Script(says) for operation, says in parties.items()}
        self._live: dict[tuple[str, str], str] = {}  # (system, step and item) to the key it was done under
        self._replies: dict[tuple[str, str], Any] = {}
        self._orders: Orders = {}

    async def call(self, settlement: Settlement, call: Call) -> Told:
        self.asked.append(call)
        if call.direction == "do":
            self.faults += [(call.operation, fault) for fault in faults_of(call.operation, call.body)]
        script = self._scripts.get(call.operation)
        says = script.next(self.now - self.began) if script else None
        word: Word = says.says if says else "ok"
        told = self._told(call, word, says.reply if says else None)
        self.now += _LOST_MS if word in ("lost", "timeout") else _ANSWER_MS
        return told

    def _told(self, call: Call, word: Word, reply: Any) -> Told:
        if word == "down":
            return Told("UNSENT", code="JL-D903", text="no connection, says the test")
        if word == "refused":
            said = reply if isinstance(reply, Mapping) else {}
            code, text = str(said.get("code", "refused")), str(said.get("text", "refused, says the test"))
            return Told("REJECTED", code=code, text=text, reply=reply)
        if word == "processing":
            return Told("PROCESSING", reply=reply)
        if word == "absent":
            return Told("ABSENT", reply=reply)
        if word == "timeout":
            return Told("UNKNOWN", text="no answer, says the test")
        told = self._done(call, reply)
        return told if word == "ok" else Told("UNKNOWN", text="no answer, says the test")

    def _done(self, call: Call, reply: Any) -> Told:
        if call.direction == "do":
            return self._do(call, reply)
        if call.direction == "probe":
            return self._found(call, reply)
        place, there = _place(call), self._held(call)
        self._live.pop(place, None)
        if call.direction == "reverse" and not there:
            return Told("ABSENT", final=True, reply=reply)
        return Told("OK", reply=reply_of(call.operation, call.body, self._orders) if reply is None else reply)

    def _do(self, call: Call, reply: Any) -> Told:
        place = _place(call)
        step = self._definition.step(call.place.step)
        before = self._live.get(place)
        if step.unknowable:
            if before is not None and before != call.key:
                self.doubled.append(f"{call.operation} of {place[1]}")
            self._live[place] = call.key
        if reply is not None or place not in self._replies:
            self._replies[place] = (
                reply_of(call.operation, call.body, self._orders) if reply is None else reply
            )
        return Told("OK", reply=self._replies[place])

    def _found(self, call: Call, reply: Any) -> Told:
        """Who waits asks whether it came: it did, unless the test says otherwise."""
        place = _place(call)
        if call.about == "undo":
            return Told("ABSENT") if self._held(call) else Told("OK", reply=reply)
        step = self._definition.step(call.place.step)
        if step.do is None:
            self.came(call.operation, place[1])
            return Told(
                "OK", reply=reply_of(call.operation, call.body, self._orders) if reply is None else reply
            )
        if not self._held(call):
            return Told("ABSENT", final=True)
        return Told("OK", reply=self._replies.get(place) if reply is None else reply)

    def came(self, operation: str, place: str) -> None:
        """What a step waited for is there."""
        system = operation.rpartition(".")[0]
        if self._definition.step(place.partition(".")[0]).undo is not None:
            self._live[system, place] = place

    def _held(self, call: Call) -> bool:
        return _place(call) in self._live

    def left(self) -> dict[str, list[str]]:
        """System to the steps whose effect it still has."""
        made: dict[str, list[str]] = {}
        for system, place in self._live:
            made.setdefault(system, []).append(place)
        return made


def _place(call: Call) -> tuple[str, str]:
    """Whose, and which time of which step: the system is that of the operation that does it."""
    item = f".{call.place.item}" if call.place.item else ""
    return call.operation.rpartition(".")[0], f"{call.place.step}{item}"
