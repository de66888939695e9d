"""Alipay by its simulator: orders, codes, refunds, and what happens where answers are lost, wrong or no answers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from schemas.statements.alipay import alipay
from schemas.statements.row import Wanted
from tests.payment.alipay_parts import Shop, alipay_shop


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with alipay_shop() as made:
        yield made


async def test_a_code_is_paid_and_the_amount_is_the_orders(shop: Shop) -> None:
    made = await shop.asks("create", amount="36.50")
    assert (made["outcome"], made["state"], made["code_url"][:23]) == (
        "OK",
        "PREPAID",
        "https://qr.example/bax0",
    )
    assert (await shop.asks("paid"))["outcome"] == "PROCESSING"
    shop.sandbox.pays(made["order"])
    paid = await shop.asks("paid")
    assert (paid["outcome"], paid["paid"], paid["state"]) == ("OK", "36.50", "PAID")
    assert paid["channel_no"] == shop.sandbox.books.trades[made["order"]].trade_no


async def test_f16_a_code_whose_answer_was_lost_is_given_again_for_the_same_order(shop: Shop) -> None:
    shop.sandbox.behave("alipay.trade.precreate", "cut", times=1)
    assert (await shop.asks("create", amount="36.50"))["outcome"] == "UNKNOWN"
    again = await shop.asks("created")
    assert (again["outcome"], again["state"]) == ("OK", "PREPAID")
    assert list(shop.sandbox.books.trades) == [again["order"]]


async def test_f17_a_code_that_nobody_paid_is_closed_once_it_cannot_be_paid_any_more(shop: Shop) -> None:
    await shop.asks("create", amount="36.50")
    early = await shop.asks("close", direction="reverse")
    assert early["outcome"] == "UNKNOWN"  # nobody scanned it: for Alipay there is nothing to close yet
    shop.clock.at += 400
    late = await shop.asks("close", direction="reverse")
    assert (late["outcome"], late["state"]) == ("OK", "CLOSED")


async def test_a_site_may_believe_a_close_of_what_nobody_scanned() -> None:
    async with alipay_shop(unscanned="closed") as shop:
        await shop.asks("create", amount="36.50")
        assert (await shop.asks("close", direction="reverse"))["state"] == "CLOSED"


async def test_f17_a_code_that_was_scanned_and_not_paid_is_closed_at_once(shop: Shop) -> None:
    made = await shop.asks("create", amount="36.50")
    shop.sandbox.desk.scans(made["order"])
    assert (await shop.asks("close", direction="reverse"))["state"] == "CLOSED"
    assert shop.sandbox.books.trades[made["order"]].state == "TRADE_CLOSED"


async def test_f18_a_close_that_finds_it_paid_leaves_it_paid(shop: Shop) -> None:
    made = await shop.asks("create", amount="36.50")
    shop.sandbox.pays(made["order"])
    closed = await shop.asks("close", direction="reverse")
    assert (closed["outcome"], closed["state"], closed["paid"]) == ("REJECTED", "PAID", "36.50")


@pytest.mark.parametrize(
    ("code", "outcome", "state"),
    [("287600000000000001", "OK", "PAID"), ("287600000000000040", "REJECTED", "FAILED"),
     ("287600000000000051", "PROCESSING", "PAYING"), ("287600000000000020", "UNKNOWN", "UNKNOWN")],
)  # fmt: skip
async def test_a_payment_code_ends_as_alipays_code_says(
    shop: Shop, code: str, outcome: str, state: str
) -> None:
    said = await shop.asks("pay", amount="12.00", auth_code=code)
    assert (said["outcome"], said["state"]) == (outcome, state)


@pytest.mark.parametrize("fault", ["cut", "half", "garbage", "page", "html", "error", "double", "forged"])
async def test_f59_an_answer_that_nobody_can_read_is_asked_about_and_never_sent_twice(
    shop: Shop, fault: str
) -> None:
    shop.sandbox.behave("alipay.trade.pay", fault, times=1)
    said = await shop.asks("pay", amount="12.00", auth_code="287600000000000001")
    assert said["outcome"] == ("OK" if fault == "double" else "UNKNOWN")
    asked = await shop.asks("query")
    assert (asked["outcome"], asked["paid"]) == ("OK", "12.00")
    assert shop.sandbox.books.received == 1200


async def test_a_payment_that_is_not_answered_in_time_is_asked_about() -> None:
    async with alipay_shop(timeout="1s") as shop:
        shop.sandbox.behave("alipay.trade.pay", "mute", times=1)
        said = await shop.asks("pay", amount="12.00", auth_code="287600000000000001")
        assert said["outcome"] == "UNKNOWN"
        assert (await shop.asks("query"))["outcome"] == "OK"


async def test_f33_a_cancel_with_retry_flag_y_is_asked_for_again_until_it_is_done(shop: Shop) -> None:
    said = await shop.asks("pay", amount="12.00", auth_code="287600000000000020")
    assert said["outcome"] == "UNKNOWN"  # and the money was taken
    shop.clock.at += 300  # so late that "no such trade" would be believed
    shop.sandbox.retry_cancels = 2
    for _ in range(2):
        waits = await shop.asks("reverse", direction="reverse")
        assert waits["outcome"] == "UNKNOWN"
        assert shop.sandbox.books.received == 1200
    done = await shop.asks("reverse", direction="reverse")
    assert (done["outcome"], done["state"]) == ("OK", "REFUNDED")
    order = await shop.payments.order("alipay", done["order"])
    assert order is not None
    assert order.facts["action"] == "refund"
    assert shop.sandbox.books.received == 0


async def test_f33_a_cancel_of_what_was_not_paid_closes_it(shop: Shop) -> None:
    await shop.asks("pay", amount="12.00", auth_code="287600000000000051")
    shop.sandbox.retry_cancels = 1
    assert (await shop.asks("reverse", direction="reverse"))["outcome"] == "UNKNOWN"
    done = await shop.asks("reverse", direction="reverse")
    order = await shop.payments.order("alipay", done["order"])
    assert order is not None
    assert (done["outcome"], order.state, order.facts["action"]) == ("OK", "REVERSED", "close")


@pytest.mark.parametrize("lie", ["WAIT_BUYER_PAY", ""])
async def test_a_query_that_does_not_see_the_money_yet_is_no_reason_to_keep_it(shop: Shop, lie: str) -> None:
    shop.sandbox.behave("alipay.trade.pay", "cut", times=1)
    said = await shop.asks("pay", amount="12.00", auth_code="287600000000000001")
    shop.sandbox.lies[said["order"]] = lie
    assert (await shop.asks("query"))["outcome"] == ("PROCESSING" if lie else "ABSENT")
    done = await shop.asks("reverse", direction="reverse")
    assert (done["outcome"], done["state"]) == ("OK", "REFUNDED")
    assert shop.sandbox.books.received == 0


async def test_no_such_trade_right_after_a_payment_by_code_is_not_believed(shop: Shop) -> None:
    shop.sandbox.behave("alipay.trade.pay", "lose", times=1)
    await shop.asks("pay", amount="12.00", auth_code="287600000000000001")
    assert (await shop.asks("reverse", direction="reverse"))["outcome"] == "UNKNOWN"
    shop.clock.at += 200
    assert (await shop.asks("reverse", direction="reverse"))["state"] == "REVERSED"


async def test_an_answer_to_another_order_says_nothing_of_this_one(shop: Shop) -> None:
    await shop.asks("pay", amount="12.00", auth_code="287600000000000051")
    shop.sandbox.mistaken = "JLSOMEBODYELSES"
    seen = await shop.channel.query(await shop.order())
    assert seen.state == "UNKNOWN"
    assert (await shop.asks("reverse", direction="reverse"))["outcome"] == "UNKNOWN"
    said = await shop.asks("pay", key="S2/pay", amount="12.00", auth_code="287600000000000001")
    assert said["outcome"] == "UNKNOWN"
    shop.sandbox.mistaken = ""
    assert (await shop.asks("query", key="S2/pay"))["outcome"] == "OK"


async def test_a_cancel_that_comes_too_late_becomes_a_refund_that_is_on_record(shop: Shop) -> None:
    said = await shop.asks("pay", amount="12.00", auth_code="287600000000000020")
    shop.clock.at += 86_400
    done = await shop.asks("reverse", direction="reverse")
    assert (done["outcome"], done["state"]) == ("OK", "REFUNDED")
    back = await shop.payments.refunds("alipay", said["order"])
    assert [(one.fen, one.state) for one in back] == [(1200, "SUCCESS")]
    assert shop.sandbox.books.received == 0


@pytest.mark.parametrize("fault", ["cut", "garbage", "forged"])
async def test_f46_a_refund_whose_answer_was_lost_is_one_refund(shop: Shop, fault: str) -> None:
    await shop.asks("pay", amount="12.00", auth_code="287600000000000001")
    order = await shop.number()
    shop.sandbox.behave("alipay.trade.refund", fault, times=1)
    said = await shop.asks("refund", key="S1/back", order=order, amount="5.00")
    assert said["outcome"] == "UNKNOWN"
    again = await shop.asks("refund", key="S1/back", order=order, amount="5.00")  # fund_change is N now
    assert (again["outcome"], again["refund"]) == ("OK", said["refund"])
    assert [one.fen for one in shop.sandbox.books.trades[order].refunds.values()] == [500]


async def test_a_refund_is_asked_about_by_its_own_number(shop: Shop) -> None:
    await shop.asks("pay", amount="12.00", auth_code="287600000000000001")
    order = await shop.number()
    shop.sandbox.behave("alipay.trade.refund", "lose", times=1)
    await shop.asks("refund", key="S1/back", order=order, amount="5.00")
    assert (await shop.asks("refunded", key="S1/back"))["outcome"] == "ABSENT"
    await shop.asks("refund", key="S1/back", order=order, amount="5.00")
    assert (await shop.asks("refunded", key="S1/back"))["outcome"] == "OK"


async def test_the_bill_is_fetched_before_its_address_dies(shop: Shop) -> None:
    await shop.asks("pay", amount="12.00", auth_code="287600000000000001")
    back = await shop.asks("refund", key="S1/back", order=await shop.number(), amount="5.00")
    assert await shop.channel.bill("2026-01-05") is None  # the day is not over
    shop.clock.at += 86_400
    file = await shop.channel.bill("2026-01-05")
    assert file is not None
    rows = alipay(file, Wanted("alipay", "2026-01-05", ()))
    assert {(row.kind, row.number, row.fen) for row in rows} == {
        ("PAY", await shop.number(), 1200),
        ("REFUND", back["refund"], 500),
    }


async def test_gbk_is_signed_sent_and_verified_as_gbk() -> None:
    async with alipay_shop(charset="GBK", subject="门诊缴费") as shop:
        made = await shop.asks("create", amount="36.50")
        assert shop.sandbox.books.trades[made["order"]].subject == "门诊缴费"
        assert made["outcome"] == "OK"
        seen = await shop.channel.query(await shop.order())
        assert (seen.state, seen.text) == ("PREPAID", "交易不存在")  # a text in GBK, and its signature holds
