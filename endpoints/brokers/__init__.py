"""Brokers of others, as parties: what `endpoints.mqtt` and `endpoints.amqp` speak to them with."""
