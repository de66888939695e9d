"""What settlements ask of any payment channel, by name. Before anything leaves, its number is on record.

| asked | as | means |
|---|---|---|
| create | do | an order and what it is paid by; `amount` in yuan, `method` |
| created | ask of create | whether it was: gives the code again |
| paid | ask of a wait | whether the money is there; the body names the `order` |
| close | undo of create, reverse of a wait | no money will come. REJECTED where it has come |
| refund_or_close | undo of create | no money will come, and what came goes back |
| pay | do | by the payer's code: `auth_code` |
| query | ask of pay | whether it was paid |
| reverse | reverse or undo of pay | there is no money, whatever there was |
| refund | do, or undo of paid | `amount` of an `order`, or all that is left of it |
| refunded | ask of refund | whether it went back |
| refund_otherwise | do | a refund that ended ABNORMAL goes to another account |
| noticed | a channel of notices | what the channel said by itself: noticed.py |
| sweep | a timer | orders and refunds that have no end are asked about: sweep.py |
| bill | a person | the statement of a `day` (yyyy-MM-dd), as the channel gives it |
| reconcile | a timer | the statement of a `day`, else of yesterday, is fetched, kept and compared |

A body names an order by `order` (our number); without it the order is the one of the call's own `key`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec import Struct

from config.errors import Refused
from endpoints.payment import noticed, sweep
from endpoints.payment.channel import PaymentChannel
from endpoints.payment.giving_back import sent
from endpoints.payment.numbers import fen_of, number_of
from endpoints.payment.orders import OVER, RECEIVED, Evidence, Order, Refund, owed
from endpoints.payment.records import Payments
from endpoints.payment.told import absent, given_back, shown, shown_tree
from endpoints.settling import Settle
from schemas.message import Receipt

Asked = Mapping[str, Any]
OPERATIONS = (
    "create", "created", "paid", "close", "refund_or_close", "pay", "query", "reverse",
    "refund", "refunded", "refund_otherwise", "noticed", "sweep", "bill", "reconcile",
)  # fmt: skip
_MOST_KEY = 200


class Rules(Struct, frozen=True):
    """What a site says of its orders; PaymentOptions has the words."""

    waits: str = ""
    returns: str = ""
    sweep_after_s: float = 60.0
    open_for_s: float = 10_800.0
    sweep_at_once: int = 200


class PaymentParty:
    """Of one system. `now_ms` is the router's clock; `settle` carries out settlements, where this process does."""

    def __init__(
        self,
        system: str,
        channel: PaymentChannel,
        payments: Payments,
        now_ms: Callable[[], int],
        settle: Settle | None = None,
        rules: Rules | None = None,
    ) -> None:
        self.system = system
        self.channel = channel
        self.payments = payments
        self.settle = settle
        self.rules = rules or Rules()
        self.now_ms = now_ms

    async def ask(self, operation: str, asked: Asked, headers: Mapping[str, str]) -> Receipt:
        """Raises Refused for what cannot be asked, and Unreachable where nothing left."""
        verbs: Mapping[str, Callable[[Asked, Mapping[str, str]], Awaitable[Receipt]]] = {
            "create": self._create,
            "created": self._created,
            "paid": self._paid,
            "close": self._close,
            "refund_or_close": self._refund_or_close,
            "pay": self._pay,
            "query": self._paid,
            "reverse": self._reverse,
            "refund": self._refund,
            "refunded": self._refunded,
            "refund_otherwise": self._refund_otherwise,
            "noticed": lambda asked, _: noticed.noticed(self, asked),
            "sweep": lambda _, __: sweep.sweep(self),
            "bill": lambda asked, _: self._bill(asked),
        }
        if operation not in verbs:
            raise Refused("JL-P006", f"a payment channel knows no {operation[:30]!r}: {', '.join(verbs)}")
        if headers.get("about") == "undo":
            return await self._undone(operation, asked, headers)
        return await verbs[operation](asked, headers)

    def tree_of(self, order: Order) -> dict[str, Any]:
        """What a settlement is told of an order whose money came."""
        return shown_tree(order, "OK")

    async def _undone(self, operation: str, asked: Asked, headers: Mapping[str, str]) -> Receipt:
        """Whether what was to be undone is: its money went back, or none will come."""
        refund = await self.payments.refund_of_key(self.system, headers.get("key", ""))
        if refund is None:
            order = await self._known(asked, headers)
            if order is not None and order.state not in (*OVER, "REFUNDED"):
                order = await self.payments.seen(order, await self.channel.query(order))
            if order is not None and order.state in (*OVER, "REFUNDED"):
                return shown(order, "OK")
        return await self._refunded(asked, headers)

    async def _placed(self, asked: Asked, headers: Mapping[str, str], method: str) -> Order:
        key = headers.get("key", "") or str(asked.get("key", ""))
        if not key or len(key) > _MOST_KEY or not key.isprintable():
            raise Refused("JL-P007", "an order needs a `key` 缺少幂等键")
        order = Order(
            self.system,
            number_of(self.system, key),
            key,
            fen_of(asked.get("amount")),
            str(asked.get("method") or method),
            self.now_ms(),
            settlement=headers.get("settlement", ""),
        )
        return await self.payments.place(order)

    async def _known(self, asked: Asked, headers: Mapping[str, str]) -> Order | None:
        number = str(asked.get("order") or "")
        if number:
            return await self.payments.order(self.system, number)
        return await self.payments.of_key(self.system, headers.get("key", "") or str(asked.get("key", "")))

    async def _create(self, asked: Asked, headers: Mapping[str, str]) -> Receipt:
        return await self._issued(await self._placed(asked, headers, "native"), asked)

    async def _created(self, asked: Asked, headers: Mapping[str, str]) -> Receipt:
        """The same number again: a channel gives a code for the same order."""
        order = await self._known(asked, headers)
        return absent() if order is None else await self._issued(order, asked)

    async def _issued(self, order: Order, asked: Asked) -> Receipt:
        if order.state in OVER or order.state in RECEIVED:
            return shown(order, "OK" if order.state in RECEIVED else "REJECTED")
        seen = await self.channel.create(order, asked)
        order = await self.payments.seen(order, seen)
        if order.state in ("PREPAID", "PAYING", *RECEIVED):
            return shown(order, "OK")
        return shown(order, "REJECTED" if order.state in OVER else "UNKNOWN", seen)

    async def _pay(self, asked: Asked, headers: Mapping[str, str]) -> Receipt:
        order = await self._placed(asked, headers, "code")
        if order.state != "CREATED":  # it may have left: it is asked about, never sent twice
            return await self._looked(order)
        if not asked.get("auth_code"):
            raise Refused("JL-P010", "to pay by a code needs `auth_code` 缺少付款码")
        seen = await self.channel.pay(order, asked)
        return _paid(await self.payments.seen(order, seen), seen)

    async def _paid(self, asked: Asked, headers: Mapping[str, str]) -> Receipt:
        order = await self._known(asked, headers)
        return absent() if order is None else await self._looked(order)

    async def _looked(self, order: Order) -> Receipt:
        if order.state in RECEIVED:
            return shown(order, "OK")
        if order.state in OVER:
            return shown(order, "REJECTED")
        seen = await self.channel.query(order)
        return _paid(await self.payments.seen(order, seen), seen)

    async def _close(self, asked: Asked, headers: Mapping[str, str]) -> Receipt:
        order = await self._known(asked, headers)
        if order is None:
            return absent()
        order, seen = await self._closed(order)
        if order.state in OVER or order.state == "REFUNDED":
            return shown(order, "OK")
        return shown(order, "REJECTED" if order.state in RECEIVED else "UNKNOWN", seen)

    async def _closed(self, order: Order) -> tuple[Order, Evidence | None]:
        if order.state in OVER or order.state in RECEIVED:
            return order, None
        seen = await self.channel.close(order)
        return await self.payments.seen(order, seen), seen

    async def _refund_or_close(self, asked: Asked, headers: Mapping[str, str]) -> Receipt:
        order = await self._known(asked, headers)
        if order is None:
            return absent()
        order, seen = await self._closed(order)
        if order.state in OVER or order.state == "REFUNDED":
            return shown(order, "OK")
        if order.state in RECEIVED:
            return await self._refund({**asked, "order": order.number}, {**headers, "direction": "undo"})
        return shown(order, "UNKNOWN", seen)

    async def _reverse(self, asked: Asked, headers: Mapping[str, str]) -> Receipt:
        order = await self._known(asked, headers)
        if order is None:
            return absent()
        if order.state in OVER or order.state == "REFUNDED":
            return shown(order, "OK")
        seen = await self.channel.reverse(order)
        order = await self.payments.seen(order, seen)
        if seen.state in RECEIVED and order.state in RECEIVED and order.state != "REFUNDED":
            # It is paid, and this channel reverses no more: it goes back as a refund.
            return await self._refund({**asked, "order": order.number}, {**headers, "direction": "undo"})
        return shown(order, "OK" if order.state in (*OVER, "REFUNDED") else "UNKNOWN", seen)

    async def _refund(self, asked: Asked, headers: Mapping[str, str]) -> Receipt:
        order = await self._known(asked, headers)
        if order is None:
            return absent()
        if order.state not in RECEIVED and order.state not in OVER:
            order = await self.payments.seen(order, await self.channel.query(order))
        if order.state in OVER:
            return shown(order, "OK")  # there is nothing to give back
        wanted = await self._wanted(order, asked, headers)
        if wanted.undoes and (not wanted.fen or (order.state == "REFUNDED" and wanted.state != "SUCCESS")):
            return shown(order, "OK" if order.state == "REFUNDED" else "PROCESSING")
        refund = await self.payments.give_back(wanted)
        if refund.state not in ("SUCCESS", "ABNORMAL"):
            seen = await sent(self.channel, order, refund)
            refund = await self.payments.refund_seen(refund, seen)
            await noticed.gone_back(self, refund)
        return given_back(refund)

    async def _wanted(self, order: Order, asked: Asked, headers: Mapping[str, str]) -> Refund:
        """Of an undo all that is left: 0 fen where all goes back already."""
        key = headers.get("key", "") or str(asked.get("key", ""))
        if not key or len(key) > _MOST_KEY or not key.isprintable():
            raise Refused("JL-P007", "a refund needs a `key` 缺少幂等键")
        number = "R" + number_of(self.system, f"{key}/refund")
        there = await self.payments.refund(self.system, number)
        if there is not None:
            return there
        undoes = headers.get("direction", "do") == "undo"
        left = order.paid_fen - owed(tuple(await self.payments.refunds(self.system, order.number)))
        fen = left if undoes or "amount" not in asked else fen_of(asked["amount"])
        return Refund(
            self.system,
            number,
            order.number,
            key,
            fen,
            self.now_ms(),
            settlement=headers.get("settlement", ""),
            reason=str(asked.get("reason") or "")[:80],
            undoes=undoes,
        )

    async def _refunded(self, asked: Asked, headers: Mapping[str, str]) -> Receipt:
        refund = await self._refund_of(asked, headers)
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
        refund = await self.payments.refund_seen(refund, seen)
        await noticed.gone_back(self, refund)
        return given_back(refund)

    async def _refund_of(self, asked: Asked, headers: Mapping[str, str]) -> Refund | None:
        number = str(asked.get("refund") or "")
        if number and "key" not in headers:
            return await self.payments.refund(self.system, number)
        return await self.payments.refund_of_key(
            self.system, headers.get("key", "") or str(asked.get("key", ""))
        )

    async def _refund_otherwise(self, asked: Asked, headers: Mapping[str, str]) -> Receipt:
        refund = await self.payments.refund(self.system, str(asked.get("refund") or ""))
        if refund is None:
            return absent()
        if refund.state != "ABNORMAL":
            return given_back(refund)
        otherwise = getattr(self.channel, "refund_otherwise", None)
        if otherwise is None:
            raise Refused("JL-P011", "this channel gives back by the way of the payment alone 不支持异常退款")
        order = await self.payments.order(self.system, refund.order)
        seen = await otherwise(order, refund, asked)
        return given_back(await self.payments.refund_seen(refund, seen))

    async def _bill(self, asked: Asked) -> Receipt:
        """The file's bytes; ABSENT, not final, where it is not there yet."""
        found = await self.channel.bill(str(asked.get("day") or ""))
        return absent(final=False) if found is None else Receipt("OK", found)


def _paid(order: Order, seen: Evidence) -> Receipt:
    if order.state in RECEIVED:
        return shown(order, "OK")
    if order.state in OVER:
        return shown(order, "REJECTED", seen)
    if seen.state == "ABSENT":
        return absent(final=False)
    return shown(order, "PROCESSING" if seen.state in ("PAYING", "PREPAID") else "UNKNOWN", seen)
