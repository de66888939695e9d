"""What a payment channel's own protocol must offer; a party makes of it what settlements ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from endpoints.payment.orders import Evidence, Order, Refund, RefundEvidence


class PaymentChannel(Protocol):
    """What a notice of an order must name, `merchant` and `app`, belongs in the facts of `create` and `pay`. A channel
    that can give an ABNORMAL refund another way also has `refund_otherwise(order, refund, asked) -> RefundEvidence`.

    Methods never raise for what a channel or a network does: what nobody can read is `UNKNOWN`. They raise
    Unreachable only where a request never left. Each ends within the party's timeout."""

    async def create(self, order: Order, asked: Mapping[str, Any]) -> Evidence:
        """Issues what the payer pays by (a QR code, a prepay_id): PREPAID with it in `facts`. With a number that was
        issued before it gives a code for the same order."""

    async def pay(self, order: Order, asked: Mapping[str, Any]) -> Evidence:
        """Takes the money by the payer's code (付款码) `asked["auth_code"]`: PAID, PAYING, FAILED or UNKNOWN."""

    async def query(self, order: Order) -> Evidence: ...

    async def close(self, order: Order) -> Evidence:
        """CLOSED where it was not paid. Of a paid one: PAID, and it stays so."""

    async def reverse(self, order: Order) -> Evidence:
        """Makes sure that there is no money, paid or not: CLOSED, REVERSED or REFUNDED."""

    async def refund(self, order: Order, refund: Refund) -> RefundEvidence: ...

    async def query_refund(self, order: Order, refund: Refund) -> RefundEvidence: ...

    async def bill(self, day: str) -> bytes | None:
        """The statement of a day (yyyy-MM-dd) as the channel gives it; None where it is not there yet."""

    async def close_connections(self) -> None: ...
