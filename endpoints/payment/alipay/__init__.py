"""Alipay (支付宝), its open platform's gateway: kind `alipay`."""
