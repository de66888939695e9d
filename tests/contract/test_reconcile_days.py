"""A day's reconciliation kept on both databases: taken, compared, explained, carried over, signed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest
from journal_parts import KEYS
from recon_memory import Remembered
from recon_parts import DAY, MERCHANT, NOON, back, pay, wechat_bill

from config.errors import Refused
from router.reconcile.desk import Person, Reconciler
from router.reconcile.kept import Source
from router.store.reconcile_store import reconcile_store
from schemas.statements.row import DAY_MS, Row, begin_ms, shifted

SOURCE = Source("wechat", "wechat", (MERCHANT,))
FINANCE, HEAD = Person("100017", "finance"), Person("100018", "cashier head")
NEXT, THIRD = shifted(DAY, 1), shifted(DAY, 2)


class Site:
    def __init__(self, url: str) -> None:
        self.now_ms = begin_ms(NEXT) + 10 * 3_600_000
        self.payments = Remembered()
        self.kept = reconcile_store(url, lambda: KEYS, lambda: self.now_ms)
        self.desk = Reconciler(self.kept, self.payments, lambda: self.now_ms)  # type: ignore[arg-type]

    async def bill(self, day: str, *rows: Row) -> None:
        await self.desk.take(SOURCE, day, wechat_bill(rows))

    async def live(self, day: str = "") -> list[tuple[str, str]]:
        return [(one.cls, one.state) for one in await self.kept.items("wechat", day, "live")]


@pytest.fixture
async def site(journal_url: str) -> AsyncIterator[Site]:
    made = Site(journal_url)
    yield made
    await asyncio.to_thread(made.kept.close)


async def test_a_day_on_which_the_books_agree_is_signed_and_stays_as_it_was_signed(site: Site) -> None:
    site.payments.paid("A", 3650, NOON)
    site.payments.gone("RA", "A", 1000, NOON + 5)
    bill = [pay("A"), back("RA", "A", 1000)]
    await site.bill(DAY, *bill)
    assert await site.live() == []
    signed = await site.desk.sign("wechat", DAY, "100017", "finance", "100019")
    assert await site.kept.signature("wechat", DAY) == signed
    with pytest.raises(Refused, match="JL-Q033"):
        await site.desk.sign("wechat", DAY, "100017", "finance")
    await site.bill(DAY, *bill)  # the same again changes nothing
    with pytest.raises(Refused, match="JL-Q034"):
        await site.bill(DAY, pay("A"))
    assert await site.live() == []


async def test_F69_a_statement_that_does_not_fit_changes_nothing_and_makes_no_break(site: Site) -> None:
    site.payments.paid("A", 3650, NOON)
    body = wechat_bill([pay("A")])
    for spoiled in (
        body[:-40],
        body.replace(b"`36.50", b"`36.51", 1),
        wechat_bill([pay("A", at_ms=NOON - DAY_MS)]),
    ):
        with pytest.raises(Refused, match=r"JL-Q00[345]"):
            await site.desk.take(SOURCE, DAY, spoiled)
    with pytest.raises(Refused, match="JL-Q002"):
        await site.desk.take(SOURCE, DAY, body, "0" * 40)
    with pytest.raises(Refused, match="JL-Q010"):
        await site.desk.run("wechat", DAY)
    assert await site.kept.items() == []
    await site.bill(DAY, pay("A"))
    assert await site.live() == []


async def test_what_the_next_days_statement_shows_was_in_transit_and_explains_itself_as_cross_day(
    site: Site,
) -> None:
    late = begin_ms(NEXT) - 2000
    site.payments.paid("A", 3650, late)
    await site.bill(DAY)
    assert await site.live() == [("short", "TRANSIT")]
    await site.bill(NEXT, pay("A", at_ms=late + 5000))
    assert await site.live() == [("cross-day", "EXPLAINED")]
    assert [one.state for one in await site.kept.items("wechat", DAY, "RESOLVED")] == ["RESOLVED"]
    await site.desk.sign("wechat", DAY, "100017", "finance")
    await site.desk.sign("wechat", NEXT, "100017", "finance")


async def test_F71_what_no_statement_has_by_the_second_day_is_an_item_that_two_people_explain(
    site: Site,
) -> None:
    site.payments.paid("A", 3650, NOON)
    await site.bill(DAY)
    carried = await site.desk.sign("wechat", DAY, "100017", "finance")
    assert len(carried.carried) == 1
    site.now_ms += 2 * DAY_MS
    await site.bill(NEXT)
    await site.bill(THIRD)
    assert await site.live() == [("short", "OPEN")]
    with pytest.raises(Refused, match="JL-Q031"):
        await site.desk.sign("wechat", THIRD, "100017", "finance")
    (item,) = await site.kept.items("wechat", state="OPEN")
    for by in ([FINANCE], [FINANCE, Person("100017", "cashier head")]):
        with pytest.raises(Refused, match="JL-Q032"):
            await site.desk.explain(item.id, by, "claimed")
    await site.desk.explain(item.id, [FINANCE, HEAD], "claimed from the cashier", "receipt 7")
    await site.desk.run("wechat", DAY)
    assert await site.live() == [("short", "EXPLAINED")]
    await site.desk.sign("wechat", THIRD, "100017", "finance")
    _, events = await site.desk.show(item.id)
    assert [one.what for one in events] == ["found", "broken", "explained"]


async def test_F70_what_we_lack_is_long_and_resolved_once_the_order_shows_it(site: Site) -> None:
    await site.bill(DAY, pay("A"))
    assert await site.live() == [("long", "TRANSIT")]
    site.payments.paid("A", 3650, NOON)
    await site.desk.run("wechat", DAY)
    assert await site.live() == []
    await site.desk.run("wechat", DAY)
    first, second, third = await site.kept.runs("wechat", DAY)
    assert (first.changed, second.changed, third.changed) == (1, 1, 0)


async def test_F68_a_break_found_after_the_signature_is_a_new_item_and_nothing_signed_is_edited(
    site: Site,
) -> None:
    """An operator had said that it was paid: the ledger has it, and no order or statement does."""

    async def booked(system: str, accounts: tuple[str, ...], from_ms: int, to_ms: int) -> list[Row]:
        return [pay("S1/pay", bill="S1", at_ms=NOON)]

    await site.bill(DAY)
    signed = await site.desk.sign("wechat", DAY, "100017", "finance")
    late = Reconciler(site.kept, site.payments, lambda: site.now_ms + 2 * DAY_MS, booked)  # type: ignore[arg-type]
    await late.run("wechat", DAY)
    (item,) = await site.kept.items("wechat", state="OPEN")
    assert (item.book, item.cls, item.ours_fen) == ("ledger", "short", 3650)
    await site.bill(NEXT)
    with pytest.raises(Refused, match="JL-Q031"):
        await site.desk.sign("wechat", NEXT, "100017", "finance")
    await site.desk.explain(item.id, [FINANCE, HEAD], "was not paid", "letter 7", journal="S1/correct")
    await site.desk.sign("wechat", NEXT, "100017", "finance")
    assert await site.kept.signature("wechat", DAY) == signed


async def test_the_hiss_list_is_compared_when_it_comes_whenever_that_is(site: Site) -> None:
    site.payments.paid("A", 3650, NOON, settlement="S1")
    site.payments.paid("B", 700, NOON, settlement="S2")
    await site.bill(DAY, pay("A"), pay("B", 700))
    assert await site.live() == []
    listed = (
        "HIS流水号,支付渠道,平台订单号,原平台订单号,结算号,类型,金额,收费时间,收费员,班次,窗口,科室,业务类型,审批人,统筹支付,个人账户\n"
        f"H1,wechat,,,S1,收费,36.50,{DAY} 12:00:05,C01,早,W3,心内科,outpatient,,0,0\n合计,1,36.50\n"
    )
    site.now_ms += 2 * DAY_MS
    await site.desk.take(Source("his", "his"), DAY, listed.encode())
    (item,) = await site.kept.items("wechat", state="live")
    assert (item.book, item.cls, item.bill, item.state) == ("his", "long", "S2", "OPEN")


@pytest.mark.parametrize("journal_url", ["postgresql"], indirect=True)
async def test_a_statement_or_an_item_that_was_changed_behind_the_engines_back_does_not_pass(
    site: Site, journal_url: str
) -> None:
    await site.bill(DAY, pay("A"))
    with psycopg.connect(journal_url) as other:
        other.execute("UPDATE reconcile_item SET theirs_fen = 1")
        body = other.execute("SELECT body FROM reconcile_statement").fetchone()
    assert body is not None
    assert b"openid" not in bytes(body[0])
    (item,) = await site.kept.items()
    assert item.text.startswith("this row was changed")


def _sums(*rows: str) -> bytes:
    head = (f"day,{DAY}", "class,key,theirs,ours,third,text")
    return "\n".join([*head, *rows, f"total,{len(rows)}", ""]).encode()


async def test_sums_of_other_books_are_compared_and_a_deposit_is_the_ledgers(site: Site) -> None:
    async def deposit(admission: str, until_ms: int) -> int:
        return 50_000 if until_ms == begin_ms(NEXT) else 0

    desk = Reconciler(site.kept, site.payments, lambda: site.now_ms, deposit=deposit)  # type: ignore[arg-type]
    rows = (
        "deposit,I1,500.00,,,",
        "deposit,I2,300.00,,,",
        "cash-box,K1,9.00,9.00,8.00,",
        "bank,x,1.00,1.00,,",
    )
    await desk.take(Source("sums", "sums"), DAY, _sums(*rows))
    found = await site.kept.items("sums", DAY, "OPEN")
    assert sorted((one.cls, one.number) for one in found) == [("cash-box", "K1"), ("deposit", "I2")]
    for spoiled in (_sums(*rows)[:-9], _sums(*rows).replace(b"total,4", b"total,3")):
        with pytest.raises(Refused, match=r"JL-Q00[13]"):
            await desk.take(Source("sums", "sums"), DAY, spoiled)
    for one in found:
        await desk.explain(one.id, [FINANCE, HEAD, Person("100019", "cashier")], "recounted")
    await desk.sign("sums", DAY, "100017", "finance")
