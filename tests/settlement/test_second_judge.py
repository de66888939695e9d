"""Reconciliation as the second judge: it finds each break that is planted in the books of a seed, and no other."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from msgspec.structs import replace

from router.settlement.book import Settlement
from router.settlement.invariants import Held
from tests.settlement import second_judge
from tests.settlement.__main__ import reconciled, world_of
from tests.settlement.paying import PayingWorld
from tests.settlement.simulated import World

COMPLETED, PAID_BACK, UNHEARD, SUSPENDED = 2, 6, 633, 407  # seeds that end so


def ended(seed: int) -> tuple[World, Settlement]:
    world = world_of(seed)
    return world, asyncio.run(world.play())


def told(world: World, held: Held) -> list[str]:
    """What the judge says of a world whose settlement is as `held`."""
    books = second_judge.books_of(world.definition, held, world.moved)
    found = second_judge.differences(books, world.began, world.now)
    return [
        *second_judge.sums(world.definition, held, world.moved, False),
        *second_judge.unexplained(found, held, False),
    ]


def test_each_kind_of_break_is_found_in_every_seed_that_it_is_planted_in() -> None:
    kinds: Counter[str] = Counter()
    for seed in range(100):
        world, _ = ended(seed)
        books = second_judge.books_of(world.definition, world.book.held("S1"), world.moved)
        before = second_judge.differences(books, world.began, world.now)
        for one in second_judge.planted(books, before):
            found = second_judge.differences(one.books, world.began, world.now)
            new = {item.cls for item in found if item not in before}
            assert new & {*one.classes}, f"seed {seed}: {one.what}"
            kinds[one.what] += 1
    assert kinds["a payment that we lack"] == 100
    assert {what for what, times in kinds.items() if times >= 5} == {
        "a payment that we lack",
        "another amount",
        "not in the statement",
        "a refund doubled",
        "not in the ledger",
        "another fund",
        "not at the centre",
        "not in the HIS",
    }


def test_money_that_nobody_heard_of_is_found_by_the_statement() -> None:
    world, settlement = ended(UNHEARD)
    assert isinstance(world, PayingWorld)
    assert (settlement.state, world.till.holds, world.owes) == ("COMPENSATED", True, False)
    assert reconciled(world)[1] == []
    assert told(world, world.book.held("S1")) == [
        "M3 1610 fen more were paid than went back",
        "M11 wechat channel long 1610 against 0 fen",
    ]


@pytest.mark.parametrize("account", ["clearing:wechat", "receivable:fund", "income:his"])
def test_a_journal_that_the_ledger_lacks_is_an_unexplained_difference(account: str) -> None:
    world, _ = ended(COMPLETED)
    held = world.book.held("S1")
    less = [one for one in held.journals if account not in {entry.account for entry in one.entries}]
    assert len(less) == len(held.journals) - 1
    assert [one[:3] for one in told(world, replace(held, journals=tuple(less)))] == ["M11"]


def test_a_suspense_item_explains_a_difference_of_its_amount_alone() -> None:
    world, settlement = ended(SUSPENDED)
    assert settlement.state == "SUSPENDED"
    came = next(one for one in world.moved if one.what == "pay")
    world.moved.append(came._replace(key="again"))
    held = world.book.held("S1")
    short = replace(held.items[0], fen=1600)
    assert told(world, replace(held, items=(short,))) == ["M11 wechat channel long 1610 against 0 fen"]
    assert told(world, replace(held, items=(replace(short, fen=1610),))) == []


def _changed(world: World, what: str, **facts: object) -> None:
    """Of the first line of a party's book, what it was asked."""
    at = next(at for at, one in enumerate(world.moved) if one.what == what)
    world.moved[at] = world.moved[at]._replace(body={**world.moved[at].body, **facts})


def test_a_fee_line_of_another_amount_than_its_bill_breaks_m1() -> None:
    world, _ = ended(COMPLETED)
    _changed(world, "fees.0", item={"bill_no": "B1", "amount": "30.11"})
    found = told(world, world.book.held("S1"))
    assert found == ["M1 fee lines, bills, preset, settled: [3651, 3650, 3650, 3650] fen"]


def test_parts_that_are_not_the_total_break_m2() -> None:
    world, _ = ended(COMPLETED)
    held = world.book.held("S1")
    rows = held.settlement.rows
    info = {"total": "36.50", "fund": "20.40", "cash": "16.09"}
    less = [
        replace(one, reply={"setlinfo": info}) if one.place.step == "preset" else one for one in rows.attempts
    ]
    changed = replace(held.settlement, rows=replace(rows, attempts=tuple(less)))
    assert (
        told(world, replace(held, settlement=changed))[0]
        == "M2 preset: [2040, 0, 1609] fen are not its total"
    )


def test_a_payment_without_its_refund_breaks_m3_and_m11() -> None:
    world, settlement = ended(PAID_BACK)
    assert settlement.state == "COMPENSATED"
    world.moved = [one for one in world.moved if not one.back or one.what != "pay"]
    assert told(world, world.book.held("S1")) == [
        "M3 1610 fen more were paid than went back",
        "M11 wechat channel short 0 against 1610 fen",
    ]
