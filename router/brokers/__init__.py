"""Two brokers behind one interface: `embedded`, or RabbitMQ by its URL."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from config.errors import JingluoError
from config.tls import ClientTls
from router.brokers.base import Broker


def open_broker(setting: str, var: Path, tls: ClientTls | None = None) -> Broker:
    """`embedded` keeps its file in `var`; `amqp://user:password@host/vhost` is RabbitMQ (a comma between
    several); `amqps://` is the same by TLS.

    Nothing is opened yet: that is `await broker.start()`. JingluoError JL-B008 for any other setting.
    """
    if setting == "embedded":
        from router.brokers.embedded import EmbeddedBroker

        return EmbeddedBroker(var / "broker.db")
    urls = [url.strip() for url in setting.split(",")]
    if all(url.startswith(("amqp://", "amqps://")) for url in urls):
        if any((parts := urlsplit(url)).username and parts.password is None for url in urls):
            raise JingluoError(
                "JL-B008", "broker: a user needs a password, as in amqp://user:secret://name@host/vhost"
            )
        from router.brokers.rabbitmq import RabbitBroker

        return RabbitBroker(urls, tls=tls)
    raise JingluoError(
        "JL-B008", "broker: expected `embedded`, or amqp://user@host/vhost (several with commas between)"
    )
