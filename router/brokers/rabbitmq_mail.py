"""This process's mailbox: a queue by which other processes answer it while it is there.

Nothing posted is confirmed: an answer is worthless once its sender has gone. It is a quorum queue all the same: a
classic one dies with its node, and can be neither used nor made again until that node is back. RabbitMQ's own reply-to
would do the same, but only on the channel that published the question.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import structlog

from router.brokers.rabbitmq_link import Link, LinkLost

log = structlog.get_logger()

_EXPIRES_MS = 60_000  # RabbitMQ deletes the mailbox of a process that has not come back by then
_MAX_BYTES = 200_000_000
_ARGUMENTS = {
    "x-queue-type": "quorum",
    "x-expires": _EXPIRES_MS,
    "x-max-length-bytes": _MAX_BYTES,
    "x-overflow": "drop-head",
}


class Mailbox:
    """Lives through reconnects: `attach` opens it on a new link, under the same address.

    Where it cannot be opened, the next try is under another: a queue that RabbitMQ was making when it died can stay
    behind as a name that nobody can use, and no delivery shall wait for that. Answers to the old one are lost.
    """

    def __init__(self, prefix: str, on_mail: Callable[[bytes], None]) -> None:
        self._prefix = prefix
        self._on_mail = on_mail
        self.address = self._new()

    def _new(self) -> str:
        return f"{self._prefix}.replies.{uuid.uuid4().hex}"

    async def attach(self, link: Link, on_lost: Callable[[LinkLost], None]) -> None:
        """Raises LinkLost."""
        try:
            channel = await link.channel(on_lost)
            await channel.declare_queue(self.address, _ARGUMENTS)
            channel.raw.add_on_cancel_callback(lambda _: on_lost(LinkLost("the mailbox was deleted")))
            await channel.call(channel.raw.basic_consume, self.address, self._came, auto_ack=True)
        except LinkLost:
            self.address = self._new()
            raise

    def _came(self, _channel: Any, _method: Any, _properties: Any, body: bytes) -> None:
        try:
            self._on_mail(body)
        except Exception:  # or pika would close the connection
            log.exception("mail that cannot be read")
