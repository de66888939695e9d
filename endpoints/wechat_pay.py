"""微信支付 (WeChat Pay, API v3): kind `wechat_pay`. The parts stand in `endpoints/payment/wechat/`."""

from __future__ import annotations

from config import registry
from endpoints.payment.wechat.ends import WechatNotices, WechatPay

registry.source("wechat_pay")(WechatNotices)
registry.destination("wechat_pay")(WechatPay)
