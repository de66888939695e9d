"""Aggregated payment (聚合支付): one merchant contract, the way of paying in the request; a profile says its words."""
