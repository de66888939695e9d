"""UnionPay (中国银联), 全渠道 5.1.0 without a browser: kind `unionpay`."""
