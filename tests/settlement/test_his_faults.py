"""A whole settlement whose HIS misbehaves, by a virtual clock: F38 to F42."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from his_parts import BODY, His

from router.settlement.book import New, Settlement
from router.settlement.calls import _told
from router.settlement.commands import Call
from router.settlement.rows import ENDED, Decision
from router.settlement.runner import Runner, Told
from schemas.json import Json
from schemas.message import Reply
from tests.settlement.memory import MemoryBook
from tests.settlement.simulated import definition

TEXT = """
settlement: outpatient
key: $.settle_no
lock: {bill: "$.bills[].bill_no"}
steps:
  - hold: {do: his.hold_bills, ask: his.query_hold, undo: his.release_bills}
  - pay:
      do: payment.pay
      ask: payment.query
      undo: payment.refund
      post: [{debit: "clearing:wechat", credit: "transit:{settle_no}", amount: $.total}]
  - post:
      do: his.post_settlement
      ask: his.query_settlement
      undo: his.unpost_settlement
      retry: {times: 500, max: 5m}
      pivot: true
      post: [{debit: "transit:{settle_no}", credit: "income:his", amount: $.total}]
"""
BOTH = pytest.mark.parametrize("profile", ["one-string", "json-gateway"])
MINUTE_MS = 60_000


class Town:
    """One settlement over the party. `at` does something once the clock is there, or an operation comes."""

    def __init__(self, profile: str, **options: Any) -> None:
        self.his = His(profile, **options)
        self.book = MemoryBook()
        self.now = self.began = 1_000_000
        self.definition = definition(TEXT)
        self.paid = 0
        self.before_post: Callable[[], None] = lambda: None
        self.later: list[tuple[int, Callable[[], None]]] = []

    async def known(self, digest: str) -> Any:
        return self.definition

    async def call(self, settlement: Settlement, call: Call) -> Told:
        self.now += 200
        system, _, operation = call.operation.partition(".")
        if system == "payment":
            self.paid += {"do": 1, "undo": -1}.get(call.direction, 0)
            return Told("OK")
        if operation == "post_settlement":
            self.before_post()
        headers = {"direction": call.direction, "about": call.about, "step": call.place.step}
        headers |= {"settlement": "S1", "key": f"S1/{call.key}"}
        tree = await self.his.party.ask(operation, call.body, headers)
        return _told(Reply("answered", body=Json().encode(tree)))

    async def play(self) -> Settlement:
        await self.book.begin(
            New(
                "S1",
                "outpatient",
                self.definition.digest,
                {"settle_no": "S1", **BODY},
                self.now,
                ("bill:B1",),
            )
        )
        for _ in range(2000):
            for one in [one for one in self.later if one[0] <= self.now - self.began]:
                self.later.remove(one)
                one[1]()
            state = await Runner(self.book, self, self.known, "p", lambda: self.now).drive("S1")
            if state in (*ENDED, "SUSPENDED"):
                return await self.book.load("S1")
            self.now = max(self.now + 1, (await self.book.load("S1")).due_ms)
        raise AssertionError("no end")

    @property
    def posts(self) -> int:
        return len(self.his.billing.books.live("post"))


@BOTH
@pytest.mark.parametrize("kind", ["cut", "mute", "garbage", "error"])
async def test_f38_done_and_not_answered_it_is_posted_once(profile: str, kind: str) -> None:
    town = Town(profile, dedupe=False)
    town.his.billing.behave("post_settlement", kind, times=1)
    ended = await town.play()
    assert (ended.state, town.posts, town.paid) == ("COMPLETED", 1, 1)
    assert (town.book.balance("transit:S1"), town.book.balance("income:his")) == (0, -3650)


@BOTH
async def test_f39_a_his_that_is_down_for_six_hours_gets_its_post_when_it_is_up(profile: str) -> None:
    town = Town(profile)

    def down() -> None:
        if town.now - town.began < 360 * MINUTE_MS:
            town.his.line.down = True

    def up() -> None:
        assert (town.posts, town.book.balance("transit:S1")) == (0, -3650)  # its money is seen meanwhile
        town.his.line.down = False

    town.before_post = down
    town.later = [(360 * MINUTE_MS, up)]
    ended = await town.play()
    assert (ended.state, town.posts, town.paid) == ("COMPLETED", 1, 1)
    assert town.book.balance("transit:S1") == 0
    assert town.his.billing.asked.count("post_settlement") == 1


@BOTH
async def test_f40_a_bill_that_changed_meanwhile_leaves_nothing(profile: str) -> None:
    town = Town(profile)
    bills = town.his.billing.books.bills
    town.before_post = lambda: setattr(bills["B2"], "fen", 700)
    ended = await town.play()
    assert (ended.state, town.posts, town.paid) == ("COMPENSATED", 0, 0)
    assert [bill.held_by for bill in bills.values()] == ["", ""]
    assert town.book.balance("transit:S1") == 0


@BOTH
async def test_f41_a_his_that_posted_twice_suspends_it(profile: str) -> None:
    town = Town(profile, dedupe=False)
    town.his.billing.behave("post_settlement", "twice", times=1)
    ended = await town.play()
    assert (ended.state, town.posts, town.paid) == ("SUSPENDED", 2, 1)
    (last,) = [
        one for one in ended.rows.attempts if one.outcome == "UNKNOWN"
    ]  # nobody waits: a person looks at once
    assert (last.code, last.reply["doubt"]) == ("JL-H011", "2 of it stand at the HIS HIS重复入账")
    assert town.book.balance("transit:S1") == -3650


@BOTH
async def test_f41_a_his_that_would_post_twice_is_read_before_it_is_sent_again(profile: str) -> None:
    """It is done after the caller gave up, and its query lags: the second try finds it."""
    town = Town(profile, dedupe=False)
    town.his.billing.behave("post_settlement", "mute", times=1)
    town.his.billing.behave("query_settlement", "lag", times=2, skip=1)
    ended = await town.play()
    assert (ended.state, town.posts) == ("COMPLETED", 1)


@BOTH
async def test_f42_a_yes_that_was_none_is_posted_again(profile: str) -> None:
    town = Town(profile)
    town.his.billing.behave("post_settlement", "lie", times=2)
    ended = await town.play()
    assert (ended.state, town.posts, town.paid) == ("COMPLETED", 1, 1)
    assert town.book.balance("transit:S1") == 0


@BOTH
async def test_f41_once_one_is_taken_back_at_the_his_it_goes_on(profile: str) -> None:
    town = Town(profile, dedupe=False)
    town.his.billing.behave("post_settlement", "twice", times=1)
    await town.play()
    town.his.billing.books.records[-1].state = "void"  # by hand
    await town.book.tell("S1", Decision("retry", "100017", town.now, reason="one of the two was taken back"))
    ended = await town.play()
    assert (ended.state, town.posts, town.paid) == ("COMPLETED", 1, 1)
    assert town.his.billing.asked.count("post_settlement") == 1
