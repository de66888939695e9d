"""UnionPay (中国银联 全渠道 5.1.0), simulated: back-end trades with books of its own."""

from deploy.sandbox.unionpay.party import UnionPaySandbox

__all__ = ["UnionPaySandbox"]
