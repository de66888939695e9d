"""A simulated world: parties with books of their own, a clock that moves when somebody waits, processes that die.

Everything happens by a seed. The book may be one in memory or one on a database.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, NamedTuple

from channels.settling.compile import compile_settlement
from channels.settling.model import Definition
from config.text import parse
from router.settlement.book import Book, Change, New, Settlement
from router.settlement.commands import Call
from router.settlement.rows import CALL_MS, ENDED, Decision, Notice, State
from router.settlement.runner import LEASE_MS, Runner, Told
from tests.settlement.memory import Crash, MemoryBook
from transforms.library import Library

TEXT = """
settlement: outpatient
key: $.settle_no
lock: {bill: "$.bills[].bill_no"}
steps:
  - hold: {do: his.hold, ask: his.query_hold, undo: his.release}
  - fees: {each: "$.bills[]", in: 1, do: insurance.2204, ask: insurance.5204, undo: insurance.2205}
  - preset: {do: insurance.2206, keep: {preset: $.setlinfo}, check: [{$preset.total: {sum: ["$.bills[].amount"]}}]}
  - pay:
      do: payment.create
      ask: payment.query
      undo: payment.refund
      post: [{debit: "clearing:{channel}", credit: "transit:{settle_no}", amount: $preset.cash}]
  - settle:
      do: insurance.2207
      ask: insurance.5203
      reverse: insurance.2601
      undo: insurance.2208
      keep: {settle: $.setlinfo}
      check: [{$settle.fund: $preset.fund, $settle.cash: $preset.cash}]
      post: [{debit: "receivable:fund", credit: "transit:{settle_no}", amount: $settle.fund}]
  - post:
      do: his.post
      ask: his.query
      undo: his.unpost
      pivot: true
      post: [{debit: "transit:{settle_no}", credit: "income:his", amount: $.total}]
  - invoice: {do: einvoice.issue, ask: einvoice.find, forward: true}
  - done: {emit: settlement.completed}
"""
BILLS = [{"bill_no": "B1", "amount": "30.10"}, {"bill_no": "B2", "amount": "6.40"}]
REQUEST = {"settle_no": "S1", "channel": "wechat", "total": "36.50", "bills": BILLS}
INFO = {"total": "36.50", "fund": "20.40", "cash": "16.10"}


def definition(text: str = TEXT) -> Definition:
    problems: list[Any] = []
    made = compile_settlement(parse(text, "outpatient.yaml"), Library([], []), problems)
    assert made is not None, problems
    return made


class Crashing:
    """A book whose process may end before and after each commit."""

    def __init__(self, book: Book, maybe_crash: Callable[[], None]) -> None:
        self._book = book
        self._maybe_crash = maybe_crash

    def __getattr__(self, name: str) -> Any:
        return getattr(self._book, name)

    async def write(self, number: str, fence: int, change: Change) -> None:
        self._maybe_crash()
        await self._book.write(number, fence, change)
        self._maybe_crash()


class Moved(NamedTuple):
    """A line of a party's own book: it did what `what` names, or took it back."""

    what: str
    back: bool
    key: str  # that it was asked under
    at_ms: int
    body: Any  # what it was asked, with the amounts


class World:
    """Parties that keep books, lose and lie by chance; a clock that moves when somebody waits; a process that dies."""

    def __init__(
        self,
        seed: int,
        refuses: str = "",
        faults: float = 0.25,
        book: Book | None = None,
        text: str = TEXT,
    ) -> None:
        """With `faults` 0 only what `script` says happens: by "do insurance.2207", one fault after the other."""
        self.random = random.Random(seed)
        self.refuses = refuses
        self.faults = faults
        self.now = self.began = 1_000_000
        self.until = self.now + 15 * 60_000
        self.book: Any = MemoryBook(self.maybe_crash) if book is None else Crashing(book, self.maybe_crash)
        self.crashes = 0
        self.under_way: list[tuple[int, Call]] = []
        self.lied: list[str] = []  # what no party would have stood for
        self.numbers: dict[str, list[str]] = {}  # by what is done: the keys that it was asked under
        self.reversed: set[str] = set()
        self.shown: dict[str, int] = {}  # from when on a query shows it
        self.done: dict[str, int] = {}
        self.undone: dict[str, int] = {}
        self.moved: list[Moved] = []
        self.script: dict[str, list[str]] = {}
        self.asked: list[str] = []  # "do insurance.2207", in their order
        self.keys: list[str] = []  # of the calls that do something
        self.said: list[tuple[int, Notice | Decision]] = []  # what comes from outside, and when
        self.info: dict[str, str] = INFO  # what the insurance says of the settlement
        self.definition = definition(text)

    async def known(self, digest: str) -> Definition:
        return self.definition

    def maybe_crash(self) -> None:
        if self.now < self.until and self.random.random() < self.faults / 8:
            self.crashes += 1
            raise Crash

    async def call(self, settlement: Settlement, call: Call) -> Told:
        self.maybe_crash()
        self._arrive()
        name = f"{call.direction} {call.operation}"
        self.asked.append(name)
        if call.direction == "do":
            self.keys.append(call.key)
        scripted = self.script.get(name)
        told = self._scripted(call, scripted.pop(0)) if scripted else self._told(call)
        self.now += self.random.choice((5, 800, 20_000)) if self.faults else 100
        await self.hear()
        self.maybe_crash()
        return told

    def _scripted(self, call: Call, kind: str) -> Told:
        """lost: done, not answered. never: not done, not answered. refused. late: done, shown by no query before."""
        if kind == "refused":
            return Told("REJECTED", code="no")
        if kind == "unsent":
            return Told("UNSENT")
        if kind == "killed before":
            raise Crash
        if kind in ("lost", "killed after"):
            self._done(call)
        if kind == "killed after":
            raise Crash
        if kind == "absent":
            return Told("ABSENT")
        if kind.startswith("says "):
            self._done(call)
            return Told("OK", reply={"setlinfo": {**INFO, "cash": kind.removeprefix("says ")}})
        return Told("UNKNOWN")

    def _told(self, call: Call) -> Told:
        faulty = self.now < self.until and self.random.random() < self.faults
        kind = self.random.choice(("lost", "never", "unsent", "on its way")) if faulty else "well"
        if kind == "on its way":  # it waits in a queue, or the party takes its time: it comes in all the same
            if call.direction in ("do", "undo"):
                self.under_way.append((self.now + self.random.randrange(CALL_MS - 30_000), call))
            return Told("UNKNOWN")
        if kind == "unsent":
            return Told("UNSENT")
        if kind == "never":
            return Told("UNKNOWN")
        told = self._done(call)
        return told if kind == "well" else Told("UNKNOWN")

    def _arrive(self) -> None:
        """What was on its way and has come in, when it came in."""
        now = self.now
        for at in [one for one in self.under_way if one[0] <= now]:
            self.under_way.remove(at)
            self.now = at[0]
            self._done(at[1])
        self.now = now

    def _done(self, call: Call) -> Told:
        key = f"{call.place.step}.{call.place.item}" if call.place.step == "fees" else call.place.step
        if call.direction == "do":
            if call.place.step == self.refuses:
                return Told("REJECTED", code="no")
            self._numbered(key, call.key)
            self.done[key] = self.done.get(key, 0) + 1
            self.moved.append(Moved(key, False, call.key, self.now, call.body))
            self.shown[key] = self.now + (self.random.randrange(110_000) if self.faults else 0)
            return Told("OK", reply={"setlinfo": self.info if key == "settle" else INFO})
        if call.direction == "undo":
            self.lied += [f"{key} is undone before {one}" for one in self.left_behind(key)]
            self._back(key, call)
            return Told("OK")
        if call.direction == "reverse":
            if not self.live(key):
                self.reversed.add(call.key)  # what comes later under this number is refused
                return Told("ABSENT", final=True)
            self._back(key, call)
            self.reversed.add(call.key)
            return Told("OK")
        return self._found(call, key)

    def _back(self, key: str, call: Call) -> None:
        self.undone[key] = self.undone.get(key, 0) + 1
        self.moved.append(Moved(key, True, call.key, self.now, call.body))

    def _numbered(self, what: str, key: str) -> None:
        """A party knows a request by its number: the same while nobody reversed it, another once somebody did."""
        before = self.numbers.setdefault(what, [])
        if key in self.reversed:
            self.lied.append(f"{what}: {key} again, and it was reversed")
        if key not in before and any(one not in self.reversed for one in before):
            self.lied.append(f"{what}: {key} beside {before}")
        before.append(key)

    def _found(self, call: Call, key: str) -> Told:
        key = "pay" if key == "paid" else key  # who waits for the money asks about the order
        if call.about == "undo":
            return Told("ABSENT") if self.live(key) else Told("OK")
        seen = self.live(key) and self.now >= self.shown.get(key, 0)
        return Told("OK", reply={"setlinfo": INFO}) if seen else Told("ABSENT")

    def refused(self, ended: Settlement) -> bool:
        """Whether somebody had to allow it, and did not."""
        asked = any(step.manual is not None for step in self.definition.steps)
        return asked and not any(one.what == "done" for one in ended.rows.decisions)

    def unwanted(self, ended: Settlement) -> bool:
        """Whether it went back without a reason."""
        return False

    @property
    def for_a_person(self) -> bool:
        """Whether something happened that no party should do."""
        return False

    def left_behind(self, key: str) -> list[str]:
        """What was done later, and is not undone yet."""
        return [one for one in EFFECTS[EFFECTS.index(key) + 1 :] if self.live(one)]

    def live(self, key: str) -> int:
        return self.done.get(key, 0) - self.undone.get(key, 0)

    async def play(self) -> Settlement:
        """Processes come and go until there is an end."""
        new = New("S1", "outpatient", self.definition.digest, REQUEST, self.now, ("bill:B1", "bill:B2"))
        for process in range(5000):
            runner = Runner(self.book, self, self.known, f"p{process}", lambda: self.now)
            try:
                await self.book.begin(new)
                state = await runner.drive("S1")
            except Crash:
                self.now += self.random.choice((0, LEASE_MS))
                continue
            now: Settlement = await self.book.load("S1")
            if now.state in (*ENDED, "SUSPENDED"):
                self.now += CALL_MS
                self._arrive()
                return now
            due = min([now.due_ms, *(self.began + at for at, _ in self.said)])
            self.now = max(self.now + 1, due if state else self.now + LEASE_MS)
            await self.hear()
        raise AssertionError("no end")

    def told(self, word: Notice | Decision, state: State) -> None:
        """What came from outside, and what state it found."""

    async def hear(self) -> None:
        """What came from outside until now."""
        for at in [one for one in self.said if one[0] <= self.now - self.began]:
            self.said.remove(at)
            self.told(at[1], await self.book.tell("S1", at[1]))


EFFECTS = ("hold", "fees.0", "fees.1", "pay", "settle", "post", "invoice")
