"""What operators do: a party is asked outside the schedule, bills are released, and what is stuck is told to be so."""

from __future__ import annotations

import asyncio

import pytest

from router.settlement.decide import decide
from router.settlement.rows import Decision, Place, Rows
from router.settlement.runner import Runner
from router.settlement.stuck import LEAST_MS, UNKNOWN_MS, is_late, is_unknown, usual_ms
from router.settlement.suggestions import rules, suggested
from tests.settlement.simulated import REQUEST, World


def suspended() -> World:
    """Nobody can say whether the payment was made."""
    world = World(1, faults=0)
    world.script["do payment.create"] = ["lost"]
    world.script["probe payment.query"] = ["silence"] * 200
    ended = asyncio.run(world.play())
    assert (ended.state, ended.code) == ("SUSPENDED", "JL-T005")
    world.script.clear()
    return world


def told(world: World, said: Decision) -> str | None:
    runner = Runner(world.book, world, world.known, "p", lambda: world.now)

    async def driven() -> str | None:
        await world.book.tell("S1", said)
        return await runner.drive("S1")

    return asyncio.run(driven())


def test_a_party_that_is_asked_by_a_person_resolves_what_nobody_knew() -> None:
    world = suspended()
    asked = world.asked.count("probe payment.query")
    rows = world.book.settlements["S1"].rows
    state = told(world, Decision("ask", "100017", world.now, Place("pay"), after=len(rows.attempts)))
    assert (state, world.asked.count("probe payment.query")) == ("COMPLETED", asked + 1)
    assert world.live("pay") == 1


def test_a_question_is_asked_once_and_changes_nothing_where_the_party_is_silent() -> None:
    world = suspended()
    world.script["probe payment.query"] = ["silence"]
    rows = world.book.settlements["S1"].rows
    state = told(world, Decision("ask", "100017", world.now, Place("pay"), after=len(rows.attempts)))
    after = world.book.settlements["S1"].rows.attempts
    assert (state, len(after)) == ("SUSPENDED", len(rows.attempts) + 1)
    assert (after[-1].direction, after[-1].outcome) == ("probe", "UNKNOWN")


def test_a_question_about_a_step_that_is_done_is_evidence_only() -> None:
    world = suspended()
    rows = world.book.settlements["S1"].rows
    state = told(world, Decision("ask", "100017", world.now, Place("hold"), after=len(rows.attempts)))
    assert "probe his.query_hold" in world.asked
    assert (state, world.live("hold")) == ("COMPLETED", 1) or state == "SUSPENDED"


def test_what_was_released_is_not_begun_again() -> None:
    rows = Rows("S1", REQUEST, 0, decisions=(Decision("release", "100017", 0),))
    command = decide(World(1, faults=0).definition, rows, 1)
    assert getattr(command, "state", "") == "REJECTED"


@pytest.mark.parametrize(
    ("state", "began_ms", "usual", "why"),
    [
        ("SUSPENDED", 0, 0, "person"),
        ("RUNNING", -LEAST_MS - 1, 10, "late"),
        ("RUNNING", -LEAST_MS + 1, 10, ""),
        ("WAITING", -1_000_000, 300_000, "late"),
        ("WAITING", -800_000, 300_000, ""),
        ("RUNNING", -(10**9), 0, ""),
    ],
)
def test_a_settlement_is_late_after_three_times_as_long_as_others(
    state: str, began_ms: int, usual: int, why: str
) -> None:
    assert is_late(state, began_ms, usual, 0) == why


def test_what_is_usual_is_the_median_of_those_that_completed() -> None:
    assert (usual_ms([1, 2, 3, 4]), usual_ms([1, 2, 3, 4, 1000])) == (0, 3)


def test_a_call_without_an_outcome_for_half_an_hour_is_unknown() -> None:
    rows = suspended().book.settlements["S1"].rows
    sent = next(one for one in rows.attempts if one.operation == "payment.create")
    world = World(1, faults=0)
    assert not is_unknown(world.definition, rows, sent.began_ms + UNKNOWN_MS)
    assert is_unknown(world.definition, rows, sent.began_ms + UNKNOWN_MS + 1)


def test_for_each_reason_to_be_suspended_something_is_suggested() -> None:
    codes = [f"JL-T00{n}" for n in range(1, 8)] + ["JL-T040", "JL-T099"]
    for code in codes:
        for column in ("insurance", "payment", "his"):
            found = suggested({"state": "SUSPENDED", "code": code, "column": column, "held": True})
            assert found is not None, code
            assert found.zh, code
    known = {"ask", "retry", "mark", "compensate", "forward", "release"}
    assert {action for rule in rules() for action in rule.do} <= known
    assert suggested({"state": "RUNNING", "code": "", "stuck": ""}) is None
