"""What settlements ask of any payment channel, by name. Before anything leaves, its number is on record.

| asked | as | means |
|---|---|---|
| create | do | an order and what it is paid by; `amount` in yuan, `method` |
| created | ask of create | whether it was: gives the code again |
| paid | ask of a wait | whether the money is there; the body names the `order` |
| close | undo of create, reverse of a wait | no money will come. REJECTED where it has come |
| pay | do | by the payer's code: `auth_code` |
| query | ask of pay | whether it was paid |
| reverse | reverse or undo of pay | there is no money, whatever there was |
| refund | do, or undo of paid | `amount` of an `order`, or all that is left of it |
| refunded | ask of refund | whether it went back |

A body names an order by `order` (our number); without it the order is the one of the call's own `key`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from config.errors import Refused
from endpoints.payment.channel import PaymentChannel
from endpoints.payment.numbers import fen_of, number_of, yuan_of
from endpoints.payment.orders import OVER, RECEIVED, Evidence, Order, Refund, owed
from endpoints.payment.records import Payments
from schemas.json import Json
from schemas.message import Message, Receipt

_JSON = Json()
Asked = Mapping[str, Any]


class PaymentParty:
    """Of one system. `now_ms` is the router's clock."""

    def __init__(
        self, system: str, channel: PaymentChannel, payments: Payments, now_ms: Callable[[], int]
    ) -> None:
        self.system = system
        self.channel = channel
        self.payments = payments
        self._now_ms = now_ms

    async def ask(self, operation: str, asked: Asked, headers: Mapping[str, str]) -> Receipt:
        """Raises Refused for what cannot be asked, and Unreachable where nothing left."""
        verbs: Mapping[str, Callable[[Asked, Mapping[str, str]], Awaitable[Receipt]]] = {
            "create": self._create,
            "created": self._created,
            "paid": self._paid,
            "close": self._close,
            "pay": self._pay,
            "query": self._paid,
            "reverse": self._reverse,
            "refund": self._refund,
            "refunded": self._refunded,
        }
        if operation not in verbs:
            raise Refused("JL-P006", f"a payment channel knows no {operation[:30]!r}: {', '.join(verbs)}")
        if headers.get("about") == "undo":
            return await self._refunded(asked, headers)
        return await verbs[operation](asked, headers)

    async def _placed(self, asked: Asked, headers: Mapping[str, str], method: str) -> Order:
        key = headers.get("key", "") or str(asked.get("key", ""))
        if not key:
            raise Refused("JL-P007", "an order needs a `key` 缺少幂等键")
        order = Order(
            self.system,
            number_of(self.system, key),
            key,
            fen_of(asked.get("amount")),
            str(asked.get("method") or method),
            self._now_ms(),
            settlement=headers.get("settlement", ""),
        )
        return await self.payments.place(order)

    async def _known(self, asked: Asked, headers: Mapping[str, str]) -> Order | None:
        number = str(asked.get("order") or "")
        if number:
            return await self.payments.order(self.system, number)
        return await self.payments.of_key(self.system, headers.get("key", ""))

    async def _create(self, asked: Asked, headers: Mapping[str, str]) -> Receipt:
        order = await self._placed(asked, headers, "native")
        if order.state in OVER or order.state in RECEIVED:
            return shown(order, "OK" if order.state in RECEIVED else "REJECTED")
        seen = await self.channel.create(order, asked)
        return _created(await self.payments.seen(order, seen), seen)

    async def _created(self, asked: Asked, headers: Mapping[str, str]) -> Receipt:
        """The same number again: a channel gives a code for the same order."""
        order = await self._known(asked, headers)
        if order is None:
            return absent()
        if order.state in OVER or order.state in RECEIVED:
            return shown(order, "OK" if order.state in RECEIVED else "REJECTED")
        seen = await self.channel.create(order, asked)
        return _created(await self.payments.seen(order, seen), seen)

    async def _pay(self, asked: Asked, headers: Mapping[str, str]) -> Receipt:
        order = await self._placed(asked, headers, "code")
        if order.state != "CREATED":  # it may have left: it is asked about, never sent twice
            return await self._looked(order)
        seen = await self.channel.pay(order, asked)
        return _paid(await self.payments.seen(order, seen), seen)

    async def _paid(self, asked: Asked, headers: Mapping[str, str]) -> Receipt:
        order = await self._known(asked, headers)
        return absent() if order is None else await self._looked(order)

    async def _looked(self, order: Order) -> Receipt:
        if order.state in RECEIVED:
            return shown(order, "OK")
        seen = await self.channel.query(order)
        return _paid(await self.payments.seen(order, seen), seen)

    async def _close(self, asked: Asked, headers: Mapping[str, str]) -> Receipt:
        order = await self._known(asked, headers)
        if order is None:
            return absent()
        if order.state in OVER or order.state == "REFUNDED":
            return shown(order, "OK")
        seen = await self.channel.close(order)
        order = await self.payments.seen(order, seen)
        if order.state in OVER or order.state == "REFUNDED":
            return shown(order, "OK")
        return shown(order, "REJECTED" if order.state in RECEIVED else "UNKNOWN", seen)

    async def _reverse(self, asked: Asked, headers: Mapping[str, str]) -> Receipt:
        order = await self._known(asked, headers)
        if order is None:
            return absent()
        if order.state in OVER or order.state == "REFUNDED":
            return shown(order, "OK")
        seen = await self.channel.reverse(order)
        order = await self.payments.seen(order, seen)
        return shown(order, "OK" if order.state in (*OVER, "REFUNDED") else "UNKNOWN", seen)

    async def _refund(self, asked: Asked, headers: Mapping[str, str]) -> Receipt:
        order = await self._known(asked, headers)
        if order is None:
            return absent()
        if order.state not in RECEIVED and order.state not in OVER:
            order = await self.payments.seen(order, await self.channel.query(order))
        if order.state in OVER:
            return shown(order, "OK")  # there is nothing to give back
        refund = await self.payments.give_back(await self._wanted(order, asked, headers))
        if refund.state != "SUCCESS":
            seen = await self.channel.refund(order, refund)
            refund = await self.payments.refund_seen(refund, seen)
        return given_back(refund)

    async def _wanted(self, order: Order, asked: Asked, headers: Mapping[str, str]) -> Refund:
        key = headers.get("key", "") or str(asked.get("key", ""))
        number = "R" + number_of(self.system, f"{key}/refund")
        there = await self.payments.refund(self.system, number)
        if there is not None:
            return there
        left = order.paid_fen - owed(tuple(await self.payments.refunds(self.system, order.number)))
        fen = (
            fen_of(asked["amount"]) if headers.get("direction", "do") == "do" and "amount" in asked else left
        )
        settlement, reason = headers.get("settlement", ""), str(asked.get("reason") or "")[:80]
        return Refund(
            self.system, number, order.number, key, fen, self._now_ms(), settlement=settlement, reason=reason
        )

    async def _refunded(self, asked: Asked, headers: Mapping[str, str]) -> Receipt:
        refund = await self.payments.refund_of_key(self.system, headers.get("key", ""))
        if refund is None:
            order = await self._known(asked, headers)
            return shown(order, "OK") if order is not None and order.state in OVER else absent()
        if refund.state == "SUCCESS":
            return given_back(refund)
        order = await self.payments.order(self.system, refund.order)
        assert order is not None, "a refund is of an order"
        seen = await self.channel.query_refund(order, refund)
        if seen.state == "ABSENT":
            return absent(final=False)
        return given_back(await self.payments.refund_seen(refund, seen))


def _created(order: Order, seen: Evidence) -> Receipt:
    if order.state in ("PREPAID", "PAYING", *RECEIVED):
        return shown(order, "OK")
    return shown(order, "REJECTED" if order.state in OVER else "UNKNOWN", seen)


def _paid(order: Order, seen: Evidence) -> Receipt:
    if order.state in RECEIVED:
        return shown(order, "OK")
    if order.state in OVER:
        return shown(order, "REJECTED", seen)
    if seen.state == "ABSENT":
        return absent(final=False)
    return shown(order, "PROCESSING" if seen.state in ("PAYING", "PREPAID") else "UNKNOWN", seen)


def shown(order: Order, outcome: str, seen: Evidence | None = None) -> Receipt:
    """What a settlement keeps of an order: amounts in yuan."""
    tree: dict[str, Any] = {
        "outcome": outcome,
        "order": order.number,
        "state": order.state,
        "amount": yuan_of(order.fen),
        "paid": yuan_of(order.paid_fen),
        "paid_ms": order.paid_ms,
        "channel_no": order.channel_no,
        "method": order.method,
        **{k: v for k, v in order.facts.items() if k in ("code_url", "prepay", "txn_time")},
    }
    if seen is not None and seen.code:
        tree |= {"code": seen.code, "err_msg": seen.text}
    return Receipt(outcome, _JSON.encode(tree), "json")


def given_back(refund: Refund) -> Receipt:
    outcomes = {"SUCCESS": "OK", "CLOSED": "REJECTED", "FAILED": "REJECTED"}
    outcome = outcomes.get(refund.state, "PROCESSING" if refund.state == "PROCESSING" else "UNKNOWN")
    tree = {
        "outcome": outcome,
        "refund": refund.number,
        "order": refund.order,
        "state": refund.state,
        "amount": yuan_of(refund.fen),
        "channel_no": refund.channel_no,
    }
    return Receipt(outcome, _JSON.encode(tree), "json")


def absent(final: bool = True) -> Receipt:
    """Nothing is known of it. `final`: it never left."""
    return Receipt("ABSENT", _JSON.encode({"outcome": "ABSENT", "final": final}), "json")


def body_of(message: Message, limit: int = 1_000_000) -> dict[str, Any]:
    """A message's JSON object. Raises Refused (JL-P008)."""
    if message.blob is not None or len(message.body) > limit:
        raise Refused("JL-P008", f"over {limit} bytes 报文过大")
    tree = _JSON.decode(message.body, message.charset) if message.body else {}
    if not isinstance(tree, dict):
        raise Refused("JL-P008", "what is asked of a payment channel is a JSON object 报文应为JSON对象")
    return tree
