"""Alipay as settlements see it: `PaymentChannel` over the gateway's methods."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec.structs import replace

from endpoints.base import Ground
from endpoints.payment.alipay import answers
from endpoints.payment.alipay.answers import told
from endpoints.payment.alipay.gateway import Ask, Gateway
from endpoints.payment.alipay.options import AlipayOptions
from endpoints.payment.giving_back import give_all_back
from endpoints.payment.numbers import yuan_of
from endpoints.payment.orders import Evidence, Order, Refund, RefundEvidence
from endpoints.payment.records import Payments
from endpoints.payment.times import at
from endpoints.rest.sending import Sending

_LAG_MS = 180_000  # for so long "no such trade" may yet turn into one
_GRACE_MS = 60_000  # after a code's end: a payment that was on its way then has arrived


def opened(options: AlipayOptions, ground: Ground) -> Alipay:
    sending = Sending(options, ground, afresh=True)
    return Alipay(options, sending.ask, ground.payments, lambda: int(ground.now() * 1000), sending.close)


class Alipay:
    def __init__(
        self,
        options: AlipayOptions,
        ask: Ask,
        payments: Payments | None,
        now_ms: Callable[[], int],
        close: Callable[[], Awaitable[None]],
    ) -> None:
        self.options = options
        self._ask = ask
        self._payments = payments
        self._now_ms = now_ms
        self._close = close

    @functools.cached_property
    def gateway(self) -> Gateway:
        """Made with the first request: keys are read then."""
        return Gateway(self.options, self._ask, self._now_ms)

    async def create(self, order: Order, asked: Mapping[str, Any]) -> Evidence:
        said = await self.gateway.call(
            "alipay.trade.precreate",
            {
                **self._what(order, asked),
                "time_expire": f"{at(self._ends_ms(order)):%Y-%m-%d %H:%M:%S}",
            },
        )
        how = answers.outcome(said)
        if how == "OK" and said.get("qr_code"):
            return told(said, "PREPAID", facts={**self._named(), "code_url": said.get("qr_code")})
        if said.sub_code in answers.ALREADY:
            return await self.query(order)
        return told(said, "FAILED" if how == "REJECTED" else "UNKNOWN")

    async def pay(self, order: Order, asked: Mapping[str, Any]) -> Evidence:
        code = str(asked.get("auth_code") or "")
        face = {"scene": "security_code"} if code.startswith("fp") else {"scene": "bar_code"}
        said = await self.gateway.call(
            "alipay.trade.pay",
            {**self._what(order, asked), **face, "auth_code": code, "timeout_express": "3m"},
        )
        seen = answers.of_pay(said) or await self.query(order)
        return replace(seen, facts={**seen.facts, **self._named()})

    async def query(self, order: Order) -> Evidence:
        """What nobody has scanned yet is no trade at Alipay: it is PREPAID until its code ends, and then CLOSED."""
        said = await self.gateway.call("alipay.trade.query", {"out_trade_no": order.number})
        how = answers.outcome(said)
        if how == "OK" and said.get("out_trade_no") == order.number:
            return answers.of_trade(said.fields, said)
        if said.sub_code not in answers.NOT_THERE:
            return told(said, "UNKNOWN")
        if order.method == "code":
            return told(said, "ABSENT")
        return told(
            said, "CLOSED" if self._over(order) else "PREPAID" if order.facts.get("code_url") else "ABSENT"
        )

    async def close(self, order: Order) -> Evidence:
        said = await self.gateway.call("alipay.trade.close", {"out_trade_no": order.number})
        if answers.outcome(said) == "OK":
            return told(said, "CLOSED", channel_no=said.get("trade_no"))
        if said.sub_code in answers.NOT_THERE:  # its code could still be scanned
            believed = self.options.unscanned == "closed" and bool(order.facts.get("code_url"))
            return told(said, "CLOSED" if believed or self._over(order) else "UNKNOWN")
        if answers.outcome(said) == "REJECTED":
            return await self.query(order)
        return told(said, "UNKNOWN")

    async def reverse(self, order: Order) -> Evidence:
        """A cancel directly after a query, as Alipay wants it. With `retry_flag` Y it is to be asked for again."""
        before = await self.query(order)
        if before.state in ("CLOSED", "REFUNDED"):
            return before
        said = await self.gateway.call("alipay.trade.cancel", {"out_trade_no": order.number})
        how = answers.outcome(said)
        if how == "OK" and said.get("retry_flag") != "Y":
            action = said.get("action")
            seen = {"facts": {"action": action}, "channel_no": said.get("trade_no")} if action else {}
            if action == "refund":
                return told(said, "REFUNDED", fen=order.fen, **seen)
            late = order.method == "code" and self._now_ms() - order.at_ms > _LAG_MS
            if action == "close" or late or self._over(order):
                return told(said, "REVERSED", **seen)
        if how == "REJECTED" and before.state == "PAID":  # too late for a cancel, not for a refund
            return await give_all_back(self, self._payments, order, before, self._now_ms())
        return told(said, "UNKNOWN")

    async def refund(self, order: Order, refund: Refund) -> RefundEvidence:
        said = await self.gateway.call(
            "alipay.trade.refund",
            {
                "out_trade_no": order.number,
                "out_request_no": refund.number,
                "refund_amount": yuan_of(refund.fen),
                **({"refund_reason": refund.reason} if refund.reason else {}),
            },
        )
        return answers.of_refund(said, refund.fen) or await self.query_refund(order, refund)

    async def query_refund(self, order: Order, refund: Refund) -> RefundEvidence:
        said = await self.gateway.call(
            "alipay.trade.fastpay.refund.query",
            {
                "out_trade_no": order.number,
                "out_request_no": refund.number,
                "query_options": ["gmt_refund_pay"],
            },
        )
        return answers.of_refund_query(said, refund.fen)

    async def bill(self, day: str) -> bytes | None:
        """A ZIP with CSVs in GBK. Its address is good for 30 seconds only, so it is fetched at once."""
        said = await self.gateway.call(
            "alipay.data.dataservice.bill.downloadurl.query", {"bill_type": "trade", "bill_date": day}
        )
        url = said.get("bill_download_url")
        if answers.outcome(said) != "OK" or not url.startswith(("https://", "http://")):
            return None
        return await self.gateway.fetch(url)

    async def close_connections(self) -> None:
        await self._close()

    def _what(self, order: Order, asked: Mapping[str, Any]) -> dict[str, Any]:
        subject = str(asked.get("subject") or self.options.subject)[:128]
        seller = {"seller_id": self.options.seller_id} if self.options.seller_id else {}
        return {
            "out_trade_no": order.number,
            "total_amount": yuan_of(order.fen),
            "subject": subject,
            **seller,
        }

    def _named(self) -> dict[str, str]:
        """What a notice of the order must name too."""
        seller = {"merchant": self.options.seller_id} if self.options.seller_id else {}
        return {"app": self.options.app_id, **seller}

    def _ends_ms(self, order: Order) -> int:
        return order.at_ms + int(self.options.code_lifetime * 1000)

    def _over(self, order: Order) -> bool:
        return self._now_ms() > self._ends_ms(order) + _GRACE_MS
