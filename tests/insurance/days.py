"""A day at the desks with a centre that misbehaves and a gateway that dies, all of it by a seed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.insurance.accord import day_end, differences
from tests.insurance.desk import Desk, Told
from tests.insurance.gateway import Institution, desks
from tests.insurance.provinces import CENTRES
from tests.insurance.visits import BASKET, Inpatient, Item, Outpatient, Purchase, Visit, ways

# Not done: lose, refuse, code, expired, status. Done, and told wrongly or not at all: the others.
KINDS = ("lose", "refuse", "code", "expired", "status", "cut", "error", "html", "page", "garbage", "half")
KINDS += ("double", "repeat", "null", "late")
_CODES = {"code": ("-999", "1001"), "status": ("500", "503", "504")}
_ITEMS = ("XTEST000000000000001", "XTEST000000000000002", "XTEST000000000000003", "XTEST000000000000005")
_ITEMS += ("TTEST000000000000001", "STEST000000000000003", "CTEST000000000000002", "UNKNOWN0000000000001")


@dataclass
class Day:
    """What happened."""

    seed: int
    province: str
    visits: list[Visit] = field(default_factory=list)
    steps: int = 0
    lost: int = 0
    died: int = 0
    wrong: list[str] = field(default_factory=list)


class Mortal:
    """A gateway that now and then dies while it asks. What it was asked is asked of the next one, under its key."""

    def __init__(self, party: Institution, chance: Random, share: float, day: Day) -> None:
        self.records = party.records
        self._party, self._chance, self._share, self._day = party, chance, share, day

    async def ask(self, infno: str, tree: Any, key: str = "", **fields: str) -> Told:
        key = key or f"{self._chance.getrandbits(128):032x}"
        if self._chance.random() < self._share:
            await self._die(self._party.ask(infno, tree, key, **fields))
        return await self._party.ask(infno, tree, key, **fields)

    async def send(self, name: str, body: Any, key: str = "") -> Told:
        return await self._party.send(name, body, key)

    def wait(self) -> None:
        self._party.wait()

    async def _die(self, asking: Any) -> None:
        """Somewhere between its first step and its last."""
        task = asyncio.ensure_future(asking)
        for _ in range(self._chance.randrange(60)):
            await asyncio.sleep(0.0005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        self._day.died += 1
        await asyncio.sleep(0.05)  # what was on its way has come in


def basket(chance: Random) -> Sequence[Item]:
    """Some items, each with a price that has up to six decimals."""
    if chance.random() < 0.2:
        return BASKET
    return [
        (
            code,
            f"{chance.randrange(1, 400_000_000) / 1_000_000:.6f}",
            f"{chance.randrange(1, 90_000) / 10_000:.4f}",
        )
        for code in chance.sample(_ITEMS, chance.randrange(1, 6))
    ]


async def live(visit: Visit, desk: Desk, chance: Random, day: Day) -> None:
    """Forth, sometimes back a part or all of the way, and on again; it ends settled, or with nothing left of it."""
    forth, back = ways(visit, desk.discharge)
    wanted = basket(chance)
    undoes = dict(zip(reversed(back), _undone_by(visit, forth), strict=True))
    at = 0
    for _ in range(chance.randrange(3)):
        stop = chance.randrange(at, len(forth) + 1)
        at = await _go(visit, desk, forth, at, stop, wanted, day)
        for step in [one for one in back if forth.index(undoes[one]) < at][: chance.randrange(len(back) + 1)]:
            await getattr(visit, step)(desk)
            day.steps += 1
            at = forth.index(undoes[step])
    if chance.random() < 0.3:
        for step in [one for one in back if forth.index(undoes[one]) < at]:
            await getattr(visit, step)(desk)
            day.steps += 1
    else:
        await _go(visit, desk, forth, at, len(forth), wanted, day)


def _undone_by(visit: Visit, forth: Sequence[str]) -> list[str]:
    """The steps that something undoes, as they come."""
    return [one for one in forth if one in ("arrive", "charge", "discharge", "settle")] if visit.BACK else []


async def _go(
    visit: Visit, desk: Desk, forth: Sequence[str], at: int, stop: int, wanted: Sequence[Item], day: Day
) -> int:
    for step in forth[at:stop]:
        await getattr(visit, step)(desk, *([wanted] if step == "charge" else []))
        day.steps += 1
    return stop


async def lived(
    site: Path,
    seed: int,
    lanes: int = 4,
    each: int = 2,
    kinds: Sequence[str] | None = None,
    day_ends: bool = True,
) -> Day:
    """`lanes` patients at once, `each` with so many visits one after the other. `kinds` are how the centre misbehaves,
    four by chance where nobody says. `wrong` is what does not agree."""
    chance = Random(seed)
    day = Day(seed, chance.choice(tuple(CENTRES)))
    async with desks(site, day.province, query_lag="0s") as both:
        for desk in both:
            desk.reverses = chance.random() < 0.5
            desk.party = Mortal(
                desk.party, Random(chance.random()), chance.choice((0, 0.05)) if kinds != () else 0, day
            )
        kinds = chance.sample(KINDS, 4) if kinds is None else kinds
        for kind in kinds:
            codes = _CODES.get(kind, ("",))
            seconds = 0.01 if kind == "late" else 0
            both[0].centre.behave("*", kind, share=0.06, code=chance.choice(codes), seconds=seconds)
        persons = chance.sample(both[0].centre.persons, lanes)
        async with asyncio.TaskGroup() as group:
            for number, person in enumerate(persons):
                group.create_task(_lane(both, person, number, each, Random(chance.random()), day))
        day.lost = sum(desk.lost for desk in both)
        both[0].centre.well()
        day.wrong = await day_end(both) if day_ends else []
        day.wrong += await differences(both[0].centre, both[0].party.records, day.visits, "repeat" in kinds)
    return day


async def _lane(both: tuple[Desk, Desk], person: Any, lane: int, each: int, chance: Random, day: Day) -> None:
    for number in range(each):
        kind = chance.choice((Outpatient, Outpatient, Inpatient, Purchase))
        visit = kind(person, f"{kind.__name__[0]}{lane}{number}")
        day.visits.append(visit)
        await live(visit, both[1] if kind is Purchase else both[0], chance, day)
