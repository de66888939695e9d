"""WeChat Pay by its simulator: orders, payment codes, refunds, bills, and answers that are lost or wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from config.errors import Refused, Unreachable
from schemas.statements.forms import FORMS
from schemas.statements.row import Wanted
from tests.payment.alipay_parts import Clock
from tests.payment.wechat_parts import (
    API_KEY,
    APP,
    WechatShop,
    number,
    simulator,
    wechat_options,
    wechat_shop,
)

PAYS, WRONG, OLD, ASKS, TIMEOUT = (f"1300000000000000{end}" for end in ("01", "40", "41", "51", "20"))


@pytest.fixture
async def shop() -> AsyncIterator[WechatShop]:
    async with wechat_shop() as made:
        yield made


async def test_a_native_order_is_paid_and_the_amount_is_the_orders(shop: WechatShop) -> None:
    made = await shop.asks("create", amount="36.50")
    assert (made["outcome"], made["state"]) == ("OK", "PREPAID")
    assert made["code_url"].startswith("weixin://")
    assert (await shop.asks("paid"))["outcome"] == "PROCESSING"
    assert shop.sandbox.pays(made["order"])
    paid = await shop.asks("paid")
    known = shop.sandbox.books.orders[made["order"]]
    assert (paid["outcome"], paid["paid"], paid["channel_no"]) == ("OK", "36.50", known.transaction_id)


async def test_what_a_mini_program_calls_the_cashier_with_is_signed_by_the_merchant(shop: WechatShop) -> None:
    made = await shop.asks("create", amount="36.50", method="jsapi", openid="oPayer")
    prepay = made["prepay"]
    text = f"{APP}\n{prepay['timeStamp']}\n{prepay['nonceStr']}\n{prepay['package']}\n"
    assert prepay["package"] == f"prepay_id={made['prepay_id']}"
    assert (
        shop.channel.wire.signing.signed(text.encode()) == prepay["paySign"]
    )  # PKCS #1 v1.5 has no chance in it
    assert (await shop.asks("create", "S2/pay", amount="1.00", method="h5"))["pay_url"].startswith("https://")
    app = await shop.asks("create", "S3/pay", amount="1.00", method="app")
    assert app["prepay"]["package"] == "Sign=WXPay"


async def test_what_cannot_be_asked_for_leaves_nothing_at_wechat(shop: WechatShop) -> None:
    for asked in ({"method": "jsapi"}, {"method": "cheque"}):
        with pytest.raises(Refused, match="JL-P105"):
            await shop.asks("create", f"{asked['method']}/pay", amount="1.00", **asked)
    assert shop.sandbox.books.orders == {}


@pytest.mark.parametrize("fault", ["cut", "half", "garbage", "page", "html", "error", "forged"])
async def test_f16_f59_a_code_whose_answer_was_lost_is_given_again_for_the_same_order(
    shop: WechatShop, fault: str
) -> None:
    shop.sandbox.behave("native", fault, times=1)
    assert (await shop.asks("create", amount="36.50"))["outcome"] == "UNKNOWN"
    again = await shop.asks("created", about="do", direction="probe")
    assert (again["outcome"], again["state"]) == ("OK", "PREPAID")
    assert list(shop.sandbox.books.orders) == [again["order"]]


async def test_f17_an_order_that_nobody_pays_is_closed_and_can_be_paid_no_more(shop: WechatShop) -> None:
    made = await shop.asks("create", amount="36.50")
    assert (await shop.asks("close", direction="undo"))["state"] == "CLOSED"
    assert not shop.sandbox.pays(made["order"])


async def test_f18_a_close_that_finds_it_paid_leaves_it_paid(shop: WechatShop) -> None:
    made = await shop.asks("create", amount="36.50")
    shop.sandbox.pays(made["order"])
    closed = await shop.asks("close", direction="reverse")
    assert (closed["outcome"], closed["state"], closed["paid"]) == ("REJECTED", "PAID", "36.50")


async def test_an_order_that_never_came_there_is_closed_once_it_cannot_come_any_more(
    shop: WechatShop,
) -> None:
    shop.sandbox.behave("native", "lose", times=1)
    assert (await shop.asks("create", amount="36.50"))["outcome"] == "UNKNOWN"
    assert (await shop.asks("close", direction="undo"))["outcome"] == "UNKNOWN"
    shop.clock.at += 120
    assert (await shop.asks("close", direction="undo"))["state"] == "CLOSED"


async def test_a_create_that_is_refused_is_no_order(shop: WechatShop) -> None:
    shop.sandbox.behave("native", "code", code="PARAM_ERROR", times=1)
    made = await shop.asks("create", amount="36.50")
    assert (made["outcome"], made["state"], made["code"]) == ("REJECTED", "FAILED", "PARAM_ERROR")


async def test_a_create_that_is_refused_because_an_earlier_one_was_taken_is_not_said_to_be_none(
    shop: WechatShop,
) -> None:
    shop.sandbox.behave("native", "cut", times=1)
    await shop.asks("create", amount="36.50")
    shop.sandbox.behave("native", "code", code="INVALID_REQUEST", times=1)
    assert (await shop.asks("created"))["outcome"] == "UNKNOWN"
    shop.sandbox.pays(await number(shop))
    assert (await shop.asks("created"))["state"] == "PAID"


async def test_a_refusal_of_our_own_signature_is_no_evidence_of_an_order(shop: WechatShop) -> None:
    made = await shop.asks("create", amount="36.50")
    shop.sandbox.pays(made["order"])
    shop.sandbox.behave("*", "code", code="SIGN_ERROR")
    assert (await shop.asks("paid"))["outcome"] == "UNKNOWN"
    assert (await shop.asks("close"))["outcome"] == "UNKNOWN"
    shop.sandbox.well()
    assert (await shop.asks("paid"))["outcome"] == "OK"


@pytest.mark.parametrize(
    ("code", "outcome", "state"),
    [
        (PAYS, "OK", "PAID"),
        (WRONG, "REJECTED", "FAILED"),
        (OLD, "REJECTED", "FAILED"),
        (ASKS, "PROCESSING", "PAYING"),
        (TIMEOUT, "UNKNOWN", "UNKNOWN"),
    ],
)
async def test_a_payment_code_ends_as_wechat_says(
    shop: WechatShop, code: str, outcome: str, state: str
) -> None:
    said = await shop.asks("pay", amount="12.00", auth_code=code)
    assert (said["outcome"], said["state"]) == (outcome, state)
    assert shop.sandbox.books.received == (1200 if code in (PAYS, TIMEOUT) else 0)


@pytest.mark.parametrize("fault", ["cut", "half", "garbage", "page", "html", "error", "double", "forged"])
async def test_f59_a_payment_whose_answer_nobody_can_read_is_asked_about_and_never_sent_twice(
    shop: WechatShop, fault: str
) -> None:
    shop.sandbox.behave("codepay", fault, times=1)
    said = await shop.asks("pay", amount="12.00", auth_code=PAYS)
    assert said["outcome"] == ("OK" if fault == "double" else "UNKNOWN")
    await shop.asks("pay", amount="12.00", auth_code=PAYS)
    asked = await shop.asks("query")
    assert (asked["outcome"], asked["paid"]) == ("OK", "12.00")
    assert shop.sandbox.books.received == 1200


async def test_f31_a_payment_that_waits_for_the_password_is_reversed_not_before_15_seconds(
    shop: WechatShop,
) -> None:
    await shop.asks("pay", amount="12.00", auth_code=ASKS)
    early = await shop.asks("reverse", direction="reverse")
    assert (early["outcome"], early["code"]) == ("UNKNOWN", "JL-P106")
    shop.clock.at += 30
    assert (await shop.asks("query"))["outcome"] == "PROCESSING"
    done = await shop.asks("reverse", direction="reverse")
    assert (done["outcome"], done["state"]) == ("OK", "REVERSED")
    assert not shop.sandbox.pays(done["order"])


async def test_f32_a_reverse_that_answers_system_error_five_times_is_reversed_at_last(
    shop: WechatShop,
) -> None:
    await shop.asks("pay", amount="12.00", auth_code=TIMEOUT)
    shop.sandbox.behave("reverse", "code", code="SYSTEM_ERROR", times=5)
    shop.clock.at += 30
    said = [(await shop.asks("reverse", direction="reverse"))["outcome"] for _ in range(6)]
    assert said == ["UNKNOWN"] * 5 + ["OK"]
    assert shop.sandbox.books.received == 0  # it had been charged, and went back


async def test_a_scan_order_that_is_to_be_reversed_and_was_paid_is_refunded(shop: WechatShop) -> None:
    made = await shop.asks("create", amount="36.50")
    shop.sandbox.pays(made["order"])
    assert (await shop.asks("reverse", direction="reverse"))["outcome"] == "OK"
    assert shop.sandbox.books.received == 0


async def test_f60_a_query_that_lags_behind_shows_the_payment_later(shop: WechatShop) -> None:
    made = await shop.asks("create", amount="36.50")
    shop.sandbox.pays(made["order"])
    shop.sandbox.books.lies[made["order"]] = "NOTPAY"
    assert (await shop.asks("paid"))["outcome"] == "PROCESSING"
    shop.sandbox.books.lies[made["order"]] = ""
    assert (await shop.asks("paid"))["outcome"] == "ABSENT"
    shop.sandbox.books.lies.clear()
    assert (await shop.asks("paid"))["outcome"] == "OK"


async def test_an_order_that_wechat_says_is_refunded_was_paid(shop: WechatShop) -> None:
    await shop.asks("pay", amount="12.00", auth_code=PAYS)
    await shop.asks("refund", "S2/refund", order=await number(shop), amount="2.00")
    order = shop.payments.orders[await number(shop)]
    assert (order.state, shop.sandbox.books.received) == ("PART_REFUNDED", 1000)
    seen = await shop.channel.query(order)
    assert (seen.state, seen.fen) == ("PAID", 1200)


@pytest.mark.parametrize("fault", ["cut", "garbage", "page", "forged", "lose"])
async def test_f46_a_refund_whose_answer_was_lost_is_one_refund(shop: WechatShop, fault: str) -> None:
    await shop.asks("pay", amount="12.00", auth_code=PAYS)
    shop.sandbox.behave("refund", fault, times=1)
    assert (await shop.asks("refund", direction="undo"))["outcome"] == "UNKNOWN"
    asked = await shop.asks("refunded", direction="probe", about="undo")
    assert asked["outcome"] == ("ABSENT" if fault == "lose" else "OK")
    assert (await shop.asks("refund", direction="undo"))["outcome"] == "OK"
    assert shop.sandbox.books.received == 0
    assert len(shop.sandbox.books.orders[await number(shop)].refunds) == 1


async def test_f47_a_refund_that_ends_abnormal_goes_to_another_account(shop: WechatShop) -> None:
    await shop.asks("pay", amount="12.00", auth_code=PAYS)
    shop.sandbox.desk.refunds_are = "ABNORMAL"
    back = await shop.asks("refund", "S2/refund", order=await number(shop), amount="12.00")
    assert (back["outcome"], back["state"]) == ("UNKNOWN", "ABNORMAL")
    with pytest.raises(Refused, match="JL-P105"):
        await shop.asks("refund_otherwise", refund=back["refund"], to="card")
    card = {"to": "card", "bank_type": "ICBC_DEBIT", "account": "6222020000000000000", "name": "测试"}
    again = await shop.asks("refund_otherwise", refund=back["refund"], **card)
    assert (again["outcome"], again["state"]) == ("PROCESSING", "PROCESSING")
    shop.sandbox.desk.ends(back["refund"], "SUCCESS", shop.sandbox.now())
    assert (await shop.noticed(-1))["state"] == "SUCCESS"
    assert shop.sandbox.books.received == 0
    assert shop.settled.notices[-1][:3] == ("S2", "refund", "OK")


async def test_f48_what_was_paid_over_a_year_ago_is_not_asked_back(shop: WechatShop) -> None:
    await shop.asks("pay", amount="12.00", auth_code=PAYS)
    shop.clock.at += 366 * 86_400
    back = await shop.asks("refund", direction="undo")
    assert (back["outcome"], back["state"]) == ("REJECTED", "FAILED")
    assert shop.sandbox.books.received == 1200


async def test_f49_two_refunds_at_once_give_back_once(shop: WechatShop) -> None:
    await shop.asks("pay", amount="12.00", auth_code=PAYS)
    asked = [shop.asks("refund", f"S{n}/refund", order=await number(shop), amount="12.00") for n in range(4)]
    ends = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(end, dict) and end["outcome"] == "OK" for end in ends) == 1
    assert {end.code for end in ends if isinstance(end, Refused)} == {"JL-P003"}
    assert shop.sandbox.books.received == 0


async def test_f58_both_of_wechats_keys_are_good_while_they_are_changed() -> None:
    async with wechat_shop() as shop:
        old = shop.sandbox.serial
        shop.sandbox.rotate()
        assert (await shop.asks("create", amount="36.50"))[
            "outcome"
        ] == "UNKNOWN"  # a key that we were not given
        renewed = WechatShop(shop.sandbox, wechat_options(shop.sandbox), shop.clock)
        renewed.payments = renewed.party.payments = shop.payments
        assert (await renewed.asks("created"))["outcome"] == "OK"
        shop.sandbox.serial = old
        assert (await renewed.asks("paid"))["outcome"] == "PROCESSING"
        await renewed.channel.close_connections()


@pytest.mark.parametrize("method", ["native", "jsapi"])
async def test_all_of_it_goes_by_sm2_sm3_and_sm4_too(method: str) -> None:
    async with wechat_shop("sm") as shop:
        made = await shop.asks("create", amount="36.50", method=method, openid="oPayer")
        assert made["outcome"] == "OK"
        shop.sandbox.pays(made["order"])
        assert (await shop.noticed())["state"] == "PAID"
        assert (await shop.asks("refund", direction="undo"))["outcome"] == "OK"
        shop.sandbox.behave("query", "forged", times=1)
        assert (await shop.channel.query(shop.payments.orders[made["order"]])).state == "UNKNOWN"


async def test_nothing_left_where_nobody_listens_and_the_reserve_host_is_asked() -> None:
    async with wechat_shop(url="http://127.0.0.1:9") as shop:
        with pytest.raises(Unreachable, match="JL-E220"):
            await shop.asks("create", amount="36.50")
        assert [order.state for order in shop.payments.orders.values()] == ["CREATED"]
        options = wechat_options(shop.sandbox, url="http://127.0.0.1:9", reserve=shop.sandbox.url)
        other = WechatShop(shop.sandbox, options, shop.clock)
        assert (await other.asks("create", amount="36.50"))["outcome"] == "OK"
        await other.channel.close_connections()


async def test_the_bill_of_a_day_is_whole_and_reconciliation_reads_it(shop: WechatShop) -> None:
    await shop.asks("pay", amount="12.00", auth_code=PAYS)
    await shop.asks("refund", "S2/refund", order=await number(shop), amount="2.00")
    assert await shop.channel.bill("2026-01-05") is None  # the day is not over
    shop.clock.at += 86_400
    text = await shop.channel.bill("2026-01-05")
    assert text is not None
    rows = FORMS["wechat"](text, Wanted("wechat", "2026-01-05", ("1900000001",)))
    assert [(row.kind, row.fen) for row in rows] == [("PAY", 1200), ("REFUND", 200)]
    assert [row.number for row in rows] == [await number(shop), next(iter(shop.payments.given_back))]
    shop.sandbox.behave("download", "half", times=1)
    with pytest.raises(Refused, match="JL-P109"):
        await shop.channel.bill("2026-01-05")
    for fault in ("error", "page"):
        shop.sandbox.behave("download", fault, times=1)
        with pytest.raises(Refused, match=r"JL-P10[89]"):
            await shop.channel.bill("2026-01-05")
    with pytest.raises(Refused, match="JL-P105"):
        await shop.channel.bill("5 January")


async def test_a_service_providers_requests_name_both_merchants() -> None:
    async with wechat_shop(sub_merchant="1900000109") as shop:
        made = await shop.asks("create", amount="36.50", method="jsapi", openid="oPayer")
        shop.sandbox.pays(made["order"])
        assert (await shop.asks("paid"))["outcome"] == "OK"
        assert (await shop.asks("refund", direction="undo"))["outcome"] == "OK"


def test_what_is_wrong_with_a_merchants_keys_is_said_before_anything_runs() -> None:
    sandbox = simulator(Clock())
    for wrong in (
        {"api_key": "short"},
        {"wechat_keys": {"PUB_KEY_ID_1": "no key"}},
        {"wechat_keys": {}},
        {"private_key": "no key"},
        {"operation": "pau"},
        {"crypto": "sm"},
    ):
        with pytest.raises(ValueError, match=next(iter(wrong)) if "crypto" not in wrong else "wechat_keys"):
            wechat_options(sandbox, **wrong)
    shown = repr(wechat_options(sandbox))
    assert "PRIVATE" not in shown
    assert API_KEY not in shown
