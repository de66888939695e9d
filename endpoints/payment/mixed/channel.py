"""Orders of /v3/med-ins/: the mixed order over the cash order of WeChat Pay that has the same out_trade_no."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Protocol

from config.errors import Refused
from endpoints.payment.channel import PaymentChannel
from endpoints.payment.mixed.asked import Institution, body_of
from endpoints.payment.mixed.states import States, states_of, together
from endpoints.payment.orders import Evidence, Order, OrderState, Refund, RefundEvidence
from endpoints.payment.wechat.wire import Heard

CHINA = timezone(timedelta(hours=8))
EXISTS, PASSWORD_PASSED = "268512536", "268560650"
_NUMBER = re.compile(r"\b268\d{6}\b")
_AMOUNTS = {
    "total": "total_fee",
    "gov": "med_ins_gov_fee",
    "self": "med_ins_self_fee",
    "other": "med_ins_other_fee",
    "cash": "wechat_pay_cash_fee",
}
_STATES: Mapping[str, OrderState] = {
    "PAID": "PAID",
    "OPEN": "PAYING",
    "CASH": "PAYING",  # what is there goes back: the party does that
    "INSURANCE": "FAILED",  # no cash; the insurance's half goes back at the payment centre (MP-6203)
    "NOTHING": "FAILED",
    "REFUNDED": "REFUNDED",
    "UNKNOWN": "UNKNOWN",
}


class Wire(Protocol):
    """Signed requests to WeChat Pay. Raises Unreachable where one never left."""

    async def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, serial: str = ""
    ) -> Heard: ...


class MixedChannel:
    """`cash` is the merchant's WeChat Pay: it makes, closes and refunds the cash half."""

    def __init__(
        self,
        wire: Wire,
        cash: PaymentChannel,
        us: Institution,
        seal: Callable[[str], tuple[str, str]],
        now_s: Callable[[], float],
        partner: str = "",
    ) -> None:
        self._wire = wire
        self._cash = cash
        self._us = us
        self._seal = seal
        self._now_s = now_s
        self._partner = partner  # sub_mchid, where the merchant is a service provider's

    async def create(self, order: Order, asked: Mapping[str, Any]) -> Evidence:
        """Raises Refused for what would not be taken, before anything leaves."""
        serials: set[str] = set()
        body = body_of(order, asked, self._us, lambda text: self._sealed(text, serials))
        facts: dict[str, Any] = {}
        prepay: dict[str, Any] = {}
        if order.fen:
            cash = await self._cash.create(order, asked)
            if cash.state != "PREPAID":
                return cash
            facts, prepay = dict(cash.facts), dict(cash.facts.get("prepay") or {})
            body["prepay_id"] = str(cash.facts.get("prepay_id") or "")
        if self._partner:
            body["sub_mchid"] = self._partner
        heard = await self._wire.ask("POST", "/v3/med-ins/orders", body, "".join(serials))
        if heard.done and heard.tree.get("mix_trade_no"):
            mix = str(heard.tree["mix_trade_no"])
            facts |= {"prepay": {**prepay, "mixTradeNo": mix}, "mix_trade_no": mix}
            return Evidence("PREPAID", channel_no=mix, facts=facts)
        code, text = _said(heard)
        if code == EXISTS:
            return await self._there(order, facts)
        if heard.refused:
            if order.fen:
                await self._cash.close(order)  # nobody was given its prepay_id
            return Evidence("FAILED", code=code, text=text)
        return Evidence("UNKNOWN", code=code, text=text)

    async def _there(self, order: Order, known: Mapping[str, Any]) -> Evidence:
        """It was made before: by its own number, and with the same mix_trade_no."""
        seen = await self.query(order)
        if seen.state == "PAYING" and seen.channel_no and not seen.facts.get("half"):
            prepay = {**(known.get("prepay") or {}), "mixTradeNo": seen.channel_no}
            facts = {**known, **seen.facts, "prepay": prepay, "mix_trade_no": seen.channel_no}
            return Evidence("PREPAID", channel_no=seen.channel_no, facts=facts)
        return seen

    async def pay(self, order: Order, asked: Mapping[str, Any]) -> Evidence:
        return Evidence(
            "FAILED", text="a mixed order is paid by the patient's telephone 医保混合支付无付款码方式"
        )

    async def query(self, order: Order) -> Evidence:
        heard = await self.show(order)
        if heard.done and heard.tree.get("out_trade_no") != order.number:
            return Evidence("UNKNOWN", code="JL-P104", text="it is about another order 应答与订单不符")
        if heard.done:
            return evidence_of(heard.tree)
        code, text = _said(heard)
        return Evidence("ABSENT" if heard.status == 404 else "UNKNOWN", code=code, text=text)

    async def show(self, order: Order) -> Heard:
        """The order as WeChat has it."""
        by = f"mix-trade-no/{order.channel_no}" if order.channel_no else f"out-trade-no/{order.number}"
        return await self._wire.ask("GET", f"/v3/med-ins/orders/{by}{self._sub('?')}")

    async def close(self, order: Order) -> Evidence:
        """By its cash order. One without cash is CLOSED for us: it is ended at the insurance (MP-6401, MP-6203)."""
        if not order.fen:
            seen = await self.query(order)
            return Evidence("CLOSED") if seen.state in ("PAYING", "ABSENT") else seen
        closed = await self._cash.close(order)
        if closed.state == "CLOSED":
            return closed
        seen = await self.query(order)
        if PASSWORD_PASSED in f"{closed.code} {closed.text}" and seen.state == "PAYING":
            text = "the patient has given the password: it will be paid, or fail 用户已输入密码，只能等待"
            return Evidence("PAYING", facts=seen.facts, code=PASSWORD_PASSED, text=text)
        return closed if seen.state in ("ABSENT", "PAYING") else seen

    async def reverse(self, order: Order) -> Evidence:
        return await self.close(order)

    async def refund(self, order: Order, refund: Refund) -> RefundEvidence:
        return await self._cash.refund(order, refund)

    async def query_refund(self, order: Order, refund: Refund) -> RefundEvidence:
        return await self._cash.query_refund(order, refund)

    async def tell(self, mix: str, refund_no: str, amounts: Mapping[str, int]) -> Heard:
        """The insurance's half was given back (医保退款通知): fen of gov, self and other."""
        body: dict[str, Any] = {
            "med_refund_total_fee": sum(amounts.values()),
            "med_refund_gov_fee": amounts["gov"],
            "med_refund_self_fee": amounts["self"],
            "med_refund_other_fee": amounts["other"],
            "refund_time": f"{datetime.fromtimestamp(self._now_s(), CHINA):%Y-%m-%dT%H:%M:%S}+08:00",
            "out_refund_no": refund_no,
        }
        if self._partner:
            body["sub_mchid"] = self._partner
        return await self._wire.ask("POST", f"/v3/med-ins/refunds/notify?mix_trade_no={mix}", body)

    def _sealed(self, text: str, serials: set[str]) -> str:
        try:
            sealed, serial = self._seal(text)
        except ValueError as error:
            raise Refused("JL-P301", str(error)) from None
        serials.add(serial)
        return sealed

    async def bill(self, day: str) -> bytes | None:
        return await self._cash.bill(day)

    async def close_connections(self) -> None:
        await self._cash.close_connections()

    def _sub(self, mark: str) -> str:
        return f"{mark}sub_mchid={self._partner}" if self._partner else ""


def evidence_of(tree: Mapping[str, Any]) -> Evidence:
    """Of a query's answer, or of a notice's plain text."""
    states = states_of(tree)
    what = together(states)
    amounts = {ours: fen_in(tree, theirs) for ours, theirs in _AMOUNTS.items()}
    if min(amounts.values()) < 0:
        return Evidence("UNKNOWN", code="JL-P104", text="amounts that are none 应答金额无效")
    half = what if what in ("CASH", "INSURANCE") else ""
    return Evidence(
        _STATES[what],
        fen=amounts["cash"] if what in ("PAID", "REFUNDED") else 0,
        at_ms=_ms(tree.get("paid_time")),
        channel_no=str(tree.get("mix_trade_no") or ""),
        facts={"half": half, "states": _shown(states), "amounts": amounts},
        code=str(tree.get("mix_pay_status") or ""),
        text=_TEXTS.get(what, ""),
    )


_TEXTS: Mapping[str, str] = {
    "CASH": "the cash was paid and the insurance failed 自费已付，医保失败",
    "INSURANCE": "the insurance was settled and the cash failed 医保已结，自费失败",
    "NOTHING": "neither half was paid: take a new settlement number 支付失败，请换号重新下单",
}


def fen_in(tree: Mapping[str, Any], name: str) -> int:
    """0 where it is not said, -1 where it is no amount."""
    value = tree.get(name)
    if value is None:
        return 0
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else -1


def _shown(states: States) -> dict[str, str]:
    return {"mix": states.mix, "cash": states.cash, "insurance": states.insurance}


def _said(heard: Heard) -> tuple[str, str]:
    """WeChat's own number where it says one, and its words."""
    code, text = str(heard.tree.get("code") or ""), str(heard.tree.get("message") or "")
    number = _NUMBER.search(f"{code} {text} {heard.tree.get('detail') or ''}")
    return (number[0] if number else code or f"http-{heard.status}"), text[:200]


def _ms(time: Any) -> int:
    try:
        return int(datetime.fromisoformat(str(time)).timestamp() * 1000) if time else 0
    except ValueError:
        return 0
