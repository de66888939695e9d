"""A payment channel in the simulated world: orders that a payer pays when he pleases, closes, refunds, notices.

It keeps its own book of one order. Money may come in the second in which it is closed, and after it.
"""

from __future__ import annotations

from typing import Any

from router.settlement.book import Settlement
from router.settlement.commands import Call
from router.settlement.rows import ENDED, Decision, Notice, Place, State
from router.settlement.runner import Told
from tests.settlement.simulated import TEXT, Moved, World

_BEFORE = """      undo: payment.refund
      post: [{debit: "clearing:{channel}", credit: "transit:{settle_no}", amount: $preset.cash}]
"""
_PAID = """  - paid:
      wait: {for: payment.notice, ask: payment.paid, every: [3s, 5s, 30s], until: 5m, else: cancel}
      with: {order: $pay.order}
      reverse: payment.close
      undo: payment.refund
      keep: {receipt: $.paid}
      post: [{debit: "clearing:{channel}", credit: "transit:{settle_no}", amount: $preset.cash}]
"""
PAYING = TEXT.replace(
    f"      do: payment.create\n      ask: payment.query\n{_BEFORE}",
    f"      do: payment.create\n      ask: payment.created\n      undo: payment.close\n      keep: {{pay: $}}\n{_PAID}",
)
assert _PAID in PAYING
_APPROVE = """  - approve:
      manual: {form: [limit], until: 2d, else: cancel}
"""
APPROVED = PAYING.replace("  - pay:\n", _APPROVE + "  - pay:\n", 1)


class Till:
    """The channel's book of one order."""

    def __init__(self) -> None:
        self.order = ""
        self.asked: Any = None  # by whom it was made: with the amount
        self.paid_at: int | None = None  # when the money came
        self.closed = False
        self.refunds: dict[str, int] = {}  # by key: when the money is back

    @property
    def holds(self) -> bool:
        """Whether money came and did not go back."""
        return self.paid_at is not None and not self.refunds


class PayingWorld(World):
    """`pays_ms` after the start the payer pays, where there is an order that is not closed; with `stubborn` closed or
    not. `notices_ms`: how long after it each notice of it comes. `refund_ms`: how long a refund takes."""

    def __init__(self, seed: int, refuses: str = "", faults: float = 0.0, **more: Any) -> None:
        super().__init__(seed, refuses, faults, text=more.pop("text", PAYING))
        self.till = Till()
        self.pays_ms: int | None = more.pop("pays_ms", 10_000)
        self.notices_ms: tuple[int, ...] = more.pop("notices_ms", ())
        self.refund_ms: int = more.pop("refund_ms", 0)
        self.stubborn: bool = more.pop("stubborn", False)
        self.fails_ms: int | None = more.pop(
            "fails_ms", None
        )  # the channel gives it up by itself, and says so
        self.repeats: int = more.pop("repeats", 0)  # notices of a refund
        self.given: list[Any] = []
        self.heard: list[State] = []  # the state that each notice of the money found
        self.bodies: list[tuple[str, Any]] = []
        assert not more, more

    def pay(self) -> None:
        """What the payer and the channel have done until now."""
        till = self.till
        if self.fails_ms is not None and self.now >= self.began + self.fails_ms and till.order:
            self.fails_ms = None
            if till.paid_at is None and not till.closed:
                till.closed = True
                self.said.append((self.now - self.began, Notice(Place("paid"), self.now, "REJECTED")))
        if self.pays_ms is None or self.now < self.began + self.pays_ms or till.paid_at is not None:
            return
        if not till.order or (till.closed and not self.stubborn):
            return
        till.paid_at = self.now
        self.moved.append(Moved("pay", False, till.order, self.now, till.asked))
        for later in self.notices_ms:
            notice = Notice(Place("paid"), self.now + later, "OK", {"paid": "16.10"})
            self.said.append((self.now + later - self.began, notice))

    async def call(self, settlement: Any, call: Call) -> Told:
        self.pay()
        told = await super().call(settlement, call)
        self.pay()
        return told

    def _done(self, call: Call) -> Told:
        if call.operation.startswith("payment."):
            self.pay()
            self.bodies.append((f"{call.direction} {call.operation}", call.body))
            return self._payment(call, call.operation.partition(".")[2])
        return super()._done(call)

    def _payment(self, call: Call, operation: str) -> Told:
        till = self.till
        if call.about == "undo" and operation == "paid":
            done = till.refunds.get(call.key)
            return Told("ABSENT") if done is None else Told("OK" if done <= self.now else "PROCESSING")
        if operation == "create" and call.place.step == self.refuses:
            return Told("REJECTED", code="no")
        if operation == "create" and till.closed:
            return Told("REJECTED", code="closed")
        if operation == "created" and not till.order:
            return Told("ABSENT", final=True)
        if operation in ("create", "created"):
            till.order, till.asked = call.key, call.body
            return Told("OK", reply={"order": call.key})
        if operation == "give_back":  # a part of it
            self.given.append(call.body)
            return Told("OK")
        if operation == "paid":
            return Told("OK", reply={"paid": "16.10"}) if till.paid_at is not None else Told("PROCESSING")
        if operation == "close":
            till.closed = till.closed or till.paid_at is None
            return Told("REJECTED" if till.holds else "OK")
        assert operation == "refund", operation
        if till.paid_at is None:
            self.lied.append("a refund of what was not paid")
            return Told("OK")
        if till.refunds and call.key not in till.refunds:
            self.lied.append(f"a second refund, {call.key}")
        done = till.refunds.get(call.key)
        if done is None:
            done = till.refunds[call.key] = self.now + self.refund_ms
            self.moved.append(Moved("pay", True, call.key, done, till.asked))
            self.said += [
                (done + 10 - self.began, Notice(Place("paid"), done, "OK", None, "undo"))
            ] * self.repeats
        return Told("OK" if done <= self.now else "PROCESSING")

    def told(self, word: Notice | Decision, state: State) -> None:
        if isinstance(word, Notice) and (word.about, word.outcome) == ("do", "OK"):
            self.heard.append(state)

    def left_behind(self, key: str) -> list[str]:
        """Money that comes for a closed order comes when it likes."""
        return [one for one in super().left_behind(key) if one != "pay" or not self.till.closed]

    def unwanted(self, ended: Settlement) -> bool:
        late = bool(ended.rows.decisions) and all(one.who == "deadline" for one in ended.rows.decisions)
        return late and not self.refuses and self.till.paid_at is not None and not self.till.closed

    @property
    def for_a_person(self) -> bool:
        """Money came for a closed order, and nobody had heard of it when it was to be closed for good."""
        return self.till.closed and self.till.paid_at is not None

    @property
    def owes(self) -> bool:
        """Money that is there, and of which somebody heard before the end, or could have."""
        unheard = self.stubborn and self.till.closed and not any(state not in ENDED for state in self.heard)
        return self.till.holds and not unheard

    def live(self, key: str) -> int:
        if key == "pay":
            return int(self.till.holds)
        return super().live(key)
