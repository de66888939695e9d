"""What reconciliation may do by itself: ask a channel, have money given back, put it in suspense."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from channels.model import Channel
from config.errors import BadMessage, Refused
from endpoints.base import HandOver
from endpoints.payment.orders import Order
from endpoints.settling import Settle
from router.envelope import EXPIRES
from router.reconcile.books import Item
from router.settlement.posting import Entry, Journal
from router.store.settlement_book import SettlementBook
from schemas.json import Json
from schemas.message import Message

_ASK_S, _SEND_MS = 60.0, 30_000
_JSON = Json()


class Means(Protocol):
    """None where it cannot be done here; else what came of it, for the record. Raise Unreachable and Refused."""

    async def query(self, system: str, operation: str, asked: Mapping[str, str], key: str) -> str | None:
        """Asks the channel, and what it shows moves our order or refund."""

    async def give_back(self, order: Order, returns: str) -> str | None:
        """Begins the settlement `returns`, that gives an order's money back by its way; the same again is the same."""

    async def suspend(self, item: Item) -> str | None:
        """Books what the channel has and nobody owns to suspense; the same again is the same."""


class SiteMeans:
    """By the site's channels and pipelines."""

    def __init__(
        self,
        channels: Callable[[], Sequence[Channel]],
        hand_over: HandOver,
        settle: Settle | None,
        ledger: SettlementBook | None,
        now_ms: Callable[[], int],
    ) -> None:
        self._channels, self._hand_over = channels, hand_over
        self._settle, self._ledger = settle, ledger
        self._now_ms = now_ms

    async def query(self, system: str, operation: str, asked: Mapping[str, str], key: str) -> str | None:
        """By the channel that takes settlements' calls of this system: it waits in its queue, and is in the journal."""
        channel = next(
            (one for one in self._channels() if one.kind == "calls" and _reaches(one, system)), None
        )
        if channel is None:
            return None
        headers = {"param.code": operation, "direction": "probe", "about": "do", "key": key}
        headers[EXPIRES] = str(self._now_ms() + _SEND_MS)
        message = Message(_JSON.encode({**asked, "channel": system}), "reconciliation", headers)
        try:
            async with asyncio.timeout(_ASK_S):
                reply = await asyncio.shield(self._hand_over(channel.name, message))
        except TimeoutError:
            return "no answer 无应答"
        return _outcome(reply.body) if reply.state == "answered" else f"{reply.state} {reply.code}"

    async def give_back(self, order: Order, returns: str) -> str | None:
        if self._settle is None or not returns:
            return None
        request = {
            "number": f"RT{order.number}",
            "system": order.system,
            "order": order.number,
            "amount": f"{order.paid_fen // 100}.{order.paid_fen % 100:02}",
            "settlement": order.settlement,
            "method": order.method,
            "reason": "重复支付退款",
        }
        told = await self._settle.begin(returns, request, "reconciliation", 0)
        return f"{told['number']} {told['state']}"

    async def suspend(self, item: Item) -> str | None:
        if self._ledger is None:
            return None
        of = item.number or item.channel_no
        book = f"order:{item.system}/{of}"
        account = f"suspense:{item.system}/{of}"
        entries = (Entry(f"clearing:{item.system}", item.theirs_fen), Entry(account, -item.theirs_fen))
        journal = Journal(f"{book}/{item.id}", book, entries)
        text = f"{item.id}: {item.day} 长款 in the statement, no order of ours"
        made = await self._ledger.suspense.open(
            book, account, item.theirs_fen, "long", text, item.system, [journal]
        )
        return made.id


def _reaches(channel: Channel, system: str) -> bool:
    return any(getattr(branch.options, "name", "") == system for branch in channel.branches)


def _outcome(body: bytes) -> str:
    try:
        tree: Any = _JSON.decode(body)
    except (BadMessage, Refused):
        return "no answer that can be read 无法识别的应答"
    return str(tree.get("outcome", "")) if isinstance(tree, dict) else ""
