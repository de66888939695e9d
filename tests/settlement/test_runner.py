"""The runner under crashes before and after every commit, send and receive: deterministic, by a seed."""

from __future__ import annotations

import asyncio

import pytest

from tests.settlement.simulated import EFFECTS, World


def played(seed: int, refuses: str = "") -> World:
    world = World(seed, refuses)
    asyncio.run(world.play())
    return world


@pytest.mark.parametrize("seed", range(100))
def test_a_settlement_completes_once_however_often_the_process_dies(seed: int) -> None:
    world = played(seed)
    ended = world.book.settlements["S1"]
    assert (ended.state, ended.text) == ("COMPLETED", "")
    assert [world.live(key) for key in EFFECTS] == [1] * len(EFFECTS)
    assert world.book.balance("transit:S1") == 0
    assert world.book.balance("clearing:wechat") == 1610
    assert world.book.balance("receivable:fund") == 2040
    assert world.book.balance("income:his") == -3650
    assert world.book.locks == {}
    assert world.book.events == [("S1", "settlement.completed")]


@pytest.mark.parametrize("refuses", ["fees", "pay", "settle", "post"])
@pytest.mark.parametrize("seed", range(25))
def test_a_refusal_leaves_no_money_anywhere(refuses: str, seed: int) -> None:
    world = played(seed, refuses)
    assert world.book.settlements["S1"].state == "COMPENSATED"
    assert [world.live(key) for key in EFFECTS] == [0] * len(EFFECTS)
    accounts = {entry.account for journal in world.book.journals.values() for entry in journal.entries}
    assert {world.book.balance(account) for account in accounts} <= {0}
    assert (world.book.locks, world.book.events) == ({}, [])
