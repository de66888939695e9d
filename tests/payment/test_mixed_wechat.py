"""Mixed orders over WeChat's own wire: signed both ways, persons sealed, the cash half in the ordinary books."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator
from typing import Any

import pytest
from alipay_parts import Clock, rsa
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from memory_payments import MemoryPayments
from mixed_parts import Centre, asked
from wechat_parts import API_KEY, APP, MERCHANT, SERIAL, Settled, merchant_keys

from deploy.sandbox.mixed.party import MixedWechat
from endpoints.base import Ground
from endpoints.payment.mixed.ends import WechatMedical, WechatMedicalNotices, WechatMedicalOptions
from endpoints.payment.notices import Unproved
from endpoints.payment.party import Rules
from endpoints.payment.wechat.options import WechatNoticeOptions
from schemas.json import Json


class Ward:
    """The simulated WeChat, and the destination and the door of kind `wechat_medical`."""

    def __init__(self) -> None:
        self.clock, self.centre, self.payments, self.settled = Clock(), Centre(), MemoryPayments(), Settled()
        known = (MERCHANT, APP, merchant_keys("rsa")[1], API_KEY)
        self.wechat = MixedWechat(*known, insurance=self.centre, now=self.clock.china, key=rsa("wechat"))

    async def start(self) -> None:
        await self.wechat.start()
        account = {"name": "mixed", "merchant": MERCHANT, "app": APP, "api_key": API_KEY}
        account |= {"wechat_keys": self.wechat.keys}
        options = WechatMedicalOptions.model_validate(
            account
            | {
                "url": self.wechat.url,
                "serial": SERIAL,
                "private_key": merchant_keys("rsa")[0],
                "city": "530100",
                "institution": "示例医院",
                "institution_no": "H99999900001",
                "callback": "http://127.0.0.1:9/notices/mixed",
            }
        )
        self.ground = Ground("mixed", now=self.clock, payments=self.payments, settle=self.settled)
        self.destination = WechatMedical(options, self.ground)
        door = WechatNoticeOptions.model_validate(account | {"path": "/notices/mixed"})
        self.door = WechatMedicalNotices(door, Ground("notices", now=self.clock))

    async def ask(
        self, operation: str, direction: str = "do", about: str = "", **said: Any
    ) -> dict[str, Any]:
        headers = {"key": "S1/order", "settlement": "S1", "direction": direction, "about": about}
        tree = Json().decode((await self.destination.party().ask(operation, said, headers)).answer)
        assert isinstance(tree, dict)
        return tree

    async def hears(self, spoil: bytes = b"") -> dict[str, Any] | None:
        (notice,) = self.wechat.notices
        headers = {name.lower(): value for name, value in self.wechat.headers_of(notice).items()}
        return await asyncio.to_thread(self.door.understood, headers, notice.body + spoil)


@pytest.fixture
async def ward() -> AsyncIterator[Ward]:
    made = Ward()
    await made.start()
    made.wechat.authorise("AUTH1")
    yield made
    await made.destination.stop()
    await made.wechat.stop()


async def test_a_mixed_order_is_placed_paid_and_told_over_the_wire(ward: Ward) -> None:
    made = await ward.ask("create", **asked())
    assert made["outcome"] == "OK", made
    assert {"mixTradeNo", "package", "paySign"} <= set(made["prepay"])
    (order,) = ward.wechat.mixed.orders.values()
    oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)
    person = order.asked["payer"]
    assert rsa("wechat").decrypt(b64decode(person["name"]), oaep).decode() == "测试"
    assert len(rsa("wechat").decrypt(b64decode(person["id_digest"]), oaep)) == 32
    ward.wechat.pays_mixed(made["order"])
    read = await ward.hears()
    assert read is not None
    assert (read["kind"], read["order"], read["amount"]) == ("paid", made["order"], "420.00")
    for _ in range(2):
        assert (await ward.ask("noticed", **read))["state"] == "PAID"
    (step, outcome, tree) = ward.settled.notices[0][1:]
    assert (step, outcome, tree["split"]["gov"]) == ("paid", "OK", "1000.00")


async def test_f22_a_notice_that_is_not_wechats_is_refused(ward: Ward) -> None:
    made = await ward.ask("create", **asked())
    ward.wechat.pays_mixed(made["order"])
    with pytest.raises(Unproved):
        await ward.hears(spoil=b" ")
    ward.clock.at += 301
    (notice,) = ward.wechat.notices
    headers = {name.lower(): value for name, value in ward.wechat.headers_of(notice).items()}
    ward.clock.at += 301
    with pytest.raises(Unproved):
        ward.door.understood(headers, notice.body)


async def test_f28_a_notice_that_never_came_is_made_good_by_the_sweep(ward: Ward) -> None:
    made = await ward.ask("create", **asked())
    ward.wechat.telling = False
    ward.wechat.pays_mixed(made["order"])
    ward.clock.at += 61
    swept = await ward.ask("sweep")
    assert (swept["orders"], swept["ended"]) == (1, 1)
    assert ward.settled.notices[0][1:3] == ("paid", "OK")


async def test_closing_after_the_password_is_refused_by_wechat_and_then_given_back(ward: Ward) -> None:
    made = await ward.ask("create", **asked())
    ward.wechat.mixed.password(made["order"])
    refused = await ward.ask("reverse", "undo", **asked())
    assert (refused["outcome"], refused["code"]) == ("UNKNOWN", "268560650")
    ward.wechat.pays_mixed(made["order"])
    assert (await ward.ask("reverse", "undo", **asked()))["outcome"] == "OK"
    assert ward.wechat.books.received == 0


async def test_f19_cash_that_came_after_the_close_goes_back_by_a_pipeline_of_its_own(ward: Ward) -> None:
    made = await ward.ask("create", **asked())
    assert (await ward.ask("reverse", "undo", **asked()))["outcome"] == "OK"
    order = ward.payments.orders[made["order"]]
    assert order.state == "CLOSED"
    ward.wechat.books.orders[order.number].state = "NOTPAY"  # WeChat had said so too early
    ward.wechat.mixed.orders[order.channel_no].failed = False
    ward.wechat.pays_mixed(order.number, insurance=False)
    party = ward.destination.party()
    party.rules = Rules(returns="payment-return")
    await party.ask("noticed", {"id": "EV1", "kind": "paid", "order": order.number}, {})
    assert ward.payments.orders[order.number].state == "PAID_AFTER_CLOSE"
    assert [name for name, _ in ward.settled.begun] == ["payment-return"]


async def test_an_answer_that_was_cut_is_the_same_mixed_order(ward: Ward) -> None:
    ward.wechat.behave("mixed", "cut", times=1)
    assert (await ward.ask("create", **asked()))["outcome"] == "UNKNOWN"
    assert (await ward.ask("created", "probe", "do", **asked()))["outcome"] == "OK"
    assert len(ward.wechat.mixed.orders) == 1


async def test_cash_that_was_paid_alone_goes_back_over_the_wire(ward: Ward) -> None:
    made = await ward.ask("create", **asked())
    ward.wechat.pays_mixed(made["order"], insurance=False)
    assert (await ward.ask("paid", "probe", "do"))["half"] == "CASH"
    assert (await ward.ask("reverse", "undo", **asked()))["outcome"] == "OK"
    assert ward.wechat.books.received == 0
