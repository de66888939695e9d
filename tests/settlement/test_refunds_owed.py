"""F47, F49: what is to go back and cannot is owed in the ledger, and an item says how much, until the money is out."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

from channels.settling.compile import compile_settlement
from channels.settling.model import Definition
from config.settings import ROOT
from config.text import parse
from router.settlement.book import New, Settlement
from router.settlement.commands import Call
from router.settlement.invariants import broken
from router.settlement.posting import Entry, Journal
from router.settlement.rows import Decision, Place
from router.settlement.runner import Runner, Told
from tests.settlement.memory import MemoryBook
from transforms.library import Library

PIPELINE = ROOT / "channels" / "settlements" / "deposit-refund.yaml"
DAY = 86_400_000


class House:
    """An admission with a deposit of three orders, and a channel that cannot give back some of them."""

    def __init__(self, deposit_fen: int, closed_cards: set[str]) -> None:
        self.book, self.now, self.closed_cards = MemoryBook(), 1_000_000, closed_cards
        entries = (Entry("clearing:wechat", deposit_fen), Entry("deposit:I1", -deposit_fen))
        self.book.journals["P1/paid/done"] = Journal("P1/paid/done", "P1", entries)
        problems: list[Any] = []
        text = parse(PIPELINE.read_text(encoding="utf-8"), PIPELINE.name)
        made = compile_settlement(text, Library([], []), problems)
        assert made is not None, problems
        self.definition = made

    async def known(self, digest: str) -> Definition:
        return self.definition

    async def call(self, settlement: Settlement, call: Call) -> Told:
        if call.operation == "payment.refund" and settlement.rows.request["order"] in self.closed_cards:
            return Told("REJECTED", code="USER_ACCOUNT_ABNORMAL")
        return Told("OK", reply={"refund": settlement.number})

    def refund(self, number: str, order: str, yuan: str) -> str | None:
        request = {"settle_no": number, "channel": "wechat", "amount": Decimal(yuan), "inpatient_no": "I1"}
        request |= {"order": order, "posted": "S1/post", "reason": "出院退余额"}
        asyncio.run(self.book.begin(New(number, "deposit-refund", "d", request, self.now, ("inpatient:I1",))))
        return self.driven(number)

    def driven(self, number: str) -> str | None:
        """As far as it goes within half a year."""
        runner, until = Runner(self.book, self, self.known, "p", lambda: self.now), self.now + 180 * DAY
        while True:
            state = asyncio.run(runner.drive(number))
            due_ms = self.book.settlements[number].due_ms
            if state in ("COMPLETED", "COMPENSATED", "REJECTED", "SUSPENDED") or due_ms > until:
                return state
            self.now = max(self.now + 1, due_ms)

    def decide(self, number: str, what: Any, step: str) -> str | None:
        said = Decision(what, "100017", self.now, Place(step), "100018", "paid out", "voucher 7", after=99)
        asyncio.run(self.book.tell(number, said))
        return self.driven(number)

    def owed(self, number: str) -> int:
        return -self.book.balance(f"liability:{number}")

    def open_items(self) -> list[tuple[str, str, int]]:
        return [(one.book, one.account, one.fen) for one in self.book.items.values() if not one.closed_ms]


def test_of_three_refunds_one_fails_and_its_amount_is_owed_with_an_item() -> None:
    house = House(60_000, {"O3"})
    states = [
        house.refund(f"R{n}", f"O{n}", yuan) for n, yuan in ((1, "100.00"), (2, "300.00"), (3, "200.00"))
    ]
    assert states == ["COMPLETED", "COMPLETED", "SUSPENDED"]
    assert [house.owed(f"R{n}") for n in (1, 2, 3)] == [0, 0, 20_000]
    assert house.open_items() == [("R3", "liability:R3", 20_000)]
    assert house.book.balance("deposit:I1") == 0
    assert house.book.balance("clearing:wechat") == 20_000
    for number in ("R1", "R2", "R3"):
        assert broken(house.definition, house.book.held(number), house.now) == []


def test_f47_what_no_card_takes_is_owed_until_two_people_say_that_it_was_paid_out() -> None:
    house = House(20_000, {"O2"})
    assert house.refund("R2", "O2", "200.00") == "SUSPENDED"
    assert (house.owed("R2"), house.book.balance("clearing:wechat")) == (20_000, 20_000)
    assert house.decide("R2", "done", "refund") == "COMPLETED"
    assert (house.owed("R2"), house.open_items()) == (0, [])
    assert house.book.balance("clearing:wechat") == 0
    assert broken(house.definition, house.book.held("R2"), house.now) == []


def test_f49_two_refunds_of_more_than_a_deposit_has_one_is_refused_before_it_leaves() -> None:
    house = House(50_000, set())
    assert house.refund("R1", "O1", "300.00") == "COMPLETED"
    assert house.refund("R2", "O2", "300.00") in ("REJECTED", "COMPENSATED")
    assert house.book.settlements["R2"].code == "JL-T040"
    assert house.book.settlements["R2"].rows.attempts == (), "nothing was asked of anybody"
    assert (house.owed("R2"), house.book.balance("deposit:I1")) == (0, -20_000)
