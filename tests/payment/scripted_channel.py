"""A payment channel that answers what a test scripts, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from endpoints.payment.orders import Evidence, Order, Refund, RefundEvidence

CODE = {"code_url": "weixin://wxpay/1", "merchant": "1900000001", "app": "wx0000000000000001"}


class ScriptedChannel:
    """`says["query"]` is a list of what is answered one after the other; the last one stays."""

    def __init__(self, **says: list[Evidence | RefundEvidence | BaseException]) -> None:
        self.says = says
        self.asked: list[str] = []

    def _next(self, what: str, otherwise: Any) -> Any:
        self.asked.append(what)
        script = self.says.get(what, [])
        said = (script.pop(0) if len(script) > 1 else script[0]) if script else otherwise
        if isinstance(said, BaseException):
            raise said
        return said

    async def create(self, order: Order, asked: Mapping[str, Any]) -> Evidence:
        return self._next("create", Evidence("PREPAID", facts=CODE))

    async def pay(self, order: Order, asked: Mapping[str, Any]) -> Evidence:
        return self._next("pay", Evidence("PAID", order.fen, order.at_ms + 1, "42001"))

    async def query(self, order: Order) -> Evidence:
        return self._next("query", Evidence("PREPAID"))

    async def close(self, order: Order) -> Evidence:
        return self._next("close", Evidence("CLOSED"))

    async def reverse(self, order: Order) -> Evidence:
        return self._next("reverse", Evidence("REVERSED"))

    async def refund(self, order: Order, refund: Refund) -> RefundEvidence:
        return self._next(f"refund {refund.fen}", RefundEvidence("SUCCESS", refund.fen))

    async def query_refund(self, order: Order, refund: Refund) -> RefundEvidence:
        return self._next("query_refund", RefundEvidence("SUCCESS", refund.fen))

    async def bill(self, day: str) -> bytes | None:
        return self._next("bill", None)

    async def close_connections(self) -> None:
        """Nothing is open."""
