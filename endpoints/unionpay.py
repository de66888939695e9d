"""UnionPay (中国银联 全渠道): kind `unionpay`. The parts stand in `endpoints/payment/unionpay/`."""

from __future__ import annotations

from config import registry
from endpoints.payment.unionpay.destination import UnionPayDestination
from endpoints.payment.unionpay.notices import UnionPayNotices

registry.source("unionpay")(UnionPayNotices)
registry.destination("unionpay")(UnionPayDestination)
