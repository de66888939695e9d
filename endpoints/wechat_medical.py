"""微信医保混合支付 (mixed orders of insurance and cash): kind `wechat_medical`. Parts: `endpoints/payment/mixed/`."""

from __future__ import annotations

from config import registry
from endpoints.payment.mixed.ends import WechatMedical, WechatMedicalNotices

registry.source("wechat_medical")(WechatMedicalNotices)
registry.destination("wechat_medical")(WechatMedical)
