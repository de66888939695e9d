"""Events of settlements reach their channels at least once, in order, whatever breaks in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from config.crypto import SiteKeys
from router.settlement.publishing import Publisher
from router.store import settlement_tables as tables
from router.store.settlement_book import SettlementBook, settlement_book
from router.store.settlement_outbox import Event
from schemas.message import Message, Reply

PAID, DONE = "settlement.paid", "settlement.done"
DAY_MS = 86_400_000


class Site:
    """Channels that take events; `says` is what the next hand-overs come to."""

    def __init__(self, book: SettlementBook, *names: str) -> None:
        self.book = book
        self.names = list(names)
        self.taken: list[Message] = []
        self.says: list[str] = []
        self.now = 10 * DAY_MS

    def publisher(self) -> Publisher:
        """A fresh process."""
        return Publisher(self.book.outbox, self.tell, self.channels, self.hand_over, lambda: self.now)

    def channels(self) -> Any:
        return [
            SimpleNamespace(kind="events", name=f"on-{n}", options=SimpleNamespace(of=n)) for n in self.names
        ]

    async def tell(self, number: str) -> tuple[Mapping[str, Any], Sequence[str]]:
        return {"number": number, "state": "COMPLETED", "facts": {"fund": "20.40"}}, [PAID, DONE]

    def hand_over(self, channel: str, message: Message) -> asyncio.Future[Reply]:
        said = self.says.pop(0) if self.says else "accepted"
        if said != "failed":
            self.taken.append(message)
        made: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        made.set_result(Reply("failed" if said == "lost" else said))  # type: ignore[arg-type]
        return made

    @property
    def keys(self) -> list[bytes]:
        return [one.once.key for one in self.taken if one.once is not None]

    async def happened(self, *events: Event) -> None:
        rows = [{"settlement": one.settlement, "event": one.name, "at_ms": one.at_ms} for one in events]
        await self.book._database.write(
            lambda connection, key: connection.execute(tables.outbox.insert(), rows)
        )

    async def waiting(self) -> list[Event]:
        return list(await self.book.outbox.waiting([PAID, DONE], (), 10))


@pytest.fixture
def book(tmp_path: Path) -> Iterator[SettlementBook]:
    made = settlement_book(f"sqlite:///{tmp_path}/jingluo.db", lambda: SiteKeys(bytes(16)), lambda: 0)
    yield made
    made.close()


def run(site: Site, story: Callable[[Site], Any]) -> None:
    asyncio.run(story(site))


def test_events_of_a_settlement_are_published_in_the_order_of_its_steps_and_then_wait_no_more(
    book: SettlementBook,
) -> None:
    async def story(site: Site) -> None:
        await site.happened(Event("S1", DONE, 5), Event("S1", PAID, 5), Event("S2", DONE, 4))
        await site.publisher().publish()
        mine = [one.headers["event"] for one in site.taken if one.headers["settlement"] == "S1"]
        assert mine == [PAID, DONE]
        assert b'"fund"' in site.taken[0].body
        assert await site.waiting() == []

    run(Site(book, PAID, DONE), story)


def test_f52_an_event_whose_confirm_was_lost_comes_again_as_the_same_message(book: SettlementBook) -> None:
    async def story(site: Site) -> None:
        publisher = site.publisher()
        await site.happened(Event("S1", PAID, 5), Event("S1", DONE, 5), Event("S2", DONE, 6))
        site.says = ["lost"]
        await publisher.publish()
        assert [one.settlement for one in await site.waiting()] == ["S1", "S1"], "S2 is not held up"
        await publisher.publish()
        assert len(site.taken) == 2, "not at once again"
        site.now += 1_001
        await publisher.publish()
        assert site.keys == [
            b"S1/settlement.paid",
            b"S2/settlement.done",
            b"S1/settlement.paid",
            b"S1/settlement.done",
        ]
        assert {one.once for one in site.taken if one.headers["event"] == PAID} == {site.taken[0].once}
        assert await site.waiting() == []

    run(Site(book, PAID, DONE), story)


def test_f53_a_process_that_dies_before_it_marked_an_event_publishes_the_same_again(
    book: SettlementBook,
) -> None:
    async def story(site: Site) -> None:
        await site.happened(Event("S1", DONE, 5))
        dying = site.publisher()

        async def killed(events: Sequence[Event]) -> None:
            raise KeyboardInterrupt

        dying._outbox.published = killed  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            await dying.publish()
        await site.publisher().publish()
        assert site.keys == [b"S1/settlement.done"] * 2
        assert site.taken[0].once == site.taken[1].once, "its id is the same: a channel takes it once"
        assert await site.waiting() == []

    run(Site(book, DONE), story)


def test_an_event_that_no_channel_takes_is_kept_for_a_week(book: SettlementBook) -> None:
    async def story(site: Site) -> None:
        now = site.now
        await site.happened(Event("S1", DONE, now - 8 * DAY_MS), Event("S2", DONE, now - 6 * DAY_MS))
        await site.publisher().publish()
        assert [one.settlement for one in await site.waiting()] == ["S2"]
        site.names = [DONE]
        await site.publisher().publish()
        assert site.keys == [b"S2/settlement.done"]

    run(Site(book), story)


def test_events_of_a_settlement_keep_their_order_where_more_wait_than_are_published_at_once(
    book: SettlementBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(site: Site) -> None:
        monkeypatch.setattr("router.settlement.publishing._AT_ONCE", 2)
        await site.happened(Event("S0", DONE, 4), Event("S1", DONE, 5), Event("S1", PAID, 5))
        publisher = site.publisher()
        while await publisher.publish():
            pass
        mine = [one.headers["event"] for one in site.taken if one.headers["settlement"] == "S1"]
        assert mine == [PAID, DONE]
        assert await site.waiting() == []

    run(Site(book, PAID, DONE), story)
