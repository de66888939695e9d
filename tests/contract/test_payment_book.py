"""Orders and refunds on SQLite, on PostgreSQL and in memory: what is kept, and that no more goes back than was paid."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from journal_parts import KEYS
from msgspec.structs import replace

from config.crypto import SiteKeys
from config.errors import Refused, Unreachable
from endpoints.payment.orders import Evidence, Order, Refund, RefundEvidence
from endpoints.payment.records import MOST_REFUNDS, Payments
from router.store.durable import file_beside
from router.store.payment_book import PaymentBook, payment_book
from tests.payment.memory_payments import MemoryPayments

NOW = 1_790_000_000_000
PAID = Evidence("PAID", 3650, NOW + 5000, "4200001234", {"openid": "oPlanted"})


@pytest.fixture
async def book(journal_url: str) -> AsyncIterator[PaymentBook]:
    opened = payment_book(journal_url, lambda: KEYS)
    yield opened
    opened.close()


@pytest.fixture(params=["database", "memory"])
def payments(request: pytest.FixtureRequest, book: PaymentBook) -> Payments:
    return book if request.param == "database" else MemoryPayments()


def order(number: str = "JL1", key: str = "S1/pay", fen: int = 3650, at_ms: int = NOW) -> Order:
    return Order(
        "wechat", number, key, fen, "native", at_ms, settlement="S1", facts={"code_url": "weixin://1"}
    )


def refund(number: str, fen: int, of: str = "JL1") -> Refund:
    return Refund("wechat", number, of, f"{number}/key", fen, NOW + 9000, settlement="S1", reason="退号")


async def paid(payments: Payments) -> Order:
    return await payments.seen(await payments.place(order()), PAID)


async def code_of(asked: Any) -> str:
    with pytest.raises(Refused) as said:
        await asked
    return said.value.code


async def test_an_order_is_found_by_number_key_and_the_channels_number(payments: Payments) -> None:
    await payments.place(order())
    after = await paid(payments)
    assert (after.state, after.paid_fen, after.paid_ms) == ("PAID", 3650, NOW + 5000)
    assert after.facts == {"code_url": "weixin://1", "openid": "oPlanted"}
    assert await payments.order("wechat", "JL1") == after
    assert await payments.of_key("wechat", "S1/pay") == after
    assert await payments.of_channel("wechat", "4200001234") == after
    assert await payments.order("alipay", "JL1") is None
    assert await payments.of_channel("wechat", "") is None


async def test_one_key_is_one_order_and_another_amount_under_it_is_refused(payments: Payments) -> None:
    first = await payments.place(order())
    assert await payments.place(replace(order("JL2"), at_ms=NOW + 1)) == first
    assert await code_of(payments.place(order("JL2", fen=1))) == "JL-P001"
    assert await code_of(payments.place(order("JL1", "S2/pay"))) == "JL-P001"


async def test_no_refund_of_what_was_not_paid_nor_of_more_than_that(payments: Payments) -> None:
    await payments.place(order())
    assert await code_of(payments.give_back(refund("R1", 100))) == "JL-P002"
    assert await code_of(payments.give_back(refund("R1", 100, "JL9"))) == "JL-P009"
    await paid(payments)
    assert await code_of(payments.give_back(refund("R1", 3651))) == "JL-P003"
    assert await code_of(payments.give_back(refund("R1", 0))) == "JL-P003"
    first = await payments.give_back(refund("R1", 3000))
    assert await payments.give_back(refund("R1", 3000)) == first
    assert await code_of(payments.give_back(refund("R2", 651))) == "JL-P003"
    await payments.refund_seen(first, RefundEvidence("CLOSED"))
    assert (await payments.give_back(refund("R2", 3650))).fen == 3650
    # What was refused counts no more: asked for again under its number, it is looked at like a new one.
    assert await code_of(payments.give_back(refund("R1", 3000))) == "JL-P003"


async def test_an_order_is_refunded_when_its_refunds_are(payments: Payments) -> None:
    await paid(payments)
    first = await payments.give_back(refund("R1", 650))
    second = await payments.give_back(refund("R2", 3000))
    done = RefundEvidence("SUCCESS", 650, NOW + 9500, "50000001")
    assert (await payments.refund_seen(first, done)).channel_no == "50000001"
    found = await payments.order("wechat", "JL1")
    assert found is not None
    assert found.state == "PART_REFUNDED"
    await payments.refund_seen(second, RefundEvidence("PROCESSING"))
    assert [r.number for r in await payments.open_refunds("wechat", NOW + 10_000, 9)] == ["R2"]
    await payments.refund_seen(second, RefundEvidence("SUCCESS", 3000))
    found = await payments.order("wechat", "JL1")
    assert found is not None
    assert found.state == "REFUNDED"
    assert [r.state for r in await payments.refunds("wechat", "JL1")] == ["SUCCESS", "SUCCESS"]


async def test_f48_the_51st_refund_of_an_order_is_refused(payments: Payments) -> None:
    await paid(payments)
    for at in range(MOST_REFUNDS):
        await payments.give_back(refund(f"R{at}", 1))
    assert await code_of(payments.give_back(refund("R50", 1))) == "JL-P004"


async def test_what_is_open_and_what_is_of_a_day(payments: Payments) -> None:
    for at in range(3):
        await payments.place(order(f"JL{at}", f"S{at}/pay", at_ms=NOW + at))
    await payments.seen(order("JL0"), replace(PAID, at_ms=NOW + 86_400_000))
    assert [o.number for o in await payments.open("wechat", NOW + 2, 9)] == ["JL1"]
    await payments.give_back(refund("R1", 5, "JL0"))
    day = await payments.between("wechat", NOW, NOW + 86_400_000, "", 2)
    assert [one.number for one in day] == ["JL1", "JL2"]
    day = await payments.between("wechat", NOW, NOW + 86_400_000, "JL2", 2)
    assert [one.number for one in day] == ["R1"]
    assert await payments.between("wechat", 0, NOW, "", 2) == []


async def test_f49_two_processes_that_give_back_the_same_money_do_it_once(
    journal_url: str, book: PaymentBook
) -> None:
    other = payment_book(journal_url, lambda: KEYS)
    try:
        await paid(book)
        race = [(book, "R1"), (other, "R2"), (other, "R3"), (book, "R4")]
        asked = [each.give_back(refund(number, 3650)) for each, number in race]
        ends = await asyncio.gather(*asked, return_exceptions=True)
    finally:
        other.close()
    assert sum(isinstance(end, Refund) for end in ends) == 1
    assert {end.code for end in ends if isinstance(end, Refused)} == {"JL-P003"}
    assert len(await book.refunds("wechat", "JL1")) == 1


async def test_two_processes_that_place_the_same_order_have_one(journal_url: str, book: PaymentBook) -> None:
    other = payment_book(journal_url, lambda: KEYS)
    try:
        first, second = await asyncio.gather(book.place(order()), other.place(order(at_ms=NOW + 7)))
    finally:
        other.close()
    assert first == second


def change(url: str, statement: str) -> list[tuple[Any, ...]]:
    """What somebody does behind the engine's back."""
    if url.startswith("sqlite"):
        with sqlite3.connect(file_beside(Path(url.removeprefix("sqlite:///")), "payment")) as file:
            rows = file.execute(statement).fetchall()
        file.close()
        return rows
    with psycopg.connect(url) as server:
        cursor = server.execute(statement)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []


async def test_facts_are_sealed_and_a_changed_amount_does_not_open(
    journal_url: str, book: PaymentBook
) -> None:
    await paid(book)
    await book.give_back(refund("R1", 650))
    rows = [row for t in ("order", "refund") for row in change(journal_url, f"SELECT * FROM payment_{t}")]
    sealed = b"".join(bytes(v) for row in rows for v in row if isinstance(v, bytes | memoryview))
    assert b"oPlanted" not in sealed
    assert "退号".encode() not in sealed
    change(journal_url, "UPDATE payment_order SET paid_fen = 365000")
    assert await code_of(book.order("wechat", "JL1")) == "JL-P023"
    assert await code_of(book.give_back(refund("R2", 100_000))) == "JL-P023"


async def test_rows_of_another_site_key_do_not_open(journal_url: str, book: PaymentBook) -> None:
    await paid(book)
    strange = payment_book(journal_url, lambda: SiteKeys(b"another site key"))
    none = payment_book("", lambda: KEYS)
    try:
        with pytest.raises(Unreachable, match="JL-P021"):
            await strange.order("wechat", "JL1")
        with pytest.raises(Unreachable, match="JL-P022"):
            await none.order("wechat", "JL1")
    finally:
        strange.close()


async def test_the_key_is_wrapped_anew_and_the_rows_are_there(journal_url: str, book: PaymentBook) -> None:
    before = await paid(book)
    new = SiteKeys(b"the newer key 16", (bytes(16),))
    again = payment_book(journal_url, lambda: new)
    try:
        assert (again.rekey(), again.rekey()) == (1, 0)
        assert await again.order("wechat", "JL1") == before
    finally:
        again.close()
