"""UnionPay by its simulator: trades whose answer is no end, its day from 23:00 to 23:00, voids, refunds, reversals."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from endpoints.payment.orders import Evidence
from schemas.statements.row import Wanted
from schemas.statements.unionpay import unionpay
from tests.payment.alipay_parts import Shop
from tests.payment.unionpay_parts import MERCHANT, china, unionpay_shop

GOOD, WAITS, POOR, LOST = (f"6220000000000000{end}" for end in ("01", "51", "40", "20"))


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with unionpay_shop() as made:
        yield made


async def paid(shop: Shop, at: str = "2026-01-05 12:00:00", amount: str = "12.00") -> str:
    shop.clock.at = china(at)
    said = await shop.asks("pay", amount=amount, auth_code=GOOD)
    assert (said["outcome"], said["paid"]) == ("OK", amount)
    return str(said["order"])


def trades(shop: Shop) -> list[str]:
    """txnType of what was booked, in order; 99 of what was reversed."""
    return ["99" if one.reversed else one.kind for one in shop.sandbox.books.trades.values()]


async def test_a_payment_code_is_paid_once_a_query_shows_it(shop: Shop) -> None:
    said = await shop.asks("pay", amount="12.00", auth_code=GOOD)
    assert (said["outcome"], said["state"], said["paid"], said["txn_time"]) == (
        *("OK", "PAID", "12.00"),
        "20260105120000",
    )
    (trade,) = shop.sandbox.books.trades.values()
    assert (trade.order_id, trade.txn_time, said["channel_no"]) == (
        said["order"],
        said["txn_time"],
        trade.query_id,
    )
    assert 8 <= len(said["order"]) <= 40
    assert said["order"].isalnum()


@pytest.mark.parametrize(
    ("code", "outcome", "state"), [(WAITS, "PROCESSING", "PAYING"), (POOR, "REJECTED", "FAILED")]
)
async def test_a_payment_code_that_waits_or_fails_says_so(
    shop: Shop, code: str, outcome: str, state: str
) -> None:
    said = await shop.asks("pay", amount="12.00", auth_code=code)
    assert (said["outcome"], said["state"]) == (outcome, state)


async def test_f34_respcode_05_and_then_a_query_with_00_is_paid(shop: Shop) -> None:
    shop.sandbox.behave("query", "code", code="34", times=1)  # its books lag behind
    shop.sandbox.desk.mumbles = ["05"]
    said = await shop.asks("pay", amount="12.00", auth_code=GOOD)
    assert (said["outcome"], said["state"]) == ("PROCESSING", "PAYING")
    asked = await shop.asks("query")
    assert (asked["outcome"], asked["state"], asked["paid"]) == ("OK", "PAID", "12.00")
    assert shop.sandbox.books.received == 1200


@pytest.mark.parametrize("fault", ["cut", "half", "garbage", "page", "html", "error", "forged", "lose"])
async def test_f59_an_answer_that_nobody_can_read_is_asked_about_by_the_stored_txntime(
    shop: Shop, fault: str
) -> None:
    shop.sandbox.behave("purchase", fault, times=1)
    said = await shop.asks("pay", amount="12.00", auth_code=GOOD)
    assert said["outcome"] == (
        "UNKNOWN" if fault == "lose" else "OK"
    )  # asked at once: it shows there, or not
    shop.clock.at += 40
    asked = await shop.asks("query")
    assert asked["outcome"] == ("ABSENT" if fault == "lose" else "OK")
    assert shop.sandbox.books.received == (0 if fault == "lose" else 1200)


@pytest.mark.parametrize("fault", ["cut", "garbage", "forged"])
async def test_f59_a_query_that_nobody_can_read_leaves_it_open(shop: Shop, fault: str) -> None:
    shop.sandbox.behave("query", fault, times=1)
    said = await shop.asks("pay", amount="12.00", auth_code=GOOD)
    assert said["outcome"] == "PROCESSING"
    assert (await shop.asks("query"))["outcome"] == "OK"


async def test_f35_a_refund_at_225959_is_a_void_on_the_day_of_the_payment(shop: Shop) -> None:
    order = await paid(shop)
    shop.clock.at = china("2026-01-05 22:59:59")
    back = await shop.asks("refund", key="S1/back", order=order)
    assert back["outcome"] == "OK"
    assert trades(shop) == ["01", "31"]
    assert shop.sandbox.books.received == 0


async def test_f35_a_refund_at_230001_is_no_void_any_more(shop: Shop) -> None:
    order = await paid(shop)
    shop.clock.at = china("2026-01-05 23:00:01")
    back = await shop.asks("refund", key="S1/back", order=order)
    assert back["outcome"] == "OK"
    assert trades(shop) == ["01", "04"]
    assert shop.sandbox.books.received == 0


async def test_f35_what_was_paid_after_2300_is_voided_the_next_evening(shop: Shop) -> None:
    order = await paid(shop, at="2026-01-05 23:00:01")
    shop.clock.at = china("2026-01-06 22:59:59")
    assert (await shop.asks("refund", key="S1/back", order=order))["outcome"] == "OK"
    assert trades(shop) == ["01", "31"]


async def test_f35_a_void_lost_at_225959_is_found_after_2300_and_not_refunded_too(shop: Shop) -> None:
    order = await paid(shop)
    shop.clock.at = china("2026-01-05 22:59:59")
    shop.sandbox.behave("void", "cut", times=1)
    shop.sandbox.behave("query", "garbage", skip=1, times=1)
    assert (await shop.asks("refund", key="S1/back", order=order))["outcome"] == "UNKNOWN"
    shop.clock.at = china("2026-01-05 23:00:30")
    again = await shop.asks("refund", key="S1/back", order=order)
    assert again["outcome"] == "OK"
    assert trades(shop) == ["01", "31"]


async def test_f35_a_void_that_never_arrived_is_refunded_once_it_cannot_turn_up_any_more(shop: Shop) -> None:
    order = await paid(shop)
    shop.clock.at = china("2026-01-05 22:59:59")
    shop.sandbox.behave("void", "lose", times=1)
    assert (await shop.asks("refund", key="S1/back", order=order))["outcome"] == "UNKNOWN"
    shop.clock.at = china("2026-01-05 23:00:30")
    assert (await shop.asks("refund", key="S1/back", order=order))["outcome"] == "UNKNOWN"
    shop.clock.at = china("2026-01-05 23:04:00")
    assert (await shop.asks("refund", key="S1/back", order=order))["outcome"] == "OK"
    assert trades(shop) == ["01", "04"]
    assert (await shop.asks("refunded", key="S1/back"))["outcome"] == "OK"


async def test_a_void_that_failed_is_followed_by_a_refund_under_another_number(shop: Shop) -> None:
    order = await paid(shop)
    shop.sandbox.behave("void", "cut", times=1)
    shop.sandbox.behave("query", "garbage", skip=1, times=1)
    said = await shop.asks("refund", key="S1/back", order=order)
    assert said["outcome"] == "UNKNOWN"
    purchase, void = shop.sandbox.books.trades.values()
    void.end, purchase.back = "51", 0  # it came to no good end after all
    assert (await shop.asks("refunded", key="S1/back"))["outcome"] == "UNKNOWN"
    again = await shop.asks("refund", key="S1/back", order=order)
    assert (again["outcome"], again["refund"]) == ("OK", said["refund"])
    assert [(one.kind, one.order_id) for one in shop.sandbox.books.of_kind("04")] == [
        ("04", f"T{said['refund']}")
    ]
    assert (await shop.asks("refunded", key="S1/back"))["outcome"] == "OK"


async def test_part_of_a_payment_is_never_voided(shop: Shop) -> None:
    order = await paid(shop)
    assert (await shop.asks("refund", key="S1/a", order=order, amount="5.00"))["outcome"] == "OK"
    assert (await shop.asks("refund", key="S1/b", order=order))["amount"] == "7.00"
    assert trades(shop) == ["01", "04", "04"]


@pytest.mark.parametrize("fault", ["cut", "garbage", "forged"])
async def test_f46_a_refund_whose_answer_was_lost_is_one_refund(shop: Shop, fault: str) -> None:
    order = await paid(shop)
    shop.sandbox.behave("refund", fault, times=1)
    shop.sandbox.behave("query", fault, times=1)
    said = await shop.asks("refund", key="S1/back", order=order, amount="5.00")
    assert said["outcome"] == "UNKNOWN"
    again = await shop.asks("refund", key="S1/back", order=order, amount="5.00")
    assert (again["outcome"], again["refund"]) == ("OK", said["refund"])
    assert shop.sandbox.books.received == 700


async def test_what_nobody_knows_is_reversed_and_not_voided(shop: Shop) -> None:
    await shop.asks("pay", amount="12.00", auth_code=WAITS)
    done = await shop.asks("reverse", direction="reverse")
    assert (done["outcome"], done["state"]) == ("OK", "REVERSED")
    assert trades(shop) == ["99"]
    assert shop.sandbox.books.received == 0


async def test_a_reversal_that_answers_04_is_made_again(shop: Shop) -> None:
    await shop.asks("pay", amount="12.00", auth_code=WAITS)
    shop.sandbox.desk.mumbles = ["04"]
    assert (await shop.asks("reverse", direction="reverse"))["outcome"] == "UNKNOWN"
    assert (await shop.asks("reverse", direction="reverse"))["outcome"] == "OK"


async def test_what_was_paid_is_reversed_by_a_void_that_is_on_record(shop: Shop) -> None:
    order = await paid(shop)
    done = await shop.asks("reverse", direction="reverse")
    assert (done["outcome"], done["state"]) == ("OK", "REFUNDED")
    assert [(one.fen, one.state) for one in await shop.payments.refunds("unionpay", order)] == [
        (1200, "SUCCESS")
    ]
    assert trades(shop) == ["01", "31"]


async def test_a_lost_payment_is_found_reversed_or_voided_but_never_left(shop: Shop) -> None:
    shop.sandbox.behave("query", "garbage", times=1)
    assert (await shop.asks("pay", amount="12.00", auth_code=LOST))["outcome"] == "PROCESSING"
    done = await shop.asks("reverse", direction="reverse")
    assert done["outcome"] == "OK"
    assert shop.sandbox.books.received == 0


async def test_news_of_a_payment_that_was_reversed_gives_nothing_back_a_second_time(shop: Shop) -> None:
    shop.sandbox.behave("query", "code", code="34", times=3)  # nobody sees the payment yet
    assert (await shop.asks("pay", amount="12.00", auth_code=LOST))["outcome"] == "PROCESSING"
    assert (await shop.asks("reverse", direction="reverse"))["state"] == "REVERSED"
    shop.sandbox.well()
    order = await shop.payments.of_key("unionpay", "S1/pay")
    assert order is not None
    late = await shop.payments.seen(order, Evidence("PAID", 1200, shop.clock.ms, "x"))
    assert late.state == "PAID_AFTER_CLOSE"
    back = await shop.asks("refund", key="RT1/back", order=order.number)
    assert (back["outcome"], back["amount"]) == ("OK", "12.00")
    assert trades(shop) == ["99"]


async def test_f16_f17_a_code_is_given_again_and_ends_by_its_time(shop: Shop) -> None:
    shop.sandbox.behave("code", "cut", times=1)
    assert (await shop.asks("create", amount="36.50"))["outcome"] == "UNKNOWN"
    made = await shop.asks("created")
    assert (made["outcome"], made["state"]) == ("OK", "PREPAID")
    assert (await shop.asks("close", direction="reverse"))["outcome"] == "UNKNOWN"
    shop.clock.at += 400
    assert (await shop.asks("close", direction="reverse"))["state"] == "CLOSED"


async def test_f18_a_code_that_was_paid_before_its_close_stays_paid(shop: Shop) -> None:
    made = await shop.asks("create", amount="36.50")
    shop.sandbox.pays(made["order"])
    closed = await shop.asks("close", direction="reverse")
    assert (closed["outcome"], closed["state"], closed["paid"]) == ("REJECTED", "PAID", "36.50")


@pytest.mark.parametrize("method", ["11", "12"])
async def test_a_shared_key_signs_with_sha256_or_sm3(method: str) -> None:
    async with unionpay_shop(secure_key="an-example-key", sign_method=method) as shop:
        assert (await shop.asks("pay", amount="12.00", auth_code=GOOD))["outcome"] == "OK"
        shop.sandbox.behave("query", "forged", times=1)
        assert (await shop.asks("refund", key="S1/b", order=await shop.number(), amount="1.00"))[
            "outcome"
        ] != "OK"


async def test_the_statement_has_each_trade_by_our_number(shop: Shop) -> None:
    order = await paid(shop)
    back = await shop.asks("refund", key="S1/back", order=order)
    await paid_again(shop)
    assert await shop.channel.bill("2026-01-05") is None  # the day is not over
    shop.clock.at = china("2026-01-06 10:00:00")
    rows = unionpay(await shop.channel.bill("2026-01-05"), Wanted("unionpay", "2026-01-05", (MERCHANT,)))
    assert {(row.kind, row.number, row.fen) for row in rows} == {
        ("PAY", order, 1200),
        ("REFUND", back["refund"], 1200),
    }


async def paid_again(shop: Shop) -> None:
    """After 23:00: it is of the next day's statement."""
    shop.clock.at = china("2026-01-05 23:30:00")
    await shop.asks("pay", key="S2/pay", amount="9.00", auth_code=GOOD)
