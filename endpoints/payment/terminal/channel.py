"""A terminal as a payment channel: nothing is sent to it. What it has taken is known once it says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from endpoints.payment.orders import Evidence, Order, Refund, RefundEvidence
from endpoints.payment.terminal.reports import terminal_of

_NOT_SAID = "the terminal has not said what became of it 终端尚未上报结果"


class TerminalChannel:
    async def create(self, order: Order, asked: Mapping[str, Any]) -> Evidence:
        return Evidence("PREPAID", facts={"terminal": terminal_of(asked)})

    async def pay(self, order: Order, asked: Mapping[str, Any]) -> Evidence:
        return Evidence("FAILED", text="a terminal has no payer's codes 终端无付款码")

    async def query(self, order: Order) -> Evidence:
        return Evidence("PAYING", code="JL-P321", text=_NOT_SAID)

    async def close(self, order: Order) -> Evidence:
        """A card may be charged already: only the terminal ends it."""
        if order.state == "CREATED":
            return Evidence("CLOSED")
        return Evidence("PAYING", code="JL-P321", text=_NOT_SAID)

    async def reverse(self, order: Order) -> Evidence:
        return await self.close(order)

    async def refund(self, order: Order, refund: Refund) -> RefundEvidence:
        """It is done by people at a POS or a window."""
        return RefundEvidence("PROCESSING")

    async def query_refund(self, order: Order, refund: Refund) -> RefundEvidence:
        return RefundEvidence("PROCESSING")

    async def bill(self, day: str) -> bytes | None:
        return None

    async def close_connections(self) -> None:
        """There are none."""
