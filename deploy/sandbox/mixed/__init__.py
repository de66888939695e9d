"""WeChat's mixed orders (医保混合支付) in the sandbox."""
