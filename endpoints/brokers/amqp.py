"""One AMQP 0-9-1 connection to a broker of others, by pika on the running loop: a channel to consume, or to publish."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from config.tls import ClientTls, client_context
from endpoints.brokers.inbox import LOST, Inbox
from endpoints.brokers.party import Party
from schemas.message import Reply

_FRAMES_S = 15.0  # for an answer to a method


class Letter(NamedTuple):
    """What came from a queue. `again`: somebody had it before and did not acknowledge it."""

    tag: int
    body: bytes
    headers: Mapping[str, str]
    again: bool


class AmqpLink(Inbox[Letter]):
    """`rejects`: what is refused here is rejected there, and goes to the queue's dead letters where it has any."""

    def __init__(self, party: Party, base_dir: str, vhost: str, rejects: bool = False) -> None:
        super().__init__()
        logging.getLogger("pika").setLevel(logging.CRITICAL)  # it logs addresses and tracebacks; we raise
        self._party, self._base_dir, self._vhost, self._rejects = party, base_dir, vhost, rejects
        self._loop = asyncio.get_running_loop()
        self._waiting: set[asyncio.Future[Any]] = set()
        self._unconfirmed: dict[int, asyncio.Future[None]] = {}
        self._returned: dict[str, str] = {}  # message id -> why it came back
        self._published = 0
        self._connection: Any = None
        self._channel: Any = None
        self._closed = self._loop.create_future()

    async def open(self) -> None:
        """A connection and a channel. Raises OSError and TimeoutError."""
        import pika
        from pika.adapters.asyncio_connection import AsyncioConnection

        party = self._party
        opened = self._awaited()
        told = partial(_resolve, opened)
        async with asyncio.timeout(party.connect_within):
            try:
                self._connection = AsyncioConnection(
                    _parameters(pika, party, self._base_dir, self._vhost), told, told, self._ended
                )
                if isinstance(result := await opened, BaseException):
                    raise ConnectionRefusedError(_reason(result))
                self._channel = await self._call(self._connection.channel, name="on_open_callback")
                self._channel.add_on_close_callback(self._lost)
                self.good = True
            except BaseException:
                await self.close()
                raise

    async def consume(self, queue: str, prefetch: int) -> None:
        """Raises ConnectionError where there is no such queue: it is not ours to make."""
        await self._call(self._channel.queue_declare, queue, passive=True)
        await self._call(self._channel.basic_qos, prefetch_count=prefetch)
        # Of a queue that is deleted, or moves to another node, the broker says no more than this.
        self._channel.add_on_cancel_callback(lambda _: self._lost(None, "the broker ended the subscription"))
        await self._call(self._channel.basic_consume, queue, self._arrived)

    async def confirm(self) -> None:
        """Each publish is answered from now on."""
        self._channel.add_on_return_callback(self._came_back)
        await self._call(self._channel.confirm_delivery, self._answered)

    def acknowledge(self, came: Letter, reply: Reply) -> None:
        if not self.good:
            return
        if self._rejects and reply.state == "refused":
            self._channel.basic_reject(came.tag, requeue=False)
        else:
            self._channel.basic_ack(came.tag)

    async def publish(self, exchange: str, key: str, body: bytes, properties: Mapping[str, Any]) -> None:
        """Returns once the broker has it in a queue. Raises ConnectionError; LookupError where no queue took it, and
        BlockingIOError where the broker does not take it now.
        """
        import pika

        if not self.good:
            raise ConnectionResetError(LOST)
        self._published += 1
        tag, word = self._published, self._awaited()
        self._unconfirmed[tag] = word
        made = pika.BasicProperties(**properties)
        self._channel.basic_publish(exchange, key, body, made, mandatory=True)
        try:
            await word
        finally:
            self._unconfirmed.pop(tag, None)
        if why := self._returned.pop(str(properties.get("message_id")), ""):
            raise LookupError(why)

    async def close(self) -> None:
        self.good = False
        if self._connection is not None and not (self._connection.is_closed or self._connection.is_closing):
            self._connection.close()
            await asyncio.wait([self._closed], timeout=2.0)

    async def _call(
        self, method: Callable[..., Any], *args: Any, name: str = "callback", **kwargs: Any
    ) -> Any:
        """The broker's answer to a method; the channel is its own where it has one."""
        answered = self._awaited()
        method(*args, **{name: partial(_resolve, answered)}, **kwargs)
        async with asyncio.timeout(_FRAMES_S):
            return await answered

    def _awaited(self) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = self._loop.create_future()
        self._waiting.add(future)
        future.add_done_callback(self._waiting.discard)
        return future

    def _arrived(self, _: Any, method: Any, properties: Any, body: bytes) -> None:
        headers = {"routing-key": str(method.routing_key)[:255]}
        said = {"content-type": properties.content_type, "message-id": properties.message_id}
        headers |= {name: str(value)[:255] for name, value in said.items() if value}
        for name, value in (properties.headers or {}).items():
            if isinstance(value, str | int) and len(headers) < 50:
                headers[f"amqp.{name.lower()}"[:100]] = str(value)[:1000]
        self._came.put_nowait(Letter(method.delivery_tag, body, headers, bool(method.redelivered)))

    def _came_back(self, _: Any, method: Any, properties: Any, __: bytes) -> None:
        self._returned[str(properties.message_id)] = f"{method.reply_code} {method.reply_text}"

    def _answered(self, frame: Any) -> None:
        tag, kept = frame.method.delivery_tag, type(frame.method).__name__ == "Ack"
        tags = [one for one in self._unconfirmed if one <= tag] if frame.method.multiple else [tag]
        for one in tags:
            word = self._unconfirmed.get(one)
            if word is None or word.done():
                continue
            if kept:
                word.set_result(None)
            else:
                word.set_exception(BlockingIOError("the broker does not take it now"))

    def _ended(self, _: Any, reason: Any) -> None:
        _resolve(self._closed, None)
        self._lost(None, reason)

    def _lost(self, _: Any, reason: Any) -> None:
        """The connection or its channel has ended."""
        self.good = False
        for future in tuple(self._waiting):
            if not future.done():
                future.set_exception(ConnectionResetError(_reason(reason) or LOST))
                future.exception()  # who waits hears of it; nobody else need to
        self._came.put_nowait(None)


def _parameters(pika: Any, party: Party, base_dir: str, vhost: str) -> Any:
    context = client_context(party.tls, base_dir) if isinstance(party.tls, ClientTls) else None
    return pika.ConnectionParameters(
        host=party.host,
        port=party.real_port,
        virtual_host=vhost,
        credentials=pika.PlainCredentials(party.user or "guest", str(party.password) or "guest"),
        heartbeat=int(party.keepalive),
        connection_attempts=1,
        socket_timeout=party.connect_within,
        stack_timeout=party.connect_within,
        ssl_options=pika.SSLOptions(context, party.host) if context is not None else None,
    )


def _resolve(future: asyncio.Future[Any], *said: Any) -> None:
    """With what the callback's last argument was: a frame, a channel, a connection, or why there is none."""
    if not future.done():
        future.set_result(said[-1])


def _reason(error: Any) -> str:
    """pika wraps the reason (connection refused, access refused) several times. Never with our password."""
    inner = getattr(error, "exceptions", None) or [getattr(error, "exception", None)]
    if isinstance(inner[-1], BaseException):
        return _reason(inner[-1])
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(getattr(error, "reply_text", "") or error or type(error).__name__)[:200]
