"""微信支付 (WeChat Pay), API v3."""
