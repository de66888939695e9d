"""The ledger's accounts on a database, SQLite and PostgreSQL: a deposit never goes below zero, whoever asks at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from database_parts import client
from journal_parts import KEYS

from router.settlement.book import Change, New
from router.settlement.ledger import Deposit, Floored
from router.settlement.posting import Entry, Journal
from router.store.settlement_book import SettlementBook, settlement_book

NOW = 1_700_000_000_000
DEPOSIT, REFUND = "deposit:A1", "liability:refund"


@pytest.fixture
async def books(journal_url: str) -> AsyncIterator[list[SettlementBook]]:
    """Those of two processes."""
    opened = [settlement_book(journal_url, lambda: KEYS, lambda: NOW) for _ in range(2)]
    yield opened
    for one in opened:
        one.close()


def journal(settlement: str, debit: str, credit: str, fen: int, what: str = "done") -> Journal:
    return Journal(f"{settlement}/post/{what}", settlement, (Entry(debit, fen), Entry(credit, -fen)))


async def posted(book: SettlementBook, number: str, *journals: Journal) -> None:
    await book.begin(New(number, "deposit", "d1", {}, NOW))
    fence = await book.claim(number, number, NOW, NOW + 1000)
    assert fence is not None
    await book.write(number, fence, Change(journals=journals, state="COMPLETED", release=True))


async def test_of_two_refunds_that_race_for_a_deposit_one_is_refused(books: list[SettlementBook]) -> None:
    await posted(books[0], "P1", journal("P1", "clearing:wechat", DEPOSIT, 10_000))
    both = (posted(book, f"R{n}", journal(f"R{n}", DEPOSIT, REFUND, 6_000)) for n, book in enumerate(books))
    told = await asyncio.gather(*both, return_exceptions=True)
    refused = [one for one in told if one is not None]
    assert [getattr(one, "code", one) for one in refused] == ["JL-T040"]
    assert await books[0].balance(DEPOSIT) == -4_000
    states = sorted([(await books[1].load(f"R{n}")).state for n in range(2)])
    assert states == ["COMPLETED", "RUNNING"], "of the refused one nothing was written"


async def test_what_another_change_wrote_in_the_same_commit_counts(books: list[SettlementBook]) -> None:
    book = books[0]
    await posted(book, "P1", journal("P1", "clearing:wechat", DEPOSIT, 10_000))
    many = (posted(book, f"R{n}", journal(f"R{n}", DEPOSIT, REFUND, 3_000)) for n in range(6))
    told = await asyncio.gather(*many, return_exceptions=True)
    assert sum(isinstance(one, Floored) for one in told) == 3
    assert await book.balance(DEPOSIT) == -1_000


async def test_a_deposit_is_opening_and_in_less_used_and_refunded(books: list[SettlementBook]) -> None:
    book = books[0]
    await posted(book, "P1", journal("P1", "clearing:wechat", DEPOSIT, 10_000))
    await posted(
        book,
        "P2",
        journal("P2", "cash:box", DEPOSIT, 5_000),
        journal("P2", DEPOSIT, "cash:box", 5_000, "undone"),
    )
    await posted(book, "D1", journal("D1", DEPOSIT, "transit:D1", 7_000))
    await posted(book, "R1", journal("R1", DEPOSIT, REFUND, 3_000))
    found = await book.deposit("A1")
    sums = Deposit("A1", 0, 10_000, 7_000, 3_000, 0, found.movements)
    assert found == sums
    assert [
        (one.settlement, one.moves, one.fen) for one in sorted(found.movements, key=lambda one: one.journal)
    ] == [
        ("D1", "used", 7_000),
        ("P1", "in", 10_000),
        ("P2", "in", 5_000),
        ("P2", "in", -5_000),
        ("R1", "refunded", 3_000),
    ]
    later = await book.deposit("A1", since_ms=NOW + 1)
    assert (later.opening_fen, later.closing_fen, later.movements) == (0, 0, ())


def table(journal_url: str, *statements: str) -> None:
    """What somebody with the database's password does, and no key."""
    engine = client(
        journal_url
        if journal_url.startswith("postgres")
        else journal_url.replace("journal.db", "journal.settlement.db")
    )
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


MEDDLING = {
    "an amount": ("UPDATE ledger_entry SET fen = fen * 2 WHERE journal = 'S2/b/done'", [("S2/b/done", "changed")]),
    "a date": ("UPDATE ledger_journal SET at_ms = at_ms + 1 WHERE id = 'S2/b/done'", [("S2/b/done", "changed")]),
    "one side": (
        "UPDATE ledger_entry SET fen = 1 WHERE journal = 'S2/b/done' AND number = 0",
        [("S2/b/done", "changed"), ("S2/b/done", "unbalanced")],
    ),
    "one in the middle is gone": (
        "DELETE FROM ledger_journal WHERE id = 'S2/b/done'",
        [("", "missing"), ("S2/b/done", "strange")],
    ),
    "the last is gone": (
        "DELETE FROM ledger_journal WHERE id = 'S2/c/done'",
        [("", "missing"), ("S2/c/done", "strange")],
    ),
    "two were exchanged": (
        "UPDATE ledger_journal SET number = 5 - number WHERE settlement = 'S2' AND number > 1",
        [("S2/c/done", "reordered"), ("S2/b/done", "reordered"), ("", "changed")],
    ),
    "the book is gone": (
        "DELETE FROM ledger_head WHERE settlement = 'S2'",
        [*((f"S2/{step}/done", "strange") for step in "abc"), ("", "missing")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", MEDDLING)
async def test_a_journal_that_was_changed_is_named(
    books: list[SettlementBook], journal_url: str, what: str
) -> None:
    book = books[0]
    for number in ("S1", "S2", "S3"):
        lines = [
            Journal(f"{number}/{step}/done", number, (Entry("cash:a", 100), Entry("income:b", -100)))
            for step in "abc"
        ]
        await posted(book, number, *lines)
    assert (await book.proof()).found == ()
    statement, wrong = MEDDLING[what]
    if "number = 5 -" in statement:  # each by itself: no two have one number
        statement = "UPDATE ledger_journal SET number = -number WHERE settlement = 'S2' AND number > 1"
        table(
            journal_url,
            statement,
            "UPDATE ledger_journal SET number = 5 + number WHERE settlement = 'S2' AND number < 0",
        )
    else:
        table(journal_url, statement)
    proof = await book.proof()
    assert [(one.journal, one.what) for one in proof.found] == wrong
    assert {one.settlement for one in proof.found} <= {"S2", ""}


async def test_the_ledger_is_proved_page_by_page(books: list[SettlementBook]) -> None:
    book = books[0]
    for number in range(5):
        await posted(book, f"S{number}", journal(f"S{number}", "cash:a", "income:b", 100))
    pages, after = [], ""
    while not pages or after:
        pages.append(page := await book.proof(after, 2))
        after = page.after
    assert [(page.settlements, page.journals) for page in pages] == [(2, 2), (2, 2), (1, 1)]
    assert all(page.found == () for page in pages)
