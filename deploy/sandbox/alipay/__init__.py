"""Alipay (支付宝), simulated: its gateway with books of its own."""

from deploy.sandbox.alipay.party import AlipaySandbox

__all__ = ["AlipaySandbox"]
