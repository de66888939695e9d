"""Accounts that never go below zero: what becomes of a settlement whose posting is refused, in a simulated world."""

from __future__ import annotations

import asyncio

from router.settlement.book import Settlement
from router.settlement.posting import Entry, Journal
from router.settlement.rows import Decision
from tests.settlement.simulated import TEXT, World

PAY = """      undo: payment.refund
      post: [{debit: "clearing:{channel}", credit: "transit:{settle_no}", amount: $preset.cash}]
"""
# What a deposit pays is kept before the insurance settles; what was asked of the payment is done before.
OFFSET = TEXT.replace(
    "  - settle:\n",
    '  - offset: {post: [{debit: "deposit:a1", credit: "liability:spent", amount: "10.00"}]}\n  - settle:\n',
)
# The same, of a step that a party has done by then.
AFTER = TEXT.replace(
    PAY, PAY.replace("post: [", 'post: [{debit: "deposit:a1", credit: "liability:spent", amount: "10.00"}, ')
)


def played(text: str, deposit_fen: int, refuses: str = "", *said: Decision) -> tuple[World, Settlement]:
    world = World(1, refuses, faults=0, text=text)
    topped(world, deposit_fen)
    world.said += [(0, one) for one in said]
    return world, asyncio.run(world.play())


def topped(world: World, fen: int) -> None:
    entries = (Entry("clearing:wechat", fen), Entry("deposit:a1", -fen))
    number = f"P{len(world.book.journals)}"
    world.book.journals[f"{number}/paid/done"] = Journal(f"{number}/paid/done", number, entries)


def test_what_a_deposit_has_is_used() -> None:
    world, ended = played(OFFSET, 1_500)
    assert (ended.state, world.book.balance("deposit:a1")) == ("COMPLETED", -500)


def test_where_a_deposit_has_too_little_nothing_leaves_and_all_is_undone() -> None:
    world, ended = played(OFFSET, 999)
    assert (ended.state, ended.code) == ("COMPENSATED", "JL-T040")
    assert world.book.balance("deposit:a1") == -999
    assert "do insurance.2207" not in world.asked
    assert "undo payment.refund" in world.asked
    assert world.book.balance("transit:S1") == 0


def test_what_was_kept_of_a_deposit_is_given_back_with_the_whole() -> None:
    world, ended = played(OFFSET, 1_500, "settle")
    assert (ended.state, ended.code) == ("COMPENSATED", "")
    assert world.book.balance("deposit:a1") == -1_500
    assert world.book.balance("liability:spent") == 0


def test_what_a_party_did_and_no_deposit_covers_is_for_a_person_and_can_be_undone() -> None:
    world, ended = played(AFTER, 999)
    assert (ended.state, ended.code) == ("SUSPENDED", "JL-T040")
    assert world.live("pay") == 1, "what came of the call is kept"
    assert world.book.balance("deposit:a1") == -999
    asyncio.run(world.book.tell("S1", Decision("compensate", "100017", world.now)))
    ended = asyncio.run(world.play())
    assert (ended.state, world.live("pay")) == ("COMPENSATED", 0)
    assert [world.book.balance(name) for name in ("deposit:a1", "transit:S1")] == [-999, 0]


def test_a_deposit_that_was_topped_up_lets_it_go_on() -> None:
    world, ended = played(AFTER, 999)
    assert ended.state == "SUSPENDED"
    topped(world, 1)
    asyncio.run(world.book.tell("S1", Decision("retry", "100017", world.now)))
    ended = asyncio.run(world.play())
    assert (ended.state, world.book.balance("deposit:a1")) == ("COMPLETED", 0)


def test_f23_a_payment_of_another_amount_settles_nothing_and_waits_with_what_was_received() -> None:
    text = TEXT.replace(
        PAY,
        PAY.replace("amount: $preset.cash", "amount: $got")
        + "      keep: {got: $.setlinfo.cash}\n      check: [{$got: $preset.cash}]\n",
    )
    world = World(1, faults=0, text=text)
    world.script["do payment.create"] = ["says 20.00"]
    ended = asyncio.run(world.play())
    assert (ended.state, ended.code) == ("SUSPENDED", "JL-T001")
    assert "do insurance.2207" not in world.asked
    (item,) = world.book.items.values()
    assert (item.account, item.fen, item.cls, item.party) == ("transit:S1", 2_000, "difference", "payment")
