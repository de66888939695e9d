"""A simulated WeChat Pay (微信支付): API v3 on loopback with books, keys, bills and notices of its own."""

from deploy.sandbox.wechat.party import WechatSandbox

__all__ = ["WechatSandbox"]
