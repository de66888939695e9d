"""M4 to M10: what must hold of a settlement, and for each of them rows that break it, and only it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from router.settlement.invariants import LATE_MS, Held, broken, overdrawn
from router.settlement.posting import Entry, Journal
from router.settlement.rows import Attempt, Decision, Place
from tests.settlement.simulated import World

PAID = "S1/pay/done"


def found(world: World, held: Held, now_ms: int | None = None) -> list[str]:
    return sorted({one.rule for one in broken(world.definition, held, now_ms or world.now)})


def played(refuses: str = "", script: dict[str, list[str]] | None = None) -> tuple[World, Held]:
    world = World(1, refuses, faults=0)
    world.script |= script or {}
    asyncio.run(world.play())
    return world, world.book.held("S1")


@pytest.mark.parametrize("refuses", ["", "settle", "post"])
def test_all_holds_at_the_end_of_what_completes_and_of_what_is_undone(refuses: str) -> None:
    world, held = played(refuses)
    assert broken(world.definition, held, world.now) == []


def test_all_holds_of_what_is_suspended() -> None:
    world, held = played("post", {"undo insurance.2208": ["refused"]})
    assert held.settlement.state == "SUSPENDED"
    assert broken(world.definition, held, world.now) == []


def attempts(held: Held, change: Callable[[Attempt], Attempt | None]) -> Held:
    made = [change(one) for one in held.settlement.rows.attempts]
    rows = replace(held.settlement.rows, attempts=tuple(one for one in made if one is not None))
    return replace(held, settlement=replace(held.settlement, rows=rows))


def without(held: Held, step: str, direction: str = "do") -> Held:
    def dropped(one: Attempt) -> Attempt | None:
        return None if (one.place.step, one.direction) == (step, direction) else one

    return attempts(held, dropped)


def journals(held: Held, change: Callable[[Journal], Journal | None]) -> Held:
    made = [change(one) for one in held.journals]
    return replace(held, journals=tuple(one for one in made if one is not None))


def test_m6_a_journal_that_does_not_balance_is_found() -> None:
    world, held = played()

    def bent(one: Journal) -> Journal:
        return (
            replace(one, entries=(Entry("clearing:wechat", 1), *one.entries[1:])) if one.id == PAID else one
        )

    assert found(world, journals(held, bent)) == ["M6"]


def test_m6_a_journal_that_is_missing_is_found_and_the_money_that_is_left_in_transit() -> None:
    world, held = played()
    less = journals(held, lambda one: None if one.id == PAID else one)
    texts = [one.text for one in broken(world.definition, less, world.now)]
    assert any("not in the ledger" in text for text in texts)
    assert any("transit:S1" in text for text in texts)


def test_m7_what_is_left_after_all_was_undone_is_found() -> None:
    world, held = played("settle")
    assert "M7" in found(world, without(held, "pay", "undo"))


def test_m8_a_step_that_was_skipped_is_found() -> None:
    world, held = played()
    assert "M8" in found(world, without(held, "invoice"))


def test_m9_two_calls_under_different_keys_that_are_live_are_found() -> None:
    world, held = played()
    rows = held.settlement.rows
    sent = next(one for one in rows.attempts if one.operation == "payment.create")
    more = replace(rows, attempts=(*rows.attempts, replace(sent, number=99, key="pay~1")))
    assert found(world, replace(held, settlement=replace(held.settlement, rows=more))) == ["M9"]


def test_m9_a_lock_that_is_left_and_one_that_is_missing_are_found() -> None:
    world, held = played()
    assert found(world, replace(held, locks=("bill:B1",))) == ["M9"]
    world, held = played("post", {"undo insurance.2208": ["refused"]})
    assert found(world, replace(held, locks=())) == ["M9"]
    released = replace(held.settlement.rows, decisions=(Decision("release", "100017", 1),))
    free = replace(held, locks=(), settlement=replace(held.settlement, rows=released))
    assert found(world, free) == []


def test_m10_what_nobody_takes_up_is_found() -> None:
    world, held = played()
    waiting = replace(held.settlement, state="WAITING", due_ms=world.now)
    locked = replace(held, settlement=waiting, locks=("bill:B1", "bill:B2"))
    assert found(world, locked, world.now + LATE_MS) == []
    assert found(world, locked, world.now + LATE_MS + 1) == ["M10"]
    owned = replace(locked, owner="p1", until_ms=world.now)
    assert found(world, owned, world.now + LATE_MS) == []
    assert found(world, owned, world.now + LATE_MS + 1) == ["M10"]


def test_m10_an_answer_without_an_outcome_and_a_suspended_one_without_an_item_are_found() -> None:
    world, held = played()
    assert "M10" in found(
        world, attempts(held, lambda one: replace(one, reply={}, outcome=None) if one.number == 1 else one)
    )
    world, held = played("post", {"undo insurance.2208": ["refused"]})
    assert found(world, replace(held, items=())) == ["M10"]


def test_m5_an_account_below_its_floor_is_found() -> None:
    assert [one.rule for one in overdrawn({"deposit:a1": 1, "deposit:a2": -1, "clearing:w": -5})] == ["M5"]


def test_m4_what_was_settled_otherwise_than_previewed_is_found_unless_a_person_said_to_go_on() -> None:
    world, held = played()

    def named(one: Attempt, cash: str) -> Attempt:
        said: Any = {"setlinfo": {"total": "36.50", "fund": "20.40", "cash": "16.10", "psn_cash_pay": cash}}
        return replace(one, reply=said)

    def other(one: Attempt) -> Attempt:
        steps = {"preset": "16.10", "settle": "16.20"}
        return named(one, steps[one.place.step]) if one.place.step in steps and one.direction == "do" else one

    differs = attempts(held, other)
    assert found(world, differs) == ["M4"]
    rows = replace(differs.settlement.rows, decisions=(Decision("forward", "100017", 1, Place("settle")),))
    assert found(world, replace(differs, settlement=replace(differs.settlement, rows=rows))) == []


def test_m5_more_that_goes_out_than_is_owed_is_found() -> None:
    world, held = played()
    out = Journal("S1/out/done", "S1", (Entry("liability:S1", 1), Entry("clearing:wechat", -1)))
    assert "M5" in found(world, replace(held, journals=(*held.journals, out)))
