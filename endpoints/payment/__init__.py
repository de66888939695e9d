"""Payment channels (支付渠道): the outside parties that take and give back money."""
