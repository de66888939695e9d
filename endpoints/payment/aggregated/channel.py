"""An aggregator as settlements see it: `PaymentChannel` over the calls of its profile."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from config.errors import BadMessage, Refused, Unreachable
from endpoints.payment.aggregated.profile import Profile, filled
from endpoints.payment.aggregated.signing import Signer
from endpoints.payment.aggregated.words import Heard, amount_of, heard_of, order_of, refund_of
from endpoints.payment.giving_back import give_all_back
from endpoints.payment.orders import RECEIVED, Evidence, Order, Refund, RefundEvidence
from endpoints.payment.records import Payments
from endpoints.payment.times import at
from endpoints.rest.sending import Answer
from schemas.json import Json

_JSON = Json()
_ON_ITS_WAY_MS = 600_000  # for so long an order that is not there may still arrive there


class Ask(Protocol):
    def __call__(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> Awaitable[Answer]: ...


class Aggregated:
    """`us` are values that stay: merchant, terminal, subject, notify_url."""

    def __init__(
        self,
        profile: Profile,
        signer: Signer,
        url: str,
        us: Mapping[str, str],
        ask: Ask,
        payments: Payments | None,
        now_ms: Callable[[], int],
        close: Callable[[], Awaitable[None]],
    ) -> None:
        self.profile = profile
        self._signer = signer
        self._url = url.rstrip("/")
        self._us = us
        self._ask = ask
        self._payments = payments
        self._now_ms = now_ms
        self._close = close

    def check(self, method: str) -> None:
        """Raises Refused (JL-P341)."""
        if method not in self.profile.pay_types:
            known = ", ".join(self.profile.pay_types)
            raise Refused(
                "JL-P341", f"`method` {method[:20]!r} is no way of paying here: {known} 支付方式无效"
            )

    async def create(self, order: Order, asked: Mapping[str, Any]) -> Evidence:
        heard = await self._call("create", order, subject=asked.get("subject"))
        if heard.said == "yes" and heard.get("number") == order.number and heard.get("code_url"):
            facts = {"code_url": heard.get("code_url")}
            return Evidence("PREPAID", channel_no=heard.get("channel_no"), facts=facts)
        if heard.said == "exists":
            return await self.query(order)
        return _no(heard)

    async def pay(self, order: Order, asked: Mapping[str, Any]) -> Evidence:
        said = {"subject": asked.get("subject"), "auth_code": asked.get("auth_code")}
        heard = await self._call("pay", order, **said)
        if heard.said == "yes":
            return order_of(heard, order.number, self.profile)
        return await self.query(order) if heard.said == "exists" else _no(heard)

    async def query(self, order: Order) -> Evidence:
        heard = await self._call("query", order)
        if heard.said == "yes":
            return order_of(heard, order.number, self.profile)
        if heard.said == "absent":
            return Evidence("ABSENT", code=heard.code, text=heard.text)
        return Evidence("UNKNOWN", code=heard.code, text=heard.text)

    async def close(self, order: Order) -> Evidence:
        heard = await self._call("close", order)
        if heard.said == "yes":
            return Evidence("CLOSED", code=heard.code)
        if heard.said in ("no", "absent"):
            seen = await self.query(order)
            late = self._now_ms() - order.at_ms > _ON_ITS_WAY_MS
            return Evidence("CLOSED", code=seen.code) if seen.state == "ABSENT" and late else seen
        return Evidence("UNKNOWN", code=heard.code, text=heard.text)

    async def reverse(self, order: Order) -> Evidence:
        """By the aggregator's own reversal where it has one; else closed, or given back."""
        paid = order.state in RECEIVED
        if "reverse" in self.profile.calls:
            heard = await self._call("reverse", order)
            if heard.said == "yes":
                return Evidence(
                    "REFUNDED" if paid else "REVERSED", fen=order.fen if paid else 0, code=heard.code
                )
            if heard.said == "unknown":
                return Evidence("UNKNOWN", code=heard.code, text=heard.text)
        seen = await self.query(order)
        if seen.state == "PAID":
            return await give_all_back(self, self._payments, order, seen, self._now_ms())
        return seen if seen.state in ("CLOSED", "REVERSED", "FAILED", "REFUNDED") else await self.close(order)

    async def refund(self, order: Order, refund: Refund) -> RefundEvidence:
        return self._refunded(await self._call("refund", order, refund), refund)

    async def query_refund(self, order: Order, refund: Refund) -> RefundEvidence:
        heard = await self._call("query_refund", order, refund)
        if heard.said == "absent":
            return RefundEvidence("ABSENT", code=heard.code, text=heard.text)
        if heard.said == "no":  # the question was refused, not the refund
            return RefundEvidence("UNKNOWN", code=heard.code, text=heard.text)
        return self._refunded(heard, refund)

    async def bill(self, day: str) -> bytes | None:
        """The file as it comes; None where the aggregator answers in its own words instead."""
        call = self.profile.calls.get("bill")
        if call is None:
            return None
        answer = await self._sent(call.path, self._signed(filled(call.send, {"day": day})))
        if answer is None or answer.status != 200 or answer.body[:1] in (b"{", b""):
            return None
        return answer.body

    async def close_connections(self) -> None:
        await self._close()

    def _refunded(self, heard: Heard, refund: Refund) -> RefundEvidence:
        if heard.said in ("yes", "exists"):
            return refund_of(heard, refund.number, refund.fen, self.profile)
        return RefundEvidence("FAILED" if heard.said == "no" else "UNKNOWN", code=heard.code, text=heard.text)

    async def _call(self, name: str, order: Order, refund: Refund | None = None, **more: Any) -> Heard:
        call, profile = self.profile.calls[name], self.profile
        values: dict[str, Any] = {
            "number": order.number,
            "amount": amount_of(order.fen, profile),
            "pay_type": profile.pay_types.get(order.method, ""),
            "channel_no": order.channel_no,
            **{key: value for key, value in more.items() if value},
        }
        if refund is not None:
            values |= {"refund": refund.number, "refund_amount": amount_of(refund.fen, profile)}
            values |= {"reason": refund.reason}
        answer = await self._sent(call.path, self._signed(filled(call.send, {**self._us, **values})))
        return Heard("unknown") if answer is None else self._read(answer)

    def _signed(self, fields: dict[str, Any]) -> dict[str, Any]:
        now = f"{at(self._now_ms()):{self.profile.time}}"
        fresh = {"now": now, "nonce": secrets.token_hex(16)}
        made = {**filled(self.profile.common, {**self._us, **fresh}), **fields}
        return {**made, self.profile.sign.field: self._signer.sign(made)}

    async def _sent(self, path: str, fields: dict[str, Any]) -> Answer | None:
        """None where it may have been done, and nobody heard. Raises Unreachable where nothing left."""
        headers = {"content-type": "application/json; charset=utf-8"}
        try:
            return await self._ask("POST", f"{self._url}{path}", headers, _JSON.encode(fields))
        except Unreachable as error:
            if not error.maybe_done:
                raise
        except Refused:
            pass  # an answer larger than it may be
        return None

    def _read(self, answer: Answer) -> Heard:
        try:
            tree = _JSON.decode(answer.body) if answer.status == 200 else None
        except BadMessage:
            tree = None
        if not isinstance(tree, dict):
            return Heard("unknown", f"http-{answer.status}", "an answer that cannot be read 应答无法识别")
        if not self._signer.holds(tree):
            return Heard("unknown", text="an answer whose signature does not hold 应答验签失败")
        return heard_of(tree, self.profile)


def _no(heard: Heard) -> Evidence:
    """Of an order that was to be made: what is unknown may have been."""
    return Evidence("FAILED" if heard.said == "no" else "UNKNOWN", code=heard.code, text=heard.text)
