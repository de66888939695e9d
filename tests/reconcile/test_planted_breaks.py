"""All that was planted is found, under its class, and nothing else is: a thousand days by their seeds."""

from __future__ import annotations

import pytest
from recon_days import PLANTS, World
from recon_parts import DAY

from router.reconcile.classes import CLASSES
from router.reconcile.compare import compare

SEEDS = 1000
LATER = "2026-01-09"


def found(world: World) -> set[tuple[str, str, str]]:
    items = [one for books in world.books() for one in compare(books, DAY, DAY, LATER)]
    told = [(one.book, one.cls, one.number or one.channel_no) for one in items]
    assert len(told) == len(set(told))
    return {(book, cls, number) for book, cls, number in told}


@pytest.mark.parametrize("part", range(4))
def test_each_planted_break_is_found_and_no_other(part: int) -> None:
    for seed in range(part, SEEDS, 4):
        world = World(seed)
        for plant in world.dice.sample(PLANTS, world.dice.randrange(6)):
            plant(world)
        seen = found(world)
        assert seen == world.expected, f"seed {seed}: {seen ^ world.expected}"


def test_every_class_at_once_is_found_and_every_class_is_planted() -> None:
    for seed in range(20):
        world = World(seed, 24)
        for plant in world.dice.sample(PLANTS, len(PLANTS)):
            plant(world)
        assert found(world) == world.expected, f"seed {seed}"
    assert {cls for _, cls, _ in world.expected} == set(CLASSES)


@pytest.mark.parametrize("seed", range(30))
def test_where_nothing_was_planted_nothing_is_found(seed: int) -> None:
    assert found(World(seed, 60)) == set()
