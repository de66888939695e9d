"""The look of each minute, on a database: what does not hold is found once, told, and closed when it holds again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
from database_parts import client
from journal_parts import KEYS

from router.alerts import made
from router.alerts.judge import Findings
from router.alerts.kinds import Fact, Name, texts
from router.alerts.money import Money
from router.settlement.book import Change, New
from router.settlement.invariants import LATE_MS
from router.settlement.operators import Operators
from router.settlement.posting import Entry, Journal
from router.settlement.watch import Watch
from router.store.settlement_book import SettlementBook, settlement_book
from tests.settlement.simulated import World

MINUTE = 60_000


class Clock:
    """Of the simulated world, and later."""

    now = 0

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def book(journal_url: str, clock: Clock) -> AsyncIterator[SettlementBook]:
    opened = settlement_book(journal_url, lambda: KEYS, clock)
    yield opened
    opened.close()


async def played(
    book: SettlementBook, clock: Clock, refuses: str = "", **script: list[str]
) -> tuple[World, Watch]:
    world = World(1, refuses, faults=0, book=book)
    world.script |= {name.replace("_", " ", 1).replace("_", "."): kinds for name, kinds in script.items()}
    await world.play()
    clock.now = world.now + MINUTE
    operators = Operators(book, clock, lambda number: None, world.known)
    return world, Watch(book, operators, world.known, clock)


def meddled(journal_url: str, statement: str) -> None:
    file = journal_url.replace("journal.db", "journal.settlement.db")
    engine = client(journal_url if journal_url.startswith("postgres") else file)
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


async def open_findings(book: SettlementBook) -> list[tuple[str, str]]:
    return sorted((one.book, one.rule) for one in await book.findings.list())


@pytest.mark.parametrize("refuses", ["", "post"])
async def test_nothing_is_found_of_what_is_as_it_should_be(
    book: SettlementBook, clock: Clock, refuses: str
) -> None:
    _, watch = await played(book, clock, refuses)
    await watch.once()
    assert await book.findings.list(closed=True) == []


_EXCHANGED = (
    "UPDATE settlement SET facts = (SELECT facts FROM settlement WHERE number = 'S1') WHERE number = 'A1'"
)
BREAKS = {
    "M6": (
        "UPDATE ledger_entry SET fen = fen + 1 WHERE journal = 'S1/pay/done' AND number = 0",
        "UPDATE ledger_entry SET fen = fen - 1 WHERE journal = 'S1/pay/done' AND number = 0",
    ),
    "M8": (
        "UPDATE settlement_attempt SET outcome = 'REJECTED' WHERE step = 'invoice'",
        "UPDATE settlement_attempt SET outcome = 'OK' WHERE step = 'invoice'",
    ),
    "M9": (
        "INSERT INTO settlement_lock (name, number) VALUES ('bill:B1', 'S1')",
        "DELETE FROM settlement_lock",
    ),
}


@pytest.mark.parametrize("rule", BREAKS)
async def test_what_does_not_hold_is_found_once_and_closed_when_it_holds(
    book: SettlementBook, clock: Clock, journal_url: str, rule: str
) -> None:
    _, watch = await played(book, clock)
    breaks, mends = BREAKS[rule]
    meddled(journal_url, breaks)
    await watch.once()
    assert await open_findings(book) == [("S1", rule)]
    clock.now += MINUTE
    await watch.check(["S1"])
    (found,) = await book.findings.list()
    assert found.found_ms == clock.now - MINUTE, "it is the same one"
    meddled(journal_url, mends)
    await watch.check(["S1"])
    assert await open_findings(book) == []
    assert [one.closed_ms for one in await book.findings.list(closed=True)] == [clock.now]


async def test_m5_a_deposit_below_zero_is_found(book: SettlementBook, clock: Clock, journal_url: str) -> None:
    _, watch = await played(book, clock)
    paid = Journal("P1/paid/done", "P1", (Entry("cash:box", 100), Entry("deposit:a1", -100)))
    await book.begin(New("P1", "outpatient", "d", {}, 1))
    fence = await book.claim("P1", "p", clock.now, clock.now + MINUTE)
    assert fence is not None
    await book.write("P1", fence, Change(journals=(paid,)))
    meddled(journal_url, "UPDATE ledger_entry SET fen = 50 WHERE account = 'deposit:a1'")
    await watch.check(["P1"])
    assert ("deposit:a1", "M5") in await open_findings(book)


async def test_m10_what_nobody_takes_up_is_found_though_nothing_changed(
    book: SettlementBook, clock: Clock, journal_url: str
) -> None:
    _, watch = await played(book, clock)
    meddled(journal_url, "UPDATE settlement SET state = 'WAITING', changed_ms = 0, due_ms = 1, owner = ''")
    clock.now += LATE_MS
    await watch.once()
    assert ("S1", "M10") in await open_findings(book)


async def test_what_waits_for_a_person_is_an_alert_until_it_ends(book: SettlementBook, clock: Clock) -> None:
    _, watch = await played(book, clock, "post", **{"undo_insurance_2208": ["refused"]})
    await watch.once()
    assert await open_findings(book) == [("S1", "stuck")]
    assert await raised(book) == {Name("stuck"): Fact(1)}
    await book.findings.stuck({})
    assert await raised(book) == {}


async def test_what_does_not_hold_is_a_critical_alert(
    book: SettlementBook, clock: Clock, journal_url: str
) -> None:
    _, watch = await played(book, clock)
    meddled(journal_url, BREAKS["M6"][0])
    await watch.once()
    assert await raised(book) == {Name("unsound"): Fact(1)}
    for text in texts(Name("unsound"), Fact(1)):
        assert "1" in text


async def raised(book: SettlementBook) -> dict[Name, Fact]:
    found = Findings()
    await Money(lambda: book.findings).look((), found, 0)
    return found.raised


async def test_rows_that_do_not_open_are_found_and_others_are_looked_at(
    book: SettlementBook, clock: Clock, journal_url: str
) -> None:
    _, watch = await played(book, clock)
    await book.begin(New("A1", "outpatient", "d", {}, 1))
    meddled(journal_url, _EXCHANGED)
    await watch.check(["A1", "S1"])
    assert await open_findings(book) == [("A1", "rows")]


async def test_who_keeps_watch_and_does_not_deliver_asks_a_database_of_its_own(
    book: SettlementBook, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(made, "open_settlements", lambda settings, now_ms: asked.append(settings) or book)
    engine = SimpleNamespace(
        makers=SimpleNamespace(desk=None), site=SimpleNamespace(settlements={}), settings="s"
    )
    money = made._Money(engine, clock)  # type: ignore[arg-type]
    assert (money.findings(), asked) == (None, []), "without settlements it opens none"
    engine.site.settlements = {"outpatient": "a pipeline"}
    assert [money.findings(), money.findings()] == [book.findings] * 2
    assert asked == ["s"]
    money.close()
