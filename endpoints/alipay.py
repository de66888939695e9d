"""Alipay (支付宝): kind `alipay`. The parts stand in `endpoints/payment/alipay/`."""

from __future__ import annotations

from config import registry
from endpoints.payment.alipay.destination import AlipayDestination

registry.destination("alipay")(AlipayDestination)
