"""What is done next, and what is never done, whatever parties, networks and processes do."""

from __future__ import annotations

import pytest

from channels.settling.model import Definition, Operation, Step
from tests.settlement.worlds import World


def step(name: str, **options: object) -> Step:
    """An effect that can be asked about and undone."""
    op = lambda verb: Operation("party", f"{verb}-{name}")  # noqa: E731
    made = {"do": op("do"), "ask": op("ask"), "undo": op("undo")} | options
    return Step(name, **made)  # type: ignore[arg-type]


REVERSIBLE = step("settle", reverse=Operation("party", "reverse"))
PIPELINE = Definition(
    "outpatient",
    1,
    "digest",
    "",
    lambda facts: "S1",
    (
        Step("person", do=Operation("party", "read")),
        step("hold"),
        step("fees", each=lambda facts: [1, 2, 3, 4, 5], at_once=2),
        step("pay"),
        REVERSIBLE,
        step("his", pivot=True),
        step("invoice", undo=None, forward=True),
    ),
)
EFFECTS = ["hold", "fees", "fees.1", "fees.2", "pay", "settle", "his", "invoice"]


def of(key: str) -> str:
    return key.partition("~")[0]


@pytest.mark.parametrize("seed", range(200))
def test_whatever_goes_wrong_each_effect_is_there_once_at_the_end(seed: int) -> None:
    world = World(PIPELINE, seed)
    assert world.play().state == "COMPLETED"
    assert sorted(map(of, world.live)) == sorted(EFFECTS)
    assert set(world.live.values()) == {1}


@pytest.mark.parametrize("refused", ["hold", "fees", "pay", "settle", "his"])
@pytest.mark.parametrize("seed", range(40))
def test_a_refusal_leaves_nothing_behind(refused: str, seed: int) -> None:
    world = World(PIPELINE, seed)
    world.party.refuses = {refused}
    assert world.play().state == ("REJECTED" if refused == "hold" else "COMPENSATED")
    assert world.live == {}
    assert max(world.party.undone.values(), default=0) <= 1, "nothing is undone twice"
