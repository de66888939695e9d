"""The destination: each message is one operation of a merchant's orders at UnionPay."""

from __future__ import annotations

from typing import ClassVar

from endpoints.base import Options
from endpoints.payment.channel import PaymentChannel
from endpoints.payment.destination import PaymentDestination
from endpoints.payment.unionpay.channel import opened
from endpoints.payment.unionpay.options import UnionPayOptions


class UnionPayDestination(PaymentDestination):
    Options: ClassVar[type[Options]] = UnionPayOptions
    statement: ClassVar[str] = "unionpay"

    def channel_of(self) -> PaymentChannel:
        return opened(self.options, self.ground)

    def merchants(self) -> tuple[str, ...]:
        return (self.options.mer_id,)
