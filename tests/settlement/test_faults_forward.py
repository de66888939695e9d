"""Faults behind the payment: a HIS that is down, lies or did it twice, write-backs and write-offs that fail, databases
and clocks that do what they like."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from config.errors import Unreachable
from router.settlement.book import New, Settlement
from router.settlement.calls import _told
from router.settlement.rows import ENDED, Decision
from router.settlement.runner import Runner
from schemas.message import Reply
from tests.settlement.memory import MemoryBook
from tests.settlement.simulated import EFFECTS, INFO, REQUEST, TEXT, World

HOUR = 3_600_000
PIVOT = "      pivot: true\n"
PATIENT = TEXT.replace(
    PIVOT,
    PIVOT + "      forward: true\n      probe: {give_up: 2d}\n      retry: {max: 10m, times: 1000}\n",
)
POSTED = '      post: [{debit: "transit:{settle_no}", credit: "income:his", amount: $.total}]\n'
assert POSTED in TEXT


def played(text: str = TEXT, **script: list[str]) -> tuple[World, Settlement]:
    """`do_his_post=[...]` scripts what becomes of the calls of his.post."""
    world = World(1, faults=0, text=text)
    for name, kinds in script.items():
        direction, system, operation = name.split("_", 2)
        world.script[f"{direction} {system}.{operation}"] = kinds
    return world, asyncio.run(world.play())


def complete(world: World, ended: Settlement) -> bool:
    """One effect of each, and the money where it belongs."""
    effects = [world.live(key) for key in EFFECTS] == [1] * len(EFFECTS)
    return (ended.state, effects, world.book.balance("transit:S1")) == ("COMPLETED", True, 0)


def test_f36_a_charge_whose_kiosk_crashed_is_found_by_the_query_and_taken_once() -> None:
    world, ended = played(do_payment_create=["killed after"])
    assert complete(world, ended)
    assert world.asked.count("do payment.create") == 1
    assert world.book.balance("clearing:wechat") == 1610


def test_f39_a_his_that_is_down_for_six_hours_gets_its_post_when_it_is_up() -> None:
    world = World(1, faults=0, text=PATIENT)
    world.script = {"do his.post": ["never"], "probe his.query": ["silence"] * 43}
    held: list[int] = []

    async def watched() -> Settlement:
        call = world.call

        async def seen(settlement: Settlement, asked: Any) -> Any:
            if asked.direction == "probe" and asked.operation == "his.query":
                held.append(world.book.balance("transit:S1"))
            return await call(settlement, asked)

        world.call = seen  # type: ignore[method-assign]
        return await world.play()

    ended = asyncio.run(watched())
    assert complete(world, ended)
    assert world.now - world.began > 6 * HOUR
    assert set(held) == {-3650}, "the money stands in transit meanwhile"
    assert not world.undone, "nothing that is paid goes back for it"


def test_f41_a_his_that_notices_no_repeats_is_read_before_anything_is_sent_again() -> None:
    world, ended = played(do_his_post=["never", "lost"], probe_his_query=["absent"] * 3)
    assert complete(world, ended)
    assert world.done["post"] == 1
    sent = [at for at, name in enumerate(world.asked) if name == "do his.post"]
    assert "probe his.query" in world.asked[sent[0] : sent[1]]


def test_f42_a_his_that_says_yes_and_shows_no_is_for_a_person_until_it_is_proved() -> None:
    proof = "  - proof: {do: his.read, keep: {proof: $.setlinfo}, check: [{$proof.cash: $preset.cash}]}\n"
    text = TEXT.replace("  - invoice:", f"{proof}  - invoice:")
    world = World(1, faults=0, text=text)
    world.script = {"do his.read": ["says 0"]}
    ended = asyncio.run(world.play())
    assert (ended.state, ended.code) == ("SUSPENDED", "JL-T001")
    assert (world.live("settle"), world.live("post"), world.live("invoice")) == (1, 1, 0)
    said = Decision("forward", "100017", world.now, reason="posted again by hand")
    asyncio.run(world.book.tell("S1", said))
    assert complete(world, asyncio.run(world.play()))


REFUND = """
settlement: outpatient
key: $.settle_no
steps:
  - settle: {do: insurance.2208, ask: insurance.5203}
  - pay:
      do: payment.refund
      ask: payment.refunded
      pivot: true
      post: [{debit: "transit:{settle_no}", credit: "clearing:{channel}", amount: "16.10"}]
  - post:
      do: his.unpost
      ask: his.query
      forward: true
      post: [{debit: "income:his", credit: "transit:{settle_no}", amount: "16.10"}]
  - invoice: {do: einvoice.write_off, ask: einvoice.find, forward: true}
"""


def test_f45_a_write_off_that_fails_keeps_the_refund_and_waits_for_a_person() -> None:
    world, ended = played(REFUND, do_einvoice_write_off=["refused"] * 8)
    assert (ended.state, ended.code) == ("SUSPENDED", "JL-T002")
    assert [world.live(key) for key in ("settle", "pay", "post", "invoice")] == [1, 1, 1, 0]
    assert world.book.balance("transit:S1") == 0
    asyncio.run(world.book.tell("S1", Decision("retry", "100017", world.now, reason="the platform is back")))
    assert asyncio.run(world.play()).state == "COMPLETED"
    assert world.live("invoice") == 1


def test_f67_a_write_back_to_the_inpatient_bill_that_fails_is_tried_forward_until_it_is_done() -> None:
    link = "  - link: {do: his.link, ask: his.linked, forward: true, retry: {max: 10m, times: 200}}\n"
    text = TEXT.replace("  - invoice:", f"{link}  - invoice:")
    world, ended = played(text, do_his_link=["unsent"] * 60 + ["refused"] * 30)
    assert complete(world, ended)
    assert world.done["link"] == 1
    assert not world.undone


class Failing(MemoryBook):
    """Commit number `at` fails: before it was done, or after, when nobody hears of it."""

    def __init__(self, at: int, done: bool) -> None:
        super().__init__()
        self.left, self.done = at, done

    async def write(self, number: str, fence: int, change: Any) -> None:
        self.left -= 1
        if self.left == 0 and not self.done:
            raise Unreachable("JL-T020", "the database restarts")
        await super().write(number, fence, change)
        if self.left == 0:
            raise Unreachable("JL-T020", "the database restarts")


@pytest.mark.parametrize("done", [False, True], ids=["before the commit", "after it"])
def test_f51_a_database_that_restarts_in_any_commit_leaves_no_half_journals(done: bool) -> None:
    async def restarted(at: int) -> tuple[World, int]:
        book = Failing(at, done)
        world = World(1, faults=0)
        world.book = book
        await book.begin(New("S1", "outpatient", world.definition.digest, REQUEST, world.now))
        for process in range(60):
            runner = Runner(book, world, world.known, f"p{process}", lambda: world.now)
            try:
                if await runner.drive("S1") in ENDED:
                    break
            except Unreachable:
                continue
            finally:
                world.now += 61_000
        return world, book.left

    at, left = 0, 0
    while left <= 0:
        at += 1
        world, left = asyncio.run(restarted(at))
        assert complete(world, world.book.settlements["S1"]), f"commit {at}"
        assert sorted(world.book.journals) == ["S1/pay/done", "S1/post/done", "S1/settle/done"]
        assert world.lied == []
    assert at > 8


@pytest.mark.parametrize(
    "jump_ms", [-600_000, 600_000, 86_400_000], ids=["10 min back", "10 min on", "a day on"]
)
@pytest.mark.parametrize("lost", [[], ["lost"], ["never"]], ids=["", "lost", "never left"])
def test_f55_a_clock_that_jumps_makes_no_key_twice_and_nothing_happen_twice(
    jump_ms: int, lost: list[str]
) -> None:
    class Jumping(World):
        async def call(self, settlement: Settlement, call: Any) -> Any:
            if f"{call.direction} {call.operation}" == "do insurance.2207" and not self.asked.count("jumped"):
                self.asked.append("jumped")
                self.now += jump_ms
            return await super().call(settlement, call)

    world = Jumping(1, faults=0)
    world.script = {"do insurance.2207": list(lost)}
    ended = asyncio.run(world.play())
    assert complete(world, ended)
    assert world.done["settle"] == 1
    assert world.lied == []
    doing = [
        one.key for one in ended.rows.attempts if one.direction == "do" and one.operation != "insurance.2207"
    ]
    assert len(doing) == len(set(doing))


@pytest.mark.parametrize(
    "body",
    [
        b"<html><h1>502 Bad Gateway</h1></html>",
        "<p>系统繁忙</p>".encode("GB18030"),
        b'{"outcome": "OK", "setl',
        b"\x00",
    ],
    ids=["HTML", "GBK", "cut JSON", "a byte"],
)
def test_f59_an_answer_that_nobody_can_read_means_nothing_and_is_asked_about(body: bytes) -> None:
    told = _told(Reply("answered", body=body))
    assert (told.outcome, told.code) == ("UNKNOWN", "JL-T031")


@pytest.mark.parametrize("what", ["insurance_2207", "payment_create", "his_post"])
def test_f59_what_was_done_behind_such_an_answer_is_found(what: str) -> None:
    world, ended = played(**{f"do_{what}": ["lost"]})
    assert complete(world, ended)
    assert world.asked.count(f"do {what.replace('_', '.', 1)}") == 1
    assert INFO["cash"] == "16.10"
