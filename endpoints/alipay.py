"""Alipay (支付宝): kind `alipay`. The parts stand in `endpoints/payment/alipay/`."""

from __future__ import annotations

from config import registry
from endpoints.payment.alipay.destination import AlipayDestination
from endpoints.payment.alipay.notices import AlipayNotices

registry.source("alipay")(AlipayNotices)
registry.destination("alipay")(AlipayDestination)
