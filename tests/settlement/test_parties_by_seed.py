"""HIS and e-invoice parties over the sandbox's, by a seed: calls are lost, late, garbled; processes die; clocks move.

Nobody at the other side notices a repeat: what keeps a post from being made twice is ours.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from typing import Any

import pytest
from his_parts import BODY, His
from invoice_parts import Invoices

from config.errors import Unreachable
from endpoints.rest.sending import Answer
from router.settlement.book import New, Settlement
from router.settlement.calls import _told
from router.settlement.commands import Call
from router.settlement.rows import CALL_MS, ENDED
from router.settlement.runner import LEASE_MS, Runner, Told
from schemas.json import Json
from schemas.message import Reply
from tests.settlement.memory import Crash, MemoryBook
from tests.settlement.simulated import definition

TEXT = """
settlement: outpatient
key: $.settle_no
lock: {bill: "$.bills[].bill_no"}
steps:
  - hold: {do: his.hold_bills, ask: his.query_hold, undo: his.release_bills, retry: {times: 100}}
  - deposit: {do: his.post_deposit, ask: his.query_deposit, undo: his.unpost_deposit, retry: {times: 100}}
  - post: {do: his.post_settlement, ask: his.query_settlement, undo: his.unpost_settlement, retry: {times: 100}}
  - last: {do: payment.last, ask: payment.query, pivot: true}
  - invoice: {do: einvoice.issue, ask: einvoice.find, forward: true, retry: {times: 100}}
"""
REQUEST = {"settle_no": "S1", **BODY, "inpatient_no": "ZY1", "amount": "500.00", "method": "wechat"}
REQUEST["patient"] = {"patient_no": "P1", "name": "测试甲"}
KINDS = ("lose", "cut", "mute", "garbage", "half", "error", "down", "late", "lag")


class World:
    """`no`: the last step before the pivot is refused, and all is taken back."""

    def __init__(self, seed: int, profile: str, no: bool = False) -> None:
        self.random = random.Random(seed)
        self.his = His(profile, dedupe=False)
        self.his.billing.books.stay("ZY1")
        self.invoices = Invoices(dedupe=False)
        for side in (self.his, self.invoices):
            side.party._post = self._faulty(side.line)  # type: ignore[union-attr]
        self.no = no
        self.now = 1_000_000
        self.until = self.now + 15 * 60_000
        self.book = MemoryBook(self.maybe_crash)
        self.definition = definition(TEXT)
        self.late: list[tuple[int, Any, str, bytes]] = []

    def _faulty(self, line: Any) -> Any:
        async def post(method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
            self._arrive()
            self.now += self.random.choice((5, 300, 4000))
            if self.now > self.until or self.random.random() > 0.3:
                return await line.post(method, url, headers, body)  # type: ignore[no-any-return]
            kind = self.random.choice(KINDS)
            if kind == "down":
                raise Unreachable("JL-E220", "no connection")
            if kind == "late":
                at = self.now + self.random.randrange(100_000)
                self.late.append((at, line.billing, url.removeprefix("http://his"), body))
                raise Unreachable("JL-E221", "no answer in time", maybe_done=True)
            line.billing.acts.well()
            line.billing.behave("*", kind, times=1)
            return await line.post(method, url, headers, body)  # type: ignore[no-any-return]

        return post

    def _arrive(self) -> None:
        for one in [one for one in self.late if one[0] <= self.now]:
            self.late.remove(one)
            one[1].acts.well()
            one[1].take(one[2], one[3])

    def maybe_crash(self) -> None:
        if self.now < self.until and self.random.random() < 0.03:
            raise Crash

    async def known(self, digest: str) -> Any:
        return self.definition

    async def call(self, settlement: Settlement, call: Call) -> Told:
        self.maybe_crash()
        system, _, operation = call.operation.partition(".")
        if system == "payment":
            return Told({"do": "REJECTED", "probe": "ABSENT"}.get(call.direction, "OK") if self.no else "OK")  # type: ignore[arg-type]
        headers = {"direction": call.direction, "about": call.about, "step": call.place.step}
        headers |= {"settlement": "S1", "key": f"S1/{call.key}"}
        party: Any = self.his.party if system == "his" else self.invoices.party
        tree = await party.ask(operation, call.body, headers)
        self.maybe_crash()
        return _told(Reply("answered", body=Json().encode(tree)))

    async def play(self) -> Settlement:
        new = New("S1", "outpatient", self.definition.digest, REQUEST, self.now, ("bill:B1",))
        for process in range(3000):
            runner = Runner(self.book, self, self.known, f"p{process}", lambda: self.now)
            try:
                await self.book.begin(new)
                state = await runner.drive("S1")
            except Crash:
                self.now += self.random.choice((0, LEASE_MS))
                continue
            ended: Settlement = await self.book.load("S1")
            if ended.state in (*ENDED, "SUSPENDED"):
                self.now += CALL_MS
                self._arrive()
                return ended
            self.now = max(self.now + 1, ended.due_ms if state else self.now + LEASE_MS)
        raise AssertionError("no end")


@pytest.mark.parametrize("profile", ["one-string", "json-gateway"])
@pytest.mark.parametrize("seed", range(8))
def test_all_is_done_once_whatever_is_lost(profile: str, seed: int) -> None:
    world = World(seed, profile)
    ended = asyncio.run(world.play())
    assert (ended.state, ended.text) == ("COMPLETED", "")
    books = world.his.billing.books
    assert [len(books.live("post")), len(books.live("deposit")), books.balance("ZY1")] == [1, 1, 50_000]
    assert [bill.fen for bill in world.invoices.platform.desk.bills] == [3650]


@pytest.mark.parametrize("profile", ["one-string", "json-gateway"])
@pytest.mark.parametrize("seed", range(100, 108))
def test_all_is_taken_back_whatever_is_lost(profile: str, seed: int) -> None:
    world = World(seed, profile, no=True)
    ended = asyncio.run(world.play())
    assert (ended.state, ended.text) == ("COMPENSATED", "")
    books = world.his.billing.books
    assert [len(books.live("post")), books.balance("ZY1"), world.invoices.platform.desk.bills] == [0, 0, []]
    assert [(bill.paid, bill.held_by) for bill in books.bills.values()] == [(False, "")] * 2
