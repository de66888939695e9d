"""The lookout: what it does while the broker is away, and what it knows of the engine itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace as Such
from typing import Any

import pytest
from structlog.testing import capture_logs

from channels.model import Channel
from router import ids
from router.alerts.book import Book
from router.alerts.judge import Findings
from router.alerts.kinds import Fact, Name
from router.alerts.lookout import Lookout
from router.alerts.states import States
from router.brokers.base import BrokerDown

JOURNAL = Name("journal")


class Stream:
    """As much of a broker as a book needs: what is said is heard, as long as it is open."""

    def __init__(self) -> None:
        self.open = True
        self.hear: Any = None

    async def declare(self, queues: Any) -> None:
        """Nothing to make."""

    async def follow(self, stream: str, on_entry: Any, since_ms: int = 0) -> None:
        self.hear = on_entry

    def publish(self, queues: Any, body: bytes) -> asyncio.Future[None]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.open:
            self.hear(body)
            done.set_result(None)
        else:
            done.set_exception(BrokerDown("JL-B001", "away"))
        return done


class Watch:
    """A lookout whose turn it is, and a clock in seconds."""

    def __init__(self) -> None:
        self.broker: Any = Stream()
        self.book = Book(self.broker)
        self.now_s = 1_795_924_800
        self.found = Findings()
        self.told: list[tuple[str, bool]] = []
        teller: Any = Such(tell=self._tell)
        self.lookout = Lookout(self.broker, self.book, [self], lambda: (), teller, lambda: self.now_s * 1000)
        turn: Any = Such(held=True)
        self.lookout._turn = turn

    async def look(self, channels: Sequence[Channel], found: Findings, now_ms: int) -> None:
        found.raised.update(self.found.raised)

    async def _tell(self, book: Book, channels: Any) -> None:
        for key in [*book.untold]:
            self.told.append((str(book.untold[key].name), key[1]))
            await book.told(*key)

    async def after(self, seconds: int) -> list[str]:
        """What the log says of a look so much later."""
        self.now_s += seconds
        with capture_logs() as logs:
            await self.lookout.once()
        return [f"{line['event']} {line['what']}" for line in logs]


@pytest.fixture
async def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    monkeypatch.setattr(ids, "_ms", 0)  # no other test's are of this one's time
    made = Watch()
    await made.book.start()
    return made


async def test_while_the_broker_is_away_that_is_said_once_and_told_when_it_is_back(watch: Watch) -> None:
    watch.broker.open = False
    assert await watch.after(5) == []
    assert await watch.after(10) == ["alert.opened broker"]
    assert watch.lookout.away is not None
    for _ in range(100):
        assert await watch.after(5) == []
    began_ms = watch.lookout.away.opened_ms
    watch.broker.open = True
    assert await watch.after(5) == []
    assert watch.lookout.away is None
    assert [(str(one.name), one.opened_ms) for one in watch.book.open.values()] == [("broker", began_ms)]
    watch.broker.open = False
    assert [await watch.after(20) for _ in range(3)] == [[]] * 3, "it flutters"
    watch.broker.open = True
    assert await watch.after(5) == []
    assert await watch.after(61) == ["alert.closed broker"]
    assert watch.told == [("broker", False), ("broker", True)]


async def test_a_short_trouble_with_the_broker_is_no_alert(watch: Watch) -> None:
    watch.broker.open = False
    await watch.after(5)
    watch.broker.open = True
    assert await watch.after(5) == []
    watch.broker.open = False
    assert await watch.after(9) == []
    assert not watch.book.open


async def test_what_another_process_watches_is_left_to_it(watch: Watch) -> None:
    watch.found.raised[JOURNAL] = Fact()
    assert await watch.after(1) == []
    turn: Any = Such(held=False, wait=asyncio.Event().wait)
    mine, watch.lookout._turn = watch.lookout._turn, turn
    for _ in range(5):
        assert await watch.after(10) == []
    assert (watch.book.open, watch.told) == ({}, [])
    watch.lookout._turn = mine
    assert await watch.after(1) == [], "it looks for itself first"
    assert await watch.after(10) == ["alert.opened journal"]


def test_the_engine_knows_what_is_not_well_with_it() -> None:
    held = Such()
    missing = Such(channel="adt", destination="emr", count=3)
    refused = Such(severity="error", file="channels/a.yaml", code="JL-C010")
    noted = Such(severity="warning", file="channels/b.yaml", code="JL-C022")
    half_read = Such(severity="error", file="the site", code="JL-R006")
    engine: Any = Such(
        journal=Such(ok=False),
        board=Such(held={"jl.adt.lis.0of2": held, "jl.adt.lis.1of2": held}),
        conservation=Such(missing=[missing]),
        doors=Such(closed={"orders": "in use"}),
        pressure=Such(paused={"results": "jl.results.emr"}),
        site=Such(findings=[refused, noted]),
        reload=Such(last=Such(refused=True, findings=[half_read, refused])),
    )
    found = Findings()
    asyncio.run(States(engine).look((), found, 0))
    assert {str(name): fact.figure for name, fact in found.raised.items()} == {
        "journal": 0,
        "held adt/lis": 2,
        "missing adt/emr": 3,
        "door orders": 0,
        "full results": 0,
        "refused channels/a.yaml": 0,
    }
