"""Settlements on a database, SQLite and PostgreSQL: what is written is there, once, and for who holds the fence."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from journal_parts import KEYS

from router.settlement.book import Change, Differs, Fenced, Locked, New
from router.settlement.posting import Entry, Journal
from router.settlement.rows import Attempt, Decision, Notice, Place
from router.settlement.taking import Waits
from router.store.settlement_book import SettlementBook, settlement_book
from tests.settlement.simulated import EFFECTS, World

NOW = 1_700_000_000_000


@pytest.fixture
async def book(journal_url: str) -> AsyncIterator[SettlementBook]:
    opened = settlement_book(journal_url, lambda: KEYS, lambda: NOW)
    yield opened
    opened.close()


def new(number: str = "S1", bill: str = "B1", total: str = "36.50") -> New:
    return New(number, "outpatient", "d1", {"total": Decimal(total)}, NOW, (f"bill:{bill}",), "kiosk")


def attempt(number: int, outcome: str | None = None) -> Attempt:
    reply = {"fund": Decimal("20.40")} if outcome else None
    return Attempt(number, Place("fees", 1), "do", "insurance.2204", "fees.1", NOW, outcome, NOW, reply=reply)  # type: ignore[arg-type]


JOURNAL = Journal("S1/pay/done", "S1", (Entry("clearing:wechat", 1610), Entry("transit:S1", -1610)))


async def held(book: SettlementBook, number: str = "S1", now_ms: int = NOW) -> int:
    fence = await book.claim(number, "p1", now_ms, now_ms + 1000)
    assert fence is not None
    return fence


async def test_what_is_written_is_read_again_amounts_to_the_digit(book: SettlementBook) -> None:
    await book.begin(new())
    fence = await held(book)
    await book.write("S1", fence, Change(begun=attempt(1)))
    assert (await book.load("S1")).rows.attempts == (attempt(1),)
    await book.write("S1", fence, Change(ended=attempt(1, "OK"), journals=(JOURNAL,), due_ms=5))
    decided = Decision("done", "100017", NOW, Place("pay"), second="100018", reply={"cash": Decimal("1.10")})
    await book.tell("S1", decided)
    await book.tell("S1", Notice(Place("pay"), NOW, "OK", {"cash": 1}))
    found = await book.load("S1")
    assert found.rows.request == {"total": Decimal("36.50")}
    assert found.rows.attempts == (attempt(1, "OK"),)
    assert found.rows.decisions == (decided,)
    assert found.rows.notices == (Notice(Place("pay"), NOW, "OK", {"cash": 1}),)
    assert await book.balance("clearing:wechat") == 1610


async def test_the_same_request_twice_is_one_settlement_and_another_is_refused(book: SettlementBook) -> None:
    await book.begin(new())
    first = await book.load("S1")
    await book.begin(new())
    assert await book.load("S1") == first
    with pytest.raises(Differs):
        await book.begin(new(total="36.51"))


async def test_a_bill_has_one_active_settlement_until_it_ends(book: SettlementBook) -> None:
    await book.begin(new())
    with pytest.raises(Locked):
        await book.begin(New("S2", "outpatient", "d1", {}, NOW, ("bill:A0", "bill:B1")))
    await book.begin(new("S3", "A0"))  # what the refused one had wanted is free
    await book.write("S1", await held(book), Change(state="REJECTED", release=True))
    await book.begin(new("S4"))


async def test_who_lost_the_fence_writes_nothing(book: SettlementBook) -> None:
    await book.begin(new())
    late = await held(book)
    assert await book.claim("S1", "p2", NOW + 500, NOW + 2000) is None, "the lease holds"
    later = await held(book, now_ms=NOW + 1000)
    assert later > late
    with pytest.raises(Fenced):
        await book.write("S1", late, Change(begun=attempt(1), journals=(JOURNAL,)))
    assert (await book.load("S1")).rows.attempts == ()
    assert await book.balance("clearing:wechat") == 0


async def test_a_journal_is_posted_once_and_an_outcome_is_written_once(book: SettlementBook) -> None:
    await book.begin(new())
    fence = await held(book)
    await book.write("S1", fence, Change(begun=attempt(1)))
    for outcome in ("OK", "REJECTED"):
        await book.write("S1", fence, Change(ended=attempt(1, outcome), journals=(JOURNAL,)))
    assert (await book.load("S1")).rows.attempts == (attempt(1, "OK"),)
    assert await book.balance("transit:S1") == -1610


async def test_what_is_due_is_what_nobody_has_and_no_person_must_see(book: SettlementBook) -> None:
    for number, bill in (("S1", "B1"), ("S2", "B2"), ("S3", "B3")):
        await book.begin(new(number, bill))
    await book.write("S2", await held(book, "S2"), Change(state="SUSPENDED", text="why 原因", release=True))
    await held(book, "S3")
    assert await taken(book, NOW) == ["S1"]
    assert await taken(book, NOW) == [], "each is taken once"
    late, _ = await book.take("p8", NOW + 1000, NOW + 1000, 10, ("S3",))
    assert [one.settlement.number for one in late] == ["S1"], "but for those that it has itself"
    assert await taken(book, NOW + 1000) == ["S1", "S3"], "their holders are late"
    assert (await book.load("S2")).text == "why 原因"
    await book.tell("S2", Decision("compensate", "100017", NOW))
    assert await taken(book, NOW) == ["S2"]


async def test_what_was_taken_is_put_back_but_not_over_what_was_told_meanwhile(book: SettlementBook) -> None:
    for number, bill in (("S1", "B1"), ("S2", "B2"), ("S3", "B3")):
        await book.begin(new(number, bill))
    await book.write("S1", await held(book, "S1"), Change(begun=attempt(1), due_ms=NOW, release=True))
    all, shut = await book.take("p9", NOW, NOW + 1000, 10)
    rows = {one.settlement.number: one.settlement.rows for one in all}
    assert (rows["S1"].attempts, list(shut)) == ((attempt(1),), [])
    assert (await book.load("S1")).rows == rows["S1"]
    await book.tell("S2", Notice(Place("paid"), NOW, "OK"))
    other = await held(book, "S3", now_ms=NOW + 1000)
    await book.put_back("p9", [Waits(one, "WAITING", NOW + 60_000) for one in all])
    assert (await book.load("S1")).state == "WAITING"
    assert await taken(book, NOW) == ["S2"], "it was told something"
    await book.write("S3", other, Change(state="COMPLETED", release=True))
    assert await taken(book, NOW + 60_000, "p10") == ["S1", "S2"]


async def test_what_a_process_had_that_is_gone_is_due_at_once(book: SettlementBook) -> None:
    for number, bill in (("S1", "B1"), ("S2", "B2")):
        await book.begin(new(number, bill))
    await book.take("dead", NOW, NOW + 60_000, 1)
    await book.take("alive", NOW, NOW + 60_000, 1)
    assert await book.free("dead", NOW) == 1
    (one,), _ = await book.take("next", NOW, NOW + 60_000, 10)
    assert one.fence == 2
    with pytest.raises(Fenced):
        await book.write(one.settlement.number, 1, Change(begun=attempt(1)))


async def taken(book: SettlementBook, now_ms: int, owner: str = "p9") -> list[str]:
    found, _ = await book.take(owner, now_ms, now_ms + 1000, 10)
    return sorted(one.settlement.number for one in found)


async def test_a_pipeline_is_kept_as_the_settlement_began_with_it(book: SettlementBook) -> None:
    await book.define("d1", "outpatient", {"settlement": "outpatient", "title": "门诊"})
    await book.define("d1", "outpatient", {"settlement": "another"})
    assert await book.definition("d1") == {"settlement": "outpatient", "title": "门诊"}
    assert await book.definition("d2") is None


@pytest.mark.parametrize(("seed", "refuses"), [(1, ""), (2, ""), (3, "settle"), (4, "post")])
async def test_crashes_between_all_commits_leave_the_books_right(
    book: SettlementBook, seed: int, refuses: str
) -> None:
    world = World(seed, refuses, book=book)
    ended = await world.play()
    assert ended.state == ("COMPENSATED" if refuses else "COMPLETED")
    assert [world.live(key) for key in EFFECTS] == [0 if refuses else 1] * len(EFFECTS)
    assert await book.balance("transit:S1") == 0
    assert await book.balance("receivable:fund") == (0 if refuses else 2040)
