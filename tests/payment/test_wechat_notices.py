"""What WeChat Pay tells by itself: believed where it is signed and of the moment, and once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable

import pytest

from deploy.sandbox.paying import Notice
from endpoints.payment.notices import Unproved
from tests.payment.wechat_parts import (
    WechatShop,
    wechat_shop,
)


@pytest.fixture
async def shop() -> AsyncIterator[WechatShop]:
    async with wechat_shop() as made:
        yield made


async def test_a_notice_is_opened_and_moves_the_order_once(shop: WechatShop) -> None:
    made = await shop.asks("create", amount="36.50")
    shop.sandbox.pays(made["order"])
    read = await shop.hears()
    assert (read["kind"], read["order"], read["amount"]) == ("paid", made["order"], "36.50")
    assert (await shop.noticed())["state"] == "PAID"
    assert (await shop.noticed())["state"] == "PAID"
    assert {told[:3] for told in shop.settled.notices} == {("S1", "paid", "OK")}


async def test_f19_money_for_what_was_closed_goes_back(shop: WechatShop) -> None:
    made = await shop.asks("create", amount="36.50")
    await shop.asks("close", direction="undo")
    shop.sandbox.books.orders[made["order"]].state = "NOTPAY"  # it was quicker there
    shop.sandbox.pays(made["order"])
    assert (await shop.noticed())["state"] == "PAID_AFTER_CLOSE"
    await shop.noticed()
    ((name, asked),) = shop.settled.begun
    assert (name, asked["amount"]) == ("payment-return", "36.50")
    back = await shop.asks("refund", f"{asked['number']}/refund", order=asked["order"])
    assert (back["outcome"], shop.sandbox.books.received) == ("OK", 0)


async def test_f23_a_notice_of_another_amount_says_a_doubt(shop: WechatShop) -> None:
    made = await shop.asks("create", amount="36.50")
    shop.sandbox.pays(made["order"], 3600)
    await shop.noticed()
    assert "36.00 was paid of 36.50" in shop.settled.notices[0][3]["doubt"]


def _probe(headers: dict[str, str]) -> None:
    headers["wechatpay-signature"] = "WECHATPAY/SIGNTEST/" + headers["wechatpay-signature"]


def _other_key(headers: dict[str, str]) -> None:
    headers["wechatpay-serial"] = "PUB_KEY_ID_0999999999"


def _other_time(headers: dict[str, str]) -> None:
    headers["wechatpay-timestamp"] = str(int(headers["wechatpay-timestamp"]) + 1)


def _other_kind(headers: dict[str, str]) -> None:
    headers["wechatpay-signature-type"] = "WECHATPAY2-SM2-WITH-SM3"


def _none(headers: dict[str, str]) -> None:
    headers.clear()


@pytest.mark.parametrize("spoil", [_probe, _other_key, _other_time, _other_kind, _none])
async def test_f22_a_notice_that_wechat_did_not_sign_is_none(
    shop: WechatShop, spoil: Callable[[dict[str, str]], None]
) -> None:
    made = await shop.asks("create", amount="36.50")
    shop.sandbox.pays(made["order"])
    notice = shop.sandbox.notices[0]
    headers = {name.lower(): value for name, value in shop.sandbox.headers_of(notice).items()}
    assert shop.door.understood(dict(headers), notice.body)
    spoil(headers)
    with pytest.raises(Unproved, match="JL-P101"):
        shop.door.understood(headers, notice.body)


async def test_f22_a_signed_notice_is_not_believed_five_minutes_later(shop: WechatShop) -> None:
    made = await shop.asks("create", amount="36.50")
    shop.sandbox.pays(made["order"])
    notice = shop.sandbox.notices[0]
    headers = {name.lower(): value for name, value in shop.sandbox.headers_of(notice).items()}
    shop.clock.at += 301
    with pytest.raises(Unproved, match="JL-P102"):
        shop.door.understood(headers, notice.body)
    assert await shop.hears()  # sent again, it is signed anew


async def test_a_signed_notice_of_another_merchant_or_of_nothing_we_know_is_none(shop: WechatShop) -> None:
    def signed(notice: Notice) -> dict[str, str]:
        return {name.lower(): value for name, value in shop.sandbox.headers_of(notice).items()}

    for event, tree in (
        ("TRANSACTION.SUCCESS", {"mchid": "1900000009"}),
        ("TRANSACTION.SUCCESS", {"mchid": "1900000001", "trade_state": "NOTPAY"}),
        ("COUPON.USE", {"mchid": "1900000001"}),
    ):
        notice = shop.sandbox.notice(event, "transaction", tree, "JL1", "http://127.0.0.1:9/")
        with pytest.raises(Unproved, match="JL-P104"):
            shop.door.understood(signed(notice), notice.body)
    made = await shop.asks("create", amount="36.50")
    shop.sandbox.pays(made["order"])
    nameless = {**json.loads(shop.sandbox.notices[0].body), "id": ""}
    notice = Notice("", "", json.dumps(nameless).encode())
    with pytest.raises(Unproved, match="JL-P104"):
        shop.door.understood(signed(notice), notice.body)
    notice = Notice(
        "", "", b'{"resource": {"algorithm": "AEAD_AES_256_GCM", "ciphertext": "AA==", "nonce": "1"}}'
    )
    with pytest.raises(Unproved, match="JL-P103"):
        shop.door.understood(signed(notice), notice.body)
