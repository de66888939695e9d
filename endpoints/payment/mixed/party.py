"""What settlements ask of mixed orders, beyond what they ask of any payment channel.

| asked | as | means |
|---|---|---|
| number | do, at the beginning | the order's number, before there is an order: what its undo, `told`, will be about |
| create | do | as elsewhere; `number` as it was given |
| reverse | undo of create | no cash is left: closed, or what was paid given back |
| told | do, or undo of number | WeChat hears that the insurance's half went back; after MP-6203 |
| numbered | ask of number | |
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec.structs import replace

from config.errors import Refused
from endpoints.payment import noticed
from endpoints.payment.mixed.amounts import amounts_of
from endpoints.payment.mixed.asked import order_type_of
from endpoints.payment.mixed.channel import MixedChannel, fen_in
from endpoints.payment.mixed.states import states_of
from endpoints.payment.numbers import number_of, yuan_of
from endpoints.payment.orders import OVER, RECEIVED, Evidence, Order
from endpoints.payment.party import Asked, PaymentParty
from endpoints.payment.told import absent, shown
from endpoints.payment.wechat.wire import Heard
from schemas.json import Json
from schemas.message import Receipt

_JSON = Json()
_NUMBER = re.compile(r"JL[0-9A-F]{26}")
Headers = Mapping[str, str]


class MixedParty(PaymentParty):
    """An order's `fen` is its cash alone: that is what WeChat holds, refunds and writes into its bill."""

    @property
    def mixed(self) -> MixedChannel:
        assert isinstance(self.channel, MixedChannel), "the channel of this kind"
        return self.channel

    async def ask(self, operation: str, asked: Asked, headers: Headers) -> Receipt:
        own: Mapping[str, Callable[[Asked, Headers], Awaitable[Receipt]]] = {
            "number": self._number,
            "numbered": self._numbered,
            "told": self._told,
            "noticed": self._noticed,
        }
        if operation in own:
            return await own[operation](asked, headers)
        return await super().ask(operation, asked, headers)

    async def _number(self, asked: Asked, headers: Headers) -> Receipt:
        return _answer("OK", order=number_of(self.system, _key(asked, headers)))

    async def _noticed(self, asked: Asked, headers: Headers) -> Receipt:
        """A notice of either half, or of both, is an occasion to ask for all three states."""
        if asked.get("kind") != "paid":
            return await super().ask("noticed", asked, headers)
        number = str(asked.get("order") or "")
        order = await self.payments.order(self.system, number)
        if order is None:
            raise Refused("JL-P030", f"a notice of {number[:40]!r}, which is no order 通知的支付单不存在")
        noticed.same_merchant(order, asked)
        over = order.state in OVER
        seen = await self.channel.query(order)
        order = await self.payments.seen(order, seen)
        if over and (seen.facts.get("states") or {}).get("cash") == "SUCCESS":  # cash came after the end
            order = await self.payments.seen(order, Evidence("PAID", order.fen, self.now_ms()))
        await noticed.follow(self, order)
        return _answer("OK", order=order.number, state=order.state)

    def tree_of(self, order: Order) -> dict[str, Any]:
        return {**super().tree_of(order), **_split(order)}

    async def _numbered(self, asked: Asked, headers: Headers) -> Receipt:
        if headers.get("about") != "undo":
            return await self._number(asked, headers)
        return await self._told(asked, headers)

    async def _placed(self, asked: Asked, headers: Headers, method: str) -> Order:
        amounts, key = amounts_of(asked), _key(asked, headers)
        order_type_of(asked)
        number = str(asked.get("number") or "") or number_of(self.system, key)
        if not _NUMBER.fullmatch(number):
            raise Refused("JL-P301", "`number` is what `number` answered 订单号无效")
        settlement = headers.get("settlement", "")
        order = Order(self.system, number, key, amounts.cash, "jsapi", self.now_ms(), settlement=settlement)
        return await self.payments.place(order)

    async def _looked(self, order: Order) -> Receipt:
        """Both halves or nothing: where one failed it is REJECTED, and what the other has goes back."""
        if order.state not in RECEIVED or order.facts.get("half"):
            seen = await self.channel.query(order)
            order = await self.payments.seen(order, seen)
            if order.facts.get("half"):
                return _with_amounts(shown(order, "REJECTED", seen), order)
            if order.state in OVER:
                return _with_amounts(shown(order, "REJECTED", seen), order)
            if order.state not in RECEIVED:
                if seen.state == "ABSENT":
                    return absent(final=False)
                return shown(order, "PROCESSING" if seen.state == "PAYING" else "UNKNOWN", seen)
        return _with_amounts(shown(order, "OK"), order)

    async def _reverse(self, asked: Asked, headers: Headers) -> Receipt:
        order = await self._known(asked, headers)
        if order is None:
            return absent()
        if order.state in OVER or order.state == "REFUNDED":
            return shown(order, "OK")
        if order.state not in RECEIVED:
            order = await self.payments.seen(order, await self.channel.query(order))
        if order.facts.get("half") == "CASH" and order.state not in RECEIVED:
            order = await self.payments.seen(order, Evidence("PAID", fen=order.fen, at_ms=self.now_ms()))
        if order.state in RECEIVED:
            return await self._refund({"order": order.number, "reason": "交易未完成"}, headers)
        if order.state in OVER:
            return shown(order, "OK")
        seen = await self.channel.close(order)
        order = await self.payments.seen(order, seen)
        return shown(order, "OK" if order.state in OVER else "UNKNOWN", seen)

    async def _refund(self, asked: Asked, headers: Headers) -> Receipt:
        order = await self._known(asked, headers)
        if order is not None and order.state in RECEIVED and not order.paid_fen:
            return shown(order, "OK")  # it was all the insurance's
        return await super()._refund(asked, headers)

    async def _told(self, asked: Asked, headers: Headers) -> Receipt:
        """OK also where the insurance has nothing, or WeChat knows it already."""
        number = str(asked.get("order") or "") or number_of(self.system, _key(asked, headers))
        order = await self.payments.order(self.system, number)
        if order is None:
            return _answer("OK")  # it was never made
        heard = await self.mixed.show(order)
        if heard.status == 404:
            return _answer("OK", order=number)
        if not heard.done:
            return _unheard(heard)
        if states_of(heard.tree).insurance != "SUCCESS":
            return _answer("OK", order=number)
        if headers.get("direction") == "probe":
            return absent()
        refunds = await self.payments.refunds(self.system, number)
        refund_no = refunds[-1].number if refunds else "R" + number_of(self.system, f"{order.key}/refund")
        fen = {ours: fen_in(heard.tree, f"med_ins_{ours}_fee") for ours in ("gov", "self", "other")}
        heard = await self.mixed.tell(str(heard.tree.get("mix_trade_no") or ""), refund_no, fen)
        return _answer("OK", order=number, refund=refund_no) if heard.done else _unheard(heard)


def _key(asked: Asked, headers: Headers) -> str:
    key = headers.get("key", "") or str(asked.get("key", ""))
    if not key:
        raise Refused("JL-P007", "an order needs a `key` 缺少幂等键")
    return key


def _unheard(heard: Heard) -> Receipt:
    text = str(heard.tree.get("message") or "")[:200]
    return _answer(
        "REJECTED" if heard.refused else "UNKNOWN", err_msg=text, code=str(heard.tree.get("code") or "")
    )


def _answer(outcome: str, **said: Any) -> Receipt:
    return Receipt(outcome, _JSON.encode({"outcome": outcome, **said}), "json")


def _with_amounts(receipt: Receipt, order: Order) -> Receipt:
    tree = _JSON.decode(receipt.answer)
    assert isinstance(tree, dict)
    return replace(receipt, answer=_JSON.encode({**tree, **_split(order)}))


def _split(order: Order) -> dict[str, Any]:
    """What each paid, in yuan, by WeChat's word: total, gov, self, other, cash; and which half stands alone."""
    amounts = order.facts.get("amounts") or {}
    split = {name: yuan_of(int(fen)) for name, fen in amounts.items()}
    return {"half": order.facts.get("half") or "", "split": split}
