"""Notices of Alipay and UnionPay: proved to the last character, in any order, as often as they come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest

from config.errors import Refused
from endpoints.base import Ground
from endpoints.payment.alipay.notices import AlipayNotices
from endpoints.payment.alipay.options import AlipayNoticeOptions
from endpoints.payment.notices import NoticeDoor, Unproved
from endpoints.payment.unionpay.notices import UnionPayNotices
from endpoints.payment.unionpay.options import UnionPayNoticeOptions
from tests.payment.alipay_parts import APP_ID, SELLER, Shop, alipay_shop
from tests.payment.unionpay_parts import MERCHANT, unionpay_shop

PATH = "/notices"
URL = "http://127.0.0.1:9/notices"  # nobody is there: the test hands the notices over


class Told:
    """A shop, its door for notices, and what the simulator would have sent."""

    def __init__(self, shop: Shop, door: NoticeDoor) -> None:
        self.shop, self.door = shop, door

    def bodies(self) -> list[bytes]:
        return [one.body for one in self.shop.sandbox.notices]

    async def hear(self, body: bytes) -> Any:
        read = self.door.understood({}, body)
        return None if read is None else await self.shop.party.ask("noticed", read, {})

    async def state(self) -> str:
        order = await self.shop.payments.of_key(self.shop.party.system, "S1/pay")
        assert order is not None
        return order.state

    def changed(self, body: bytes, **fields: str) -> bytes:
        """Signed again by the channel."""
        known = dict(parse_qsl(body.decode())) | fields
        known = {name: value for name, value in known.items() if name not in ("sign", "signature")}
        sandbox = self.shop.sandbox
        signed = sandbox.signed_notice(known) if hasattr(sandbox, "signed_notice") else sandbox.signed(known)
        return urlencode(signed).encode()

    async def paid(self) -> str:
        made = await self.shop.asks("create", amount="36.50")
        self.shop.sandbox.pays(made["order"])
        return str(made["order"])


@pytest.fixture(params=["alipay", "unionpay"])
async def told(request: pytest.FixtureRequest) -> AsyncIterator[Told]:
    if request.param == "alipay":
        async with alipay_shop(notify_url=URL) as shop:
            known: dict[str, Any] = {
                "app_id": APP_ID,
                "seller_id": SELLER,
                "public_key": shop.sandbox.public_pem,
            }
            options = AlipayNoticeOptions.model_validate(known | {"path": PATH, "name": "alipay"})
            yield Told(shop, AlipayNotices(options, Ground("notices", now=shop.clock)))
    else:
        async with unionpay_shop(notify_url=URL) as shop:
            known = {"mer_id": MERCHANT, "trusted": shop.sandbox.trusted}
            of_unionpay = UnionPayNoticeOptions.model_validate(known | {"path": PATH, "name": "unionpay"})
            yield Told(shop, UnionPayNotices(of_unionpay, Ground("notices", now=shop.clock)))


async def test_f20_a_notice_that_comes_fifteen_times_moves_the_order_once(told: Told) -> None:
    order = await told.paid()
    (body,) = told.bodies()
    for _ in range(15):
        assert (await told.hear(body)).code == "OK"
    kept = await told.shop.payments.order(told.shop.party.system, order)
    assert kept is not None
    assert (kept.state, kept.paid_fen, kept.paid_ms) == ("PAID", 3650, told.shop.clock.ms)


async def test_f21_a_refunds_notice_before_the_payments_wins(told: Told) -> None:
    order = await told.paid()
    for what in ("alipay.trade.refund", "refund"):
        told.shop.sandbox.behave(what, "cut", times=1)
    told.shop.sandbox.behave("query", "cut", skip=1, times=1)
    said = await told.shop.asks("refund", key="S1/back", order=order, amount="6.50")
    assert said["outcome"] == "UNKNOWN"  # nobody heard of it but by the notice
    pay, back = told.bodies()
    assert (await told.hear(back)).code == "OK"
    assert await told.state() == "PART_REFUNDED"
    assert (await told.hear(pay)).code == "OK"
    assert await told.state() == "PART_REFUNDED"


async def test_f22_what_is_not_proved_moves_nothing(told: Told) -> None:
    await told.paid()
    (body,) = told.bodies()
    fields = dict(parse_qsl(body.decode()))
    amount = "total_amount" if "total_amount" in fields else "txnAmt"
    wrong = (
        urlencode({**fields, amount: "1"}),
        urlencode({name: value for name, value in fields.items() if name not in ("sign", "signature")}),
        urlencode({**fields, "more": "x"}),
        f"{body.decode()}&{amount}=1",
        "",
        "%ff%fe=1",
        "{}",
    )
    for one in wrong:
        with pytest.raises(Unproved):
            await told.hear(one.encode())
    with pytest.raises(Unproved):
        await told.hear(b"\xff\xfe\x00")
    assert await told.state() == "PREPAID"


async def test_f23_another_amount_is_kept_as_it_was_paid_and_doubted(told: Told) -> None:
    await told.paid()
    (body,) = told.bodies()
    amount = "total_amount" if b"total_amount" in body else "txnAmt"
    await told.hear(told.changed(body, **{amount: "36.40" if amount == "total_amount" else "3640"}))
    shown = await told.shop.asks("paid")
    assert (shown["paid"], shown["amount"]) == ("36.40", "36.50")
    assert "支付金额不符" in shown["doubt"]


async def test_f24_a_notice_of_an_order_that_nobody_knows_is_a_dead_letter(told: Told) -> None:
    await told.paid()
    (body,) = told.bodies()
    number = "out_trade_no" if b"out_trade_no" in body else "orderId"
    with pytest.raises(Refused) as said:
        await told.hear(told.changed(body, **{number: "JLSOMEBODYELSES"}))
    assert said.value.code == "JL-P030"


async def test_a_notice_to_another_merchant_is_refused_though_it_is_signed(told: Told) -> None:
    await told.paid()
    (body,) = told.bodies()
    others = {"seller_id": "2088000000000099", "app_id": "2021000000000099", "merId": "777290000000099"}
    for name, other in others.items():
        if name.encode() in body:
            with pytest.raises(Unproved):
                await told.hear(told.changed(body, **{name: other}))


async def test_f19_money_for_a_closed_order_is_seen_as_that(told: Told) -> None:
    made = await told.shop.asks("create", amount="36.50")
    told.shop.clock.at += 400
    assert (await told.shop.asks("close", direction="reverse"))["state"] == "CLOSED"
    told.shop.clock.at -= 400  # it was paid in time, and the news was late
    for one in told.shop.sandbox.books.trades.values():
        setattr(one, "state" if hasattr(one, "state") else "end", "")
    told.shop.sandbox.pays(made["order"])
    (body,) = told.bodies()
    with pytest.raises(Refused) as said:
        await told.hear(body)
    assert said.value.code == "JL-P034"  # no pipeline is named that gives it back
    assert await told.state() == "PAID_AFTER_CLOSE"
