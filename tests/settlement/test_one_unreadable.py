"""One settlement that this engine cannot read any more holds up no other; who asks leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from config.crypto import SiteKeys
from config.text import parse
from router.envelope import EXPIRES
from router.settlement.book import Change, New, Settlement
from router.settlement.calls import ChannelCalls
from router.settlement.commands import Call
from router.settlement.desk import Desk
from router.settlement.owner import Owner
from router.settlement.publishing import Publisher
from router.settlement.rows import Attempt, Place, Rows
from router.settlement.runner import Told
from router.store.settlement_book import SettlementBook, settlement_book
from schemas.message import Message, Reply
from tests.settlement.simulated import INFO, REQUEST, TEXT, World, definition
from transforms.library import Library

NOW = 1_800_000_000_000


class Prompt:
    """Parties that do everything at once."""

    async def call(self, settlement: Settlement, call: Call) -> Told:
        return Told("OK", reply={"setlinfo": INFO})


PROMPT = Prompt()


@pytest.fixture
def book(tmp_path: Path) -> Iterator[SettlementBook]:
    made = settlement_book(f"sqlite:///{tmp_path}/jingluo.db", lambda: SiteKeys(bytes(16)), lambda: NOW)
    yield made
    made.close()


def desked(
    book: SettlementBook, folder: Path, story: Callable[[Desk], Awaitable[None]], parties: Prompt = PROMPT
) -> None:
    async def told() -> None:
        pipelines: Mapping[str, Any] = {"outpatient": None}
        made = definition()
        await book.define(made.digest, "outpatient", parse(TEXT, "outpatient.yaml").data)
        await book.define("old", "outpatient", {"settlement": "outpatient", "steps": "of another time"})
        await book.begin(New("S0", "outpatient", "old", REQUEST, NOW - 1))
        await book.begin(New("S1", "outpatient", made.digest, REQUEST, NOW))
        desk = Desk(book, parties, lambda: pipelines, Library([], []), Owner(folder / "o"), lambda: NOW)
        await story(desk)

    asyncio.run(told())


def test_what_is_due_is_taken_up_beside_a_settlement_that_cannot_be_read_any_more(
    book: SettlementBook, tmp_path: Path
) -> None:
    async def story(desk: Desk) -> None:
        assert not await desk._take()
        await asyncio.gather(*desk._driving.values())
        assert (await book.load("S1")).state == "COMPLETED"
        await desk.stop()

    desked(book, tmp_path, story)


def test_what_must_hold_is_looked_at_beside_a_settlement_that_cannot_be_read_any_more(
    book: SettlementBook, tmp_path: Path
) -> None:
    async def story(desk: Desk) -> None:
        fence = await book.claim("S1", "p", NOW, NOW + 1)
        assert fence is not None
        await book.write("S1", fence, Change(state="COMPLETED", release=True))
        found = await desk.watch.check(["S0", "S1"])
        assert [one.rule for one in found["S0"]] == ["rows"]
        assert "M8" in [one.rule for one in found["S1"]]
        await desk.stop()

    desked(book, tmp_path, story)


def test_who_asked_for_a_settlement_leaves_nothing_behind(book: SettlementBook, tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        told = await asyncio.gather(*(desk.show("S1", 10) for _ in range(3)))
        assert {one["state"] for one in told} == {"COMPLETED"}
        await desk.show("S1", 10)
        assert not desk._moved
        await desk.stop()

    desked(book, tmp_path, story)


def test_events_go_out_beside_those_of_a_settlement_that_cannot_be_read_any_more(
    book: SettlementBook,
) -> None:
    taken = []

    async def tell(number: str) -> tuple[Mapping[str, Any], Sequence[str]]:
        if number == "S0":
            raise ValueError("of another time")
        return {"number": number}, ["paid"]

    def hand_over(channel: str, message: Message) -> asyncio.Future[Reply]:
        taken.append(message.headers["settlement"])
        made: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        made.set_result(Reply("accepted"))
        return made

    async def story() -> None:
        for number in ("S0", "S1"):
            await book.begin(New(number, "outpatient", "old", REQUEST, NOW))
            fence = await book.claim(number, "p", NOW, NOW + 1)
            assert fence is not None
            await book.write(number, fence, Change(state="COMPLETED", events=("paid",), release=True))
        channel: Any = SimpleNamespace(kind="events", name="paid", options=SimpleNamespace(of="paid"))
        publisher = Publisher(book.outbox, tell, lambda: (channel,), hand_over, lambda: NOW)
        await publisher.publish()
        await publisher.publish()
        assert taken == ["S1"]
        assert [one.settlement for one in await book.outbox.waiting(["paid"], (), 10)] == ["S0"]

    asyncio.run(story())


def test_a_process_that_stood_still_sends_no_call_that_others_hold_to_be_over() -> None:
    sent: list[Message] = []

    def hand_over(channel: str, message: Message) -> asyncio.Future[Reply]:
        sent.append(message)
        made: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        made.set_result(Reply("failed", code="JL-D914"))
        return made

    async def story() -> None:
        channel: Any = SimpleNamespace(
            kind="calls", name="pay", options=SimpleNamespace(of="payment"), when=None
        )
        begun = Attempt(1, Place("pay"), "do", "payment.create", "pay", NOW)
        settlement = Settlement("S1", "outpatient", "d", "RUNNING", Rows("S1", {}, NOW, (begun,)))
        calls = ChannelCalls(lambda: (channel,), hand_over, lambda: NOW + 300_000)
        await calls.call(settlement, Call(Place("pay"), "do", "payment.create", "pay"))
        assert int(sent[0].headers[EXPIRES]) == NOW + 30_000

    asyncio.run(story())


def test_a_pipeline_that_fails_in_a_way_that_nobody_foresaw_is_for_a_person() -> None:
    def fails(facts: Any) -> bool:
        raise TypeError("nobody foresaw it")

    world = World(1, faults=0)
    first, *others = world.definition.steps
    world.definition = replace(world.definition, steps=(replace(first, when=fails), *others))
    ended = asyncio.run(world.play())
    assert (ended.state, ended.code) == ("SUSPENDED", "JL-T007")


class Slow(Prompt):
    """Parties that do nothing until all ends."""

    async def call(self, settlement: Settlement, call: Call) -> Told:
        await asyncio.Event().wait()
        raise AssertionError


def test_a_process_that_ends_begins_nothing_of_what_it_had_taken(
    book: SettlementBook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(desk: Desk) -> None:
        monkeypatch.setattr("router.settlement.desk._AT_ONCE", 1)
        for number in ("S2", "S3", "S4"):
            await book.begin(New(number, "outpatient", definition().digest, REQUEST, NOW))
        watched = desk._watching.stop

        async def taking() -> None:
            await watched()
            await desk._take()
            await asyncio.sleep(0)  # the first has begun

        monkeypatch.setattr(desk._watching, "stop", taking)
        await desk.stop()
        assert not [one for one in asyncio.all_tasks() if one.get_name().startswith("settlement ")]

    desked(book, tmp_path, story, Slow())
