"""Alipay and UnionPay with answers lost, cut, forged and late at random, by seed: no fen is paid or given back twice,
and what our records say in the end is what the channel's books say."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from random import Random

import pytest

from endpoints.payment.orders import OVER, RECEIVED
from tests.payment.alipay_parts import Shop, alipay_shop
from tests.payment.unionpay_parts import unionpay_shop

FAULTS = ("lose", "cut", "garbage", "half", "forged", "html", "error")
ENDS = ("01", "20", "51", "40", "97")
ORDERS = 5


def shop_of(kind: str) -> AbstractAsyncContextManager[Shop]:
    return alipay_shop() if kind == "alipay" else unionpay_shop()


async def until(
    shop: Shop, outcomes: set[str], operation: str, key: str, direction: str, **asked: str
) -> str:
    """Asks again as the engine does, later each time; with the faults over in the end."""
    for turn in range(12):
        if turn == 8:
            shop.sandbox.well()
        said = await shop.asks(operation, key=key, direction=direction, **asked)
        if said["outcome"] in outcomes:
            return str(said["outcome"])
        shop.clock.at += 2**turn
    raise AssertionError(f"{operation} has no end: {said}")


async def play(shop: Shop, chance: Random) -> None:
    for number in range(ORDERS):
        for fault in FAULTS:
            shop.sandbox.behave("*", fault, share=0.06)
        key, code = f"S{number}/pay", f"28760000000000{chance.choice(ENDS):>04}"
        await shop.asks("pay", key=key, amount="12.00", auth_code=code)
        await shop.asks("pay", key=key, amount="12.00", auth_code=code)  # the same call came twice
        way = chance.choice(("reverse", "refund", "keep"))
        order = await shop.payments.of_key(shop.party.system, key)
        assert order is not None
        if way == "refund" and order.state in RECEIVED:
            part = chance.choice(("5.00", "12.00"))
            await until(shop, {"OK"}, "refund", f"{key}/back", "do", order=order.number, amount=part)
        elif way == "reverse" or order.state not in (*RECEIVED, *OVER):
            await until(shop, {"OK"}, "reverse", key, "reverse")
        shop.sandbox.well()


@pytest.mark.parametrize("kind", ["alipay", "unionpay"])
@pytest.mark.parametrize("seed", range(4))
async def test_our_records_and_the_channels_books_agree_in_the_end(kind: str, seed: int) -> None:
    async with shop_of(kind) as shop:
        shop.sandbox.misbehaviour._chance.seed(seed)
        await play(shop, Random(seed))
        held = 0
        for order in shop.payments.orders.values():
            back = sum(
                r.fen
                for r in shop.payments.given_back.values()
                if r.order == order.number and r.state == "SUCCESS"
            )
            assert order.state in (*RECEIVED, *OVER), order
            held += order.paid_fen - back if order.state in ("PAID", "PART_REFUNDED") else 0
        assert held == shop.sandbox.books.received
