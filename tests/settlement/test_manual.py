"""Steps that wait for a person: who may decide, what the form must say, and what becomes of yes, no and silence."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.crypto import SiteKeys
from router.settlement.book import New
from router.settlement.operators import Decide, NotDecided, Operators
from router.settlement.rows import Decision, Place
from router.settlement.runner import Runner
from router.store.settlement_book import SettlementBook, settlement_book
from tests.settlement.simulated import EFFECTS, REQUEST, TEXT, World

APPROVED = TEXT.replace(
    "  - pay:\n",
    """  - approve:
      manual: {form: [reason, limit], roles: [cashier-lead], four_eyes: true, until: 2d, else: cancel}
      check: [{$approve.limit: $preset.cash, else: undo}]
  - pay:
""",
    1,
)
APPROVE = Place("approve")
FORM = {"reason": "as asked", "limit": "16.10"}


@pytest.fixture
def book(tmp_path: Path) -> Iterator[SettlementBook]:
    made = settlement_book(f"sqlite:///{tmp_path}/jingluo.db", lambda: SiteKeys(bytes(16)), lambda: 1_000_000)
    yield made
    made.close()


def said(what: str, reply: object = None, **more: object) -> Decide:
    people = {"who": "100017", "second": "100018", "role": "cashier-lead", "reason": "asked"}
    return Decide.model_validate({"what": what, "step": "approve", "reply": reply, **people, **more})


def test_a_yes_goes_on_with_what_the_form_says_and_only_those_who_may_can_say_it(
    book: SettlementBook,
) -> None:
    async def decided() -> World:
        world = World(1, faults=0, book=book, text=APPROVED)
        runner = Runner(world.book, world, world.known, "p", lambda: world.now)
        people = Operators(book, lambda: world.now, lambda number: None, world.known)
        await book.begin(New("S1", "outpatient", world.definition.digest, REQUEST, world.now))
        with pytest.raises(NotDecided, match="does not wait"):
            await people.decide("S1", said("done", FORM))
        assert await runner.drive("S1") == "WAITING"
        asks = (await people.show("S1")).asks
        assert asks is not None
        assert (asks["step"], asks["form"]) == ("approve", ["reason", "limit"])
        for wrong, match in (
            (said("done", FORM, role="clerk"), "cashier-lead"),
            (said("done", FORM, second="100017"), "second person"),
            (said("done", {"reason": "x"}), "limit"),
            (said("done", FORM, step="nowhere"), "a step"),
        ):
            with pytest.raises(NotDecided, match=match):
                await people.decide("S1", wrong)
        told = await people.decide("S1", said("done", FORM))
        assert told.decisions[-1]["role"] == "cashier-lead"
        assert await runner.drive("S1") == "COMPLETED"
        with pytest.raises(NotDecided):
            await people.decide("S1", said("done", FORM))
        return world

    world = asyncio.run(decided())
    assert [world.live(key) for key in EFFECTS] == [1] * len(EFFECTS)


@pytest.mark.parametrize(
    "word",
    [
        Decision("not done", "100017", 1_060_000, APPROVE, "100018"),
        Decision("done", "100017", 1_060_000, APPROVE, "100018", reply=FORM | {"limit": "1.00"}),
        None,
    ],
    ids=["no", "a yes to another amount", "silence"],
)
def test_what_is_not_allowed_undoes_what_was_done_before(word: Decision | None) -> None:
    world = World(1, faults=0, text=APPROVED)
    world.said = [(60_000, word)] if word is not None else []
    ended = asyncio.run(world.play())
    assert ended.state == "COMPENSATED"
    assert [key for key in EFFECTS if world.live(key)] == []
    assert (world.now > world.began + 48 * 3_600_000) == (word is None)
