"""Settlements on a database while others write: what is read is of one moment, what fails fails alone."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from journal_parts import KEYS
from sqlalchemy import Connection, select

from config.errors import Unreachable
from router.settlement.book import Change, Locked, New
from router.settlement.posting import Entry, Journal
from router.store import settlement_verify as verify
from router.store.durable import GroupedDatabase
from router.store.settlement_book import SettlementBook, settlement_book
from router.store.settlement_rows import Key
from router.store.settlement_tables import SETTLEMENTS, lock

NOW = 1_700_000_000_000


@pytest.fixture
async def book(journal_url: str) -> AsyncIterator[SettlementBook]:
    opened = settlement_book(journal_url, lambda: KEYS, lambda: NOW)
    yield opened
    opened.close()


def adds(name: str) -> Callable[[Connection, Key], Any]:
    return lambda connection, key: connection.execute(lock.insert().values(name=name, number="S1"))


async def test_a_change_that_fails_leaves_nothing_of_itself_and_takes_no_other_with_it(
    journal_url: str,
) -> None:
    def breaks(connection: Connection, key: Key) -> None:
        adds("half")(connection, key)
        raise ValueError("nobody foresaw it")

    kept = GroupedDatabase(SETTLEMENTS, Key, journal_url, lambda: KEYS)
    try:
        changes = [adds("first"), adds("second"), breaks, adds("second"), adds("third")]
        told = await asyncio.gather(*map(kept.write, changes), return_exceptions=True)
        found = await kept.read(
            lambda connection, key: connection.execute(select(lock.c.name)).scalars().all()
        )
        assert sorted(found) == ["first", "second", "third"]
        assert [type(one) for one in told if isinstance(one, Exception)] == [ValueError, Unreachable]
    finally:
        await asyncio.to_thread(kept.close)


@pytest.mark.parametrize("journal_url", ["postgresql"], indirect=True)
async def test_what_is_too_large_for_the_database_takes_no_other_with_it(journal_url: str) -> None:
    large = random.Random(1).randbytes(5_000).hex()  # more than an index takes
    kept = GroupedDatabase(SETTLEMENTS, Key, journal_url, lambda: KEYS)
    try:
        changes = [adds("first"), adds("second"), adds(large), adds("third")]
        told = await asyncio.gather(*map(kept.write, changes), return_exceptions=True)
        assert [isinstance(one, Unreachable) for one in told] == [False, False, True, False]
    finally:
        await asyncio.to_thread(kept.close)


async def test_the_ledger_is_proved_while_it_is_posted_to(
    book: SettlementBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    await book.begin(New("S1", "outpatient", "d1", {}, NOW))
    fence = await book.claim("S1", "p1", NOW, NOW + 1000)
    assert fence is not None
    loop, lines = asyncio.get_running_loop(), verify._lines

    def posted(name: str) -> Change:
        journal = Journal(f"S1/{name}/done", "S1", (Entry("cash:box", 100), Entry("income:his", -100)))
        return Change(journals=(journal,))

    def meanwhile(connection: Connection, after: str, last: str | None) -> Any:
        asyncio.run_coroutine_threadsafe(book.write("S1", fence, posted("pay")), loop).result(30)
        return lines(connection, after, last)

    await book.write("S1", fence, posted("fees"))
    monkeypatch.setattr(verify, "_lines", meanwhile)
    proof = await book.proof()
    assert (proof.found, proof.journals) == ((), 1)
    assert await book.balance("cash:box") == 200


async def test_the_same_request_is_the_same_however_its_whole_amounts_are_written(
    book: SettlementBook,
) -> None:
    for _ in range(2):
        await book.begin(
            New("S1", "outpatient", "d1", {"total": Decimal("36"), "of": [Decimal("1.50")]}, NOW)
        )


@pytest.mark.parametrize("journal_url", ["postgresql"], indirect=True)
async def test_what_ends_while_it_is_being_taken_is_not_taken(book: SettlementBook, journal_url: str) -> None:
    await book.begin(New("S1", "outpatient", "d1", {}, NOW))
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND %s = ANY(pg_blocking_pids(pid))"
    with psycopg.connect(journal_url) as other, psycopg.connect(journal_url, autocommit=True) as looks:
        other.execute("UPDATE settlement SET state = 'REJECTED' WHERE number = 'S1'")
        taking = asyncio.create_task(book.take("p2", NOW, NOW + 1000, 10))
        async with asyncio.timeout(30):
            while looks.execute(waiting, (other.info.backend_pid,)).fetchone() == (0,):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        other.commit()
        assert await taking == ([], [])


@pytest.mark.parametrize("journal_url", ["postgresql"], indirect=True)
async def test_who_is_refused_frees_nothing_of_a_process_that_was_quicker_with_the_same_number(
    book: SettlementBook, journal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = settlement_book(journal_url, lambda: KEYS, lambda: NOW)
    loop, locked = asyncio.get_running_loop(), book._lock

    def second(connection: Connection, new: New) -> None:
        begun = other.begin(New("S1", "outpatient", "d1", {}, NOW, ("bill:B1",)))
        asyncio.run_coroutine_threadsafe(begun, loop).result(30)
        locked(connection, new)

    try:
        await book.begin(New("S9", "outpatient", "d1", {}, NOW, ("bill:B9",)))
        monkeypatch.setattr(book, "_lock", second)
        with pytest.raises(Locked):
            await book.begin(New("S1", "outpatient", "d1", {"of": 2}, NOW, ("bill:B1", "bill:B9")))
        with pytest.raises(Locked):
            await other.begin(New("S3", "outpatient", "d1", {}, NOW, ("bill:B1",)))
    finally:
        await asyncio.to_thread(other.close)
