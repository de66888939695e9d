"""微信医保混合支付 2.0 (/v3/med-ins/): insurance and cash in one order."""
