"""Differences resolved by rule, before people look: the actions of their class, in order, each on record.

Ask the channel first: what it shows moves the order, and a settlement that waits goes on. Money that was paid twice
goes back by its way; what nobody owns goes to suspense. Nothing is edited, and what is done again is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from config.errors import Refused
from endpoints.payment.records import Payments
from router.reconcile.books import Item
from router.reconcile.classes import CLASSES, Action
from router.reconcile.kept import Kept
from router.reconcile.means import Means

MOST = 500  # items of one go


class Resolver:
    def __init__(self, kept: Kept, payments: Payments, means: Means) -> None:
        self._kept, self._payments, self._means = kept, payments, means

    async def try_all(self, items: Sequence[Item], returns: str) -> int:
        """How many of them something was done about. Raises Unreachable while a database is away."""
        done = 0
        for item in [one for one in items if one.state in ("OPEN", "TRANSIT")][:MOST]:
            for action in CLASSES[item.cls].actions:
                told = await self._tried(item, action, returns)
                if told is not None:
                    done += 1
                    await self._kept.say(item.id, "tried", {"action": action, "text": told})
        return done

    async def _tried(self, item: Item, action: Action, returns: str) -> str | None:
        """None where there is nothing to do, or nothing more."""
        if action == "query" and item.book == "channel":
            return await self._query(item)
        if item.state != "OPEN" or await self._before(item, action):
            return None
        if action == "refund" and item.cls == "duplicate-payment":
            order = await self._payments.order(item.system, item.number)
            try:
                return await self._means.give_back(order, returns) if order is not None else None
            except Refused as error:
                if error.code != "JL-T011":  # else its notice has begun it, under the same number
                    raise
                return "it goes back already 已在退回"
        if action == "suspense" and (item.cls, item.book, item.kind) == ("long", "channel", "PAY"):
            return await self._means.suspend(item)
        return None

    async def _query(self, item: Item) -> str | None:
        """Nothing is asked about what is not ours."""
        if item.kind == "PAY":
            order = await self._payments.order(item.system, item.number) if item.number else None
            if order is None:
                return None
            return await self._means.query(item.system, "paid", {"order": order.number}, order.key)
        refund = await self._payments.refund(item.system, item.number) if item.number else None
        if refund is None:
            return None
        asked = {"refund": refund.number, "order": refund.order}
        return await self._means.query(item.system, "refunded", asked, refund.key)

    async def _before(self, item: Item, action: Action) -> bool:
        _, events = await self._kept.item(item.id)
        said: list[dict[str, Any]] = [one.said for one in events if one.what == "tried"]
        return any(one.get("action") == action for one in said)
