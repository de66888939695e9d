"""Money that waits for a person, on a database: an item when a settlement is SUSPENDED, closed by what it became."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from journal_parts import KEYS

from router.settlement.book import Change, New
from router.settlement.ledger import balance
from router.settlement.operators import Close, NotDecided, Operators
from router.settlement.posting import Entry, Journal
from router.settlement.rows import Decision, Notice, Place
from router.settlement.suspense import Item, NoItem
from router.store.settlement_book import SettlementBook, settlement_book
from tests.settlement.simulated import World

NOW = 1_700_000_000_000
HOUR = 3_600_000


class Clock:
    """Stands still until it is moved."""

    now = NOW

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


def paid(number: str, fen: int) -> Journal:
    return Journal(
        f"{number}/paid/done", number, (Entry("clearing:wechat", fen), Entry(f"transit:{number}", -fen))
    )


async def suspended(book: SettlementBook, number: str, code: str, fen: int, party: str = "insurance") -> None:
    await book.begin(New(number, "outpatient", "d1", {}, NOW))
    await stopped(
        book,
        number,
        Change(
            journals=(paid(number, fen),), state="SUSPENDED", code=code, text="why", party=party, release=True
        ),
    )


async def stopped(book: SettlementBook, number: str, change: Change) -> None:
    fence = await book.claim(number, number, NOW, NOW + 1000)
    assert fence is not None
    await book.write(number, fence, change)


async def test_a_suspended_settlement_has_an_item_of_what_it_holds(book: SettlementBook) -> None:
    await suspended(book, "S1", "JL-T005", 1610)
    (item,) = await book.suspense.items()
    assert item == Item("S1/1", "S1", "transit:S1", 1610, "unknown", "insurance", NOW, text="why")
    await book.tell("S1", Decision("retry", "100017", NOW))
    assert len(await book.suspense.items()) == 1, "until it is known what became of it"
    await stopped(
        book, "S1", Change(state="SUSPENDED", code="JL-T005", text="why", party="insurance", release=True)
    )
    assert await book.suspense.items() == [item], "the same again is no other item"
    await book.tell("S1", Decision("retry", "100017", NOW))
    back = Journal("S1/paid/undone", "S1", (Entry("clearing:wechat", -1610), Entry("transit:S1", 1610)))
    await stopped(book, "S1", Change(journals=(back,), state="COMPENSATED", release=True))
    assert await book.suspense.items() == []
    (closed,) = await book.suspense.items(closed=True)
    assert (closed.closed_ms, closed.closed_by) == (NOW, "COMPENSATED")


async def test_a_settlement_that_ends_with_money_in_hand_has_an_item(book: SettlementBook) -> None:
    await book.begin(New("S1", "outpatient", "d1", {}, NOW))
    await stopped(book, "S1", Change(journals=(paid("S1", 5),), state="COMPLETED", release=True))
    (item,) = await book.suspense.items()
    assert (item.cls, item.fen) == ("left", 5)


async def test_what_was_done_after_all_was_undone_has_an_item(book: SettlementBook) -> None:
    await book.begin(New("S1", "outpatient", "d1", {}, NOW))
    await stopped(book, "S1", Change(state="COMPENSATED", release=True))
    for _ in range(2):
        await book.tell("S1", Notice(Place("paid"), NOW, "OK"))
    assert [(one.cls, one.book) for one in await book.suspense.items()] == [("after-end", "S1")]


async def test_f24_money_for_an_order_that_nobody_knows_stands_in_suspense_once(book: SettlementBook) -> None:
    of, account = "order:wechat/20260105001", "suspense:wechat"
    came = Journal(f"{of}/came/done", of, (Entry("clearing:wechat", 700), Entry(account, -700)))
    said = [
        book.suspense.open(of, account, 700, "unknown-order", "a notice", "wechat", (came,)) for _ in range(3)
    ]
    assert len({one.id for one in await asyncio.gather(*said)}) == 1
    assert balance(account, await book.balance(account)) == 700
    back = Journal(f"{of}/back/done", of, (Entry(account, 700), Entry("clearing:wechat", -700)))
    await book.suspense.close(f"{of}/1", "refunded 已退款", (back,))
    with pytest.raises(NoItem):
        await book.suspense.close(f"{of}/1", "refunded", (back,))
    assert await book.balance(account) == 0
    again = await book.suspense.open(of, account, 700, "unknown-order", "a notice", "wechat", (came,))
    assert (again.id, again.closed_ms) == (f"{of}/1", NOW), "told again, it is the money that went back"
    assert await book.suspense.items() == []
    proof = await book.proof()
    assert (proof.found, proof.journals) == ((), 2)


async def test_what_waits_is_listed_by_age_amount_and_party(book: SettlementBook, clock: Clock) -> None:
    await suspended(book, "S1", "JL-T005", 100)
    clock.now += 2 * HOUR
    await suspended(book, "S2", "JL-T001", 900, "his")
    await suspended(book, "S3", "JL-T005", 500)
    assert [one.book for one in await book.suspense.items()] == ["S1", "S2", "S3"]
    assert [one.book for one in await book.suspense.items(by="amount")] == ["S2", "S3", "S1"]
    assert [one.book for one in await book.suspense.items(party="insurance", least_fen=200)] == ["S3"]
    assert [one.book for one in await book.suspense.items(cls="difference")] == ["S2"]
    aged = sorted((one.party, one.age, one.count, one.fen) for one in await book.suspense.aged())
    assert aged == [("his", "<1h", 1, 900), ("insurance", "<1d", 1, 100), ("insurance", "<1h", 1, 500)]


async def test_f13_what_cannot_be_undone_waits_with_its_amount(book: SettlementBook) -> None:
    world = World(1, "post", faults=0, book=book)
    world.script["undo insurance.2208"] = ["refused"]  # another month, say
    ended = await world.play()
    assert (ended.state, ended.code, world.live("settle"), world.live("pay")) == (
        "SUSPENDED",
        "JL-T004",
        1,
        1,
    )
    (item,) = await book.suspense.items()
    assert (item.fen, item.cls, item.party) == (3650, "not-undone", "insurance")


async def test_an_item_is_closed_by_two_people_and_its_money_goes_where_they_say(
    book: SettlementBook,
) -> None:
    operators = Operators(book, lambda: NOW, lambda number: None, World(1).known)
    of = "order:wechat/9"
    came = Journal(f"{of}/came/done", of, (Entry("clearing:wechat", 700), Entry("suspense:wechat", -700)))
    item = await book.suspense.open(
        of, "suspense:wechat", 700, "unknown-order", "a notice", "wechat", (came,)
    )
    said = {
        "id": item.id,
        "who": "100017",
        "reason": "of a donation",
        "evidence": "letter 9",
        "to": "income:other",
    }
    with pytest.raises(NotDecided, match="JL-T015"):
        await operators.close_item(Close(**said, second="100017"))
    closed = await operators.close_item(Close(**said, second="100018"))
    assert closed.closed_by == "100017 + 100018: of a donation (letter 9)"
    assert [await book.balance(name) for name in ("suspense:wechat", "income:other")] == [0, -700]
    with pytest.raises(NotDecided, match="JL-T041"):
        await operators.close_item(Close(**said, second="100018"))
    await suspended(book, "S1", "JL-T005", 1610)
    with pytest.raises(NotDecided, match="its end closes it"):
        await operators.close_item(Close(**{**said, "id": "S1/1"}, second="100018"))
