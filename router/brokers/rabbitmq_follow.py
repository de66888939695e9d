"""Who reads a RabbitMQ stream: from its first entry on or from a time, and after a reconnect from where it was."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import structlog

from router.brokers.rabbitmq_link import Link, LinkLost

log = structlog.get_logger()

_PREFETCH = 500


class Follower:
    """Lives through reconnects: `attach` goes on reading on a new link."""

    def __init__(self, stream: str, on_entry: Callable[[bytes], None], since_ms: int = 0) -> None:
        self._stream = stream
        self._on_entry = on_entry
        # RabbitMQ begins with the whole chunk in which a time falls.
        self._first: Any = datetime.fromtimestamp(since_ms / 1000, UTC) if since_ms else "first"
        self._next = 0  # the offset of the first entry that was not heard

    async def attach(self, link: Link, on_lost: Callable[[LinkLost], None]) -> None:
        """Raises LinkLost."""
        channel = await link.channel(on_lost)
        channel.raw.add_on_cancel_callback(lambda _: on_lost(LinkLost(f"stream {self._stream} was deleted")))
        await channel.call(channel.raw.basic_qos, prefetch_count=_PREFETCH)
        start = {"x-stream-offset": self._next or self._first}
        await channel.call(channel.raw.basic_consume, self._stream, self._came, arguments=start)

    def _came(self, channel: Any, method: Any, properties: Any, body: bytes) -> None:
        channel.basic_ack(method.delivery_tag)
        self._next = int(properties.headers["x-stream-offset"]) + 1
        try:
            self._on_entry(body)
        except Exception:  # or pika would close the connection
            log.exception("an entry that cannot be read", stream=self._stream)
