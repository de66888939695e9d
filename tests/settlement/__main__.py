"""`make simulate SEEDS=10000`: settlements in a simulated world, one after the other, each by its seed.

Every seed chooses who refuses, how much goes wrong and when the process dies; when the payer pays, what notices come,
and what a person says. At the end of each, effects, ledger and locks must agree, and reconciliation of the parties' own
books must find nothing but the breaks that are planted in them (second_judge.py). A seed that fails is printed:
`python -m tests.settlement --seed 4711` plays it again.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from typing import NamedTuple

from router.settlement.book import Settlement
from router.settlement.invariants import broken
from router.settlement.rows import Decision, Place
from tests.settlement import second_judge
from tests.settlement.paying import APPROVED, PAYING, PayingWorld
from tests.settlement.simulated import EFFECTS, TEXT, World

REFUSALS = ("", "", "fees", "pay", "settle", "post")


def world_of(seed: int) -> World:
    """Every other seed has a payer who pays when he likes, or never, and of those some a person who approves it."""
    chance = random.Random(seed)
    refuses, much = chance.choice(REFUSALS), chance.choice((0.05, 0.25, 0.5))
    world = _paying(chance, seed, refuses, much) if seed % 2 else World(seed, refuses, much, text=TEXT)
    if chance.random() < 0.4:  # somebody cancels, at any time
        at = chance.randrange(60_000)
        world.said.append((at, Decision("cancel", "a caller", world.began + at)))
    return world


def _paying(chance: random.Random, seed: int, refuses: str, much: float) -> PayingWorld:
    approved = chance.random() < 0.4
    world = PayingWorld(
        seed,
        refuses,
        much,
        text=APPROVED if approved else PAYING,
        pays_ms=chance.choice((None, chance.randrange(120_000), chance.randrange(290_000, 420_000))),
        notices_ms=chance.choice(((), (1,), (1,) * 15, (5_000, 100_000), (400_000,))),
        refund_ms=chance.choice((0, 30_000, 600_000)),
        stubborn=chance.random() < 0.3,
        repeats=chance.choice((0, 0, 1, 3)),
    )
    if chance.random() < 0.25:  # the channel gives the order up, and then the money comes all the same
        world.fails_ms = chance.randrange(120_000)
        world.pays_ms = world.fails_ms + chance.randrange(90_000)
        world.stubborn, world.notices_ms = True, (1,)
    for what in chance.choice(((), ("done",), ("not done",), ("done", "done"))) if approved else ():
        at = chance.randrange(200_000)
        word = Decision(
            what, "100017", world.began + at, Place("approve"), "100018", reply={"limit": "16.10"}
        )  # type: ignore[arg-type]
        world.said.append((at, word))
    return world


def faults(world: World, ended: Settlement) -> list[str]:
    """What does not hold at the end; M6 to M10 of the design."""
    live = {key: world.live(key) for key in EFFECTS}
    accounts = {entry.account for one in world.book.journals.values() for entry in one.entries}
    held = world.book.balance("transit:S1")
    found = list(world.lied)
    silent = sum(one.outcome is None for one in ended.rows.attempts)
    found += [f"{silent} attempts without an outcome"] if silent > world.crashes else []
    if ended.state == "COMPLETED":
        found += [f"{key} {times} times" for key, times in live.items() if times != 1]
        found += ["transit is not 0"] if held else []
        found += ["the payment is not booked"] if world.book.balance("clearing:wechat") != 1610 else []
        found += ["nobody allowed it"] if world.refused(ended) else []
        found += ["no event"] if world.book.events != [("S1", "settlement.completed")] else []
    elif ended.state in ("COMPENSATED", "REJECTED"):
        owes = not isinstance(world, PayingWorld) or world.owes
        found += ["it was paid in time, and went back"] if world.unwanted(ended) else []
        found += [f"{key} is left" for key, times in live.items() if times and (key != "pay" or owes)]
        found += [f"{name} is not 0" for name in accounts if world.book.balance(name)]
    else:
        if not world.for_a_person:
            found.append(f"a person must look, and nothing was for a person: {ended.code} {ended.text}")
        found += [f"{key} {times} times" for key, times in live.items() if times not in (0, 1)]
    if ended.state != "SUSPENDED" and world.book.locks:
        found.append("a bill is still locked")
    rules = broken(world.definition, world.book.held("S1"), world.now)
    found += [f"{one.rule} {one.text}" for one in rules]
    return found


def reconciled(world: World) -> tuple[int, list[str]]:
    """M1 to M3 and M11, by the parties' own books: how many breaks were planted in them, and what does not hold."""
    held = world.book.held("S1")
    unheard = isinstance(world, PayingWorld) and world.till.holds and not world.owes
    books = second_judge.books_of(world.definition, held, world.moved)
    found = [*second_judge.sums(world.definition, held, world.moved, unheard)]
    found += second_judge.unexplained(second_judge.differences(books, world.began, world.now), held, unheard)
    planted, missed = second_judge.missed(books, world.began, world.now)
    return planted, found + missed


class Played(NamedTuple):
    state: str
    found: list[str]  # what does not hold
    planted: int = 0  # breaks


def played(seed: int) -> Played:
    world = world_of(seed)
    try:
        ended = asyncio.run(world.play())
    except Exception as error:
        return Played("no end", [f"{type(error).__name__}: {error}"])
    planted, found = reconciled(world)
    return Played(ended.state, faults(world, ended) + found, planted)


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.settlement")
    asked.add_argument("--seeds", type=int, default=1000)
    asked.add_argument("--seed", type=int, help="play this one again")
    asked.add_argument("--first", action="store_true", help="end with the first that fails")
    said = asked.parse_args()
    seeds = [said.seed] if said.seed is not None else range(said.seeds)
    states: Counter[str] = Counter()
    bad = planted = missed = 0
    began = time.monotonic()
    for number, seed in enumerate(seeds, 1):
        state, found, breaks = played(seed)
        states[state] += 1
        planted += breaks
        missed += sum(one.startswith(second_judge.MISSED) for one in found)
        if found:
            bad += 1
            print(f"seed {seed}: {state}: {'; '.join(found)}")
            if said.first:
                return 1
        if number % 1000 == 0:
            print(f"{number} seeds, {bad} bad, {time.monotonic() - began:.0f} s", flush=True)
    print(", ".join(f"{state} {count}" for state, count in sorted(states.items())))
    print(f"reconciled: {planted} breaks planted, {planted - missed} found")
    print(f"simulate: {len(seeds)} seeds, {bad} bad")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
