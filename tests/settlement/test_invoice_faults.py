"""A whole settlement whose e-invoice platform misbehaves, by a virtual clock: F43 to F45."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from invoice_parts import BILL, Invoices

from router.settlement.book import New, Settlement
from router.settlement.calls import _told
from router.settlement.commands import Call
from router.settlement.rows import ENDED
from router.settlement.runner import Runner, Told
from schemas.json import Json
from schemas.message import Reply
from tests.settlement.memory import MemoryBook
from tests.settlement.simulated import definition

ISSUE = """
settlement: outpatient
key: $.settle_no
lock: {bill: "$.settle_no"}
steps:
  - post: {do: his.post_settlement, ask: his.query_settlement, undo: his.unpost_settlement, pivot: true}
  - invoice:
      do: einvoice.issue_outpatient
      ask: einvoice.find
      forward: true
      retry: {times: 1000, max: 5m}
      keep: {bill_no: $.bill_no}
"""
REFUND = """
settlement: refund
key: $.settle_no
lock: {bill: "$.settle_no"}
steps:
  - refund: {do: payment.refund, ask: payment.refunded, pivot: true}
  - red: {do: einvoice.write_off, ask: einvoice.written_off, forward: true}
"""
MINUTE_MS = 60_000


class Town:
    """One settlement over the party; all other parties say yes."""

    def __init__(self, text: str, request: dict[str, Any]) -> None:
        self.invoices = Invoices(dedupe=False)
        self.book = MemoryBook()
        self.now = self.began = 1_000_000
        self.definition = definition(text)
        self.request = {"settle_no": "S1", **request}
        self.later: list[tuple[int, Callable[[], None]]] = []

    async def known(self, digest: str) -> Any:
        return self.definition

    async def call(self, settlement: Settlement, call: Call) -> Told:
        self.now += 200
        system, _, operation = call.operation.partition(".")
        if system != "einvoice":
            return Told("OK")
        headers = {"direction": call.direction, "about": call.about, "key": f"S1/{call.key}"}
        tree = await self.invoices.party.ask(operation, call.body, headers)
        return _told(Reply("answered", body=Json().encode(tree)))

    async def play(self) -> Settlement:
        new = New("S1", self.definition.name, self.definition.digest, self.request, self.now, ("bill:S1",))
        await self.book.begin(new)
        for _ in range(3000):
            for one in [one for one in self.later if one[0] <= self.now - self.began]:
                self.later.remove(one)
                one[1]()
            state = await Runner(self.book, self, self.known, "p", lambda: self.now).drive("S1")
            if state in (*ENDED, "SUSPENDED"):
                return await self.book.load("S1")
            self.now = max(self.now + 1, (await self.book.load("S1")).due_ms)
        raise AssertionError("no end")


async def test_f43_a_platform_that_is_down_for_two_days_issues_one_bill_when_it_is_up() -> None:
    town = Town(ISSUE, {"bill": BILL})
    town.invoices.line.down = True
    town.later = [(2 * 1440 * MINUTE_MS, lambda: setattr(town.invoices.line, "down", False))]
    ended = await town.play()
    assert (ended.state, len(town.invoices.platform.desk.bills)) == ("COMPLETED", 1)
    assert town.now - town.began >= 2 * 1440 * MINUTE_MS


@pytest.mark.parametrize("kind", ["cut", "mute", "garbage", "forged"])
async def test_f44_a_bill_that_was_issued_and_not_answered_is_one_bill(kind: str) -> None:
    town = Town(ISSUE, {"bill": BILL})
    town.invoices.platform.behave("invoiceEBillOutpatient", kind, times=1)
    town.invoices.platform.behave("getEBillByBusNo", "lag", times=2, skip=1)
    ended = await town.play()
    assert (ended.state, len(town.invoices.platform.desk.bills)) == ("COMPLETED", 1)


async def test_f45_a_write_off_that_fails_in_a_refund_stays_open_for_a_person() -> None:
    town = Town(REFUND, {"invoice": {"of": "S0/invoice"}})
    headers = {"key": "S0/invoice"}
    await town.invoices.party.ask("issue", {"bill": BILL}, headers)
    town.invoices.platform.behave("writeOffEBill", "refuse", text="开票点已停用")
    ended = await town.play()
    assert ended.state == "SUSPENDED"  # the money went back all the same
    last = ended.rows.attempts[-1]
    assert (last.place.step, last.outcome, last.text) == ("red", "REJECTED", "开票点已停用")
    assert len(town.invoices.platform.desk.live()) == 1
