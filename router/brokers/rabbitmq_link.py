"""pika's callbacks as awaitables: a connection on the running loop, and its channels.

pika reports everything by callback and one that raises tears the connection down, so what happens in them is
kept small here, and a connection tells its end exactly once.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any

import pika
from pika.exceptions import AMQPError, ChannelClosedByBroker

from router.brokers.base import Standing
from router.brokers.rabbitmq_frames import Taker, ack
from router.brokers.rabbitmq_stream import Connection

logging.getLogger("pika").setLevel(logging.CRITICAL)  # what matters is logged by us, once, without its data

CALL_TIMEOUT_S = 15.0
CONNECT_TIMEOUT_S = 10.0
GOODBYE_S = 2.0
HEARTBEAT_S = 20


class LinkLost(Exception):
    """The connection or channel is gone, or does not answer. `code` is AMQP's reply code, or 0."""

    def __init__(self, reason: object, code: int = 0) -> None:
        super().__init__(str(reason) or type(reason).__name__)
        self.code = code


class Channel:
    """A channel. `on_closed(reason)` is called when it ends without our wish."""

    def __init__(self, raw: Any, on_closed: Callable[[LinkLost], None]) -> None:
        self.raw = raw
        self._on_closed = on_closed
        self._waiting: set[asyncio.Future[Any]] = set()
        self._closing = False
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        raw.add_on_close_callback(self._ended)

    def take(self, taker: Taker) -> None:
        """`taker` is offered each frame of this channel before pika, as long as the channel lives."""
        self.raw.connection.takers[self.raw.channel_number] = taker

    def send(self, frames: bytes) -> None:
        """Only while `raw.is_open`."""
        self.raw.connection.send(frames)

    def ack(self, tag: int, *, multiple: bool = False) -> None:
        self.send(ack(self.raw.channel_number, tag, multiple))

    async def call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Awaits the broker's answer to an AMQP method. Raises LinkLost."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            method(*args, callback=partial(_resolve, future), **kwargs)
            async with asyncio.timeout(CALL_TIMEOUT_S):
                return await future
        except AMQPError as error:
            raise LinkLost(error) from error
        except TimeoutError as error:
            raise LinkLost("the broker does not answer") from error
        finally:
            self._waiting.discard(future)

    async def declare_queue(self, name: str, arguments: dict[str, Any] | None) -> Standing:
        """Declares, or with `arguments` None only looks."""
        frame = await self.call(
            self.raw.queue_declare, name, passive=arguments is None, durable=True, arguments=arguments
        )
        return Standing(int(frame.method.message_count), int(frame.method.consumer_count))

    async def close(self) -> None:
        """Ends it; what was delivered on it and not acknowledged goes back to the head of its queue."""
        self._closing = True
        if self.raw.is_open:
            self.spare_cancel()
            self.raw.close()
        if not self.raw.is_closed:
            await asyncio.wait([self._closed], timeout=CALL_TIMEOUT_S)

    def spare_cancel(self) -> None:
        """Keeps pika from sending a basic.cancel for each consumer before it closes the channel.

        A cancel lets the next consumer of a lane begin with later messages while the earlier ones are still
        on their way back (60 times in 60 tries on RabbitMQ 3.10); the close alone does both in one step.
        """
        if self.raw.is_open:
            self.raw._cancelled.update(self.raw.consumer_tags)

    def _ended(self, _: Any, reason: Exception) -> None:
        self.raw.connection.takers.pop(
            self.raw.channel_number, None
        )  # before another channel gets its number
        lost = LinkLost(reason, reason.reply_code if isinstance(reason, ChannelClosedByBroker) else 0)
        if not self._closed.done():
            self._closed.set_result(None)
        for future in self._waiting:
            if not future.done():
                future.set_exception(lost)
        if not self._closing:
            self._on_closed(lost)


class Link:
    """A connection. `on_lost(reason)` is called once when it ends without our wish, `on_blocked` when the
    broker stops reading what is published (memory or disk alarm) and when it goes on."""

    def __init__(self, raw: Any, on_lost: Callable[[LinkLost], None]) -> None:
        self._raw = raw
        self._on_lost = on_lost
        self._closing = False
        self._channels: list[Channel] = []
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        raw.add_on_close_callback(self._ended)

    @classmethod
    async def open(
        cls, url: str, on_lost: Callable[[LinkLost], None], context: ssl.SSLContext | None = None
    ) -> Link:
        """Connects; by TLS where there is a `context`. Raises LinkLost."""
        loop = asyncio.get_running_loop()
        parameters = pika.URLParameters(url)
        parameters.heartbeat = HEARTBEAT_S
        parameters.ssl_options = pika.SSLOptions(context, parameters.host) if context else None
        parameters.connection_attempts = 1
        parameters.socket_timeout = parameters.stack_timeout = CONNECT_TIMEOUT_S
        done: asyncio.Future[Any] = loop.create_future()
        connection = Connection(parameters, partial(_resolve, done))
        try:
            result = await asyncio.shield(done)
        except asyncio.CancelledError:
            connection.close()
            raise
        if isinstance(result, BaseException):
            raise LinkLost(_root(result))
        return cls(result, on_lost)

    def watch_blocked(self, on_blocked: Callable[[bool], None]) -> None:
        self._raw.add_on_connection_blocked_callback(lambda *_: on_blocked(True))
        self._raw.add_on_connection_unblocked_callback(lambda *_: on_blocked(False))

    async def channel(self, on_closed: Callable[[LinkLost], None]) -> Channel:
        opened: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        try:
            self._raw.channel(on_open_callback=partial(_resolve, opened))
            async with asyncio.timeout(CALL_TIMEOUT_S):
                channel = Channel(await opened, on_closed)
        except AMQPError as error:
            raise LinkLost(error) from error
        except TimeoutError as error:
            raise LinkLost("the broker does not open a channel") from error
        self._channels = [open_ for open_ in self._channels if open_.raw.is_open]
        self._channels.append(channel)
        return channel

    def close(self) -> None:
        """Lets go without waiting for the broker's goodbye."""
        self._closing = True
        if self._raw.is_open:
            for channel in self._channels:
                channel.spare_cancel()
            self._raw.close()

    async def closed(self) -> None:
        """Waits, but not long, for the goodbye."""
        await asyncio.wait([self._closed], timeout=GOODBYE_S)

    def _ended(self, _: Any, reason: Exception) -> None:
        if not self._closed.done():
            self._closed.set_result(None)
        if not self._closing:
            self._closing = True
            self._on_lost(LinkLost(reason))


def _resolve(future: asyncio.Future[Any], value: Any) -> None:
    if not future.done():
        future.set_result(value)


def _root(error: BaseException) -> BaseException:
    """pika wraps the reason (connection refused, access refused) several times."""
    inner = getattr(error, "exceptions", None) or [getattr(error, "exception", None)]
    last = inner[-1]
    return _root(last) if isinstance(last, BaseException) else error
