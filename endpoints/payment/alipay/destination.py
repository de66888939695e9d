"""The destination: each message is one operation of an application's orders at Alipay."""

from __future__ import annotations

from typing import ClassVar

from endpoints.base import Options
from endpoints.payment.alipay.channel import opened
from endpoints.payment.alipay.options import AlipayOptions
from endpoints.payment.channel import PaymentChannel
from endpoints.payment.destination import PaymentDestination


class AlipayDestination(PaymentDestination):
    Options: ClassVar[type[Options]] = AlipayOptions
    statement: ClassVar[str] = "alipay"

    def channel_of(self) -> PaymentChannel:
        return opened(self.options, self.ground)

    def merchants(self) -> tuple[str, ...]:
        """A bill names the account: the PID, with 0156 behind it."""
        seller = str(self.options.seller_id)
        return (seller, f"{seller}0156") if seller else ()
