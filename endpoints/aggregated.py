"""Aggregated payment (聚合支付): kind `aggregated`. The parts stand in `endpoints/payment/aggregated/`."""

from __future__ import annotations

from config import registry
from endpoints.payment.aggregated.destination import AggregatedDestination
from endpoints.payment.aggregated.notices import AggregatedNotices

registry.source("aggregated")(AggregatedNotices)
registry.destination("aggregated")(AggregatedDestination)
