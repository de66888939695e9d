"""pika over the event loop's own transport instead of its own reading and writing of the socket.

pika reads 4 KB at a time until the socket says no more, and asks epoll before and after each write: about five
system calls for a small message, where the loop's transport needs one. pika's interface for streams is made after
asyncio's, so this is only the plug between them, with a way past pika for the frames of which there are many
(rabbitmq_frames.py): the rest of the protocol is pika's.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any

from pika.adapters.asyncio_connection import AsyncioConnection, _AsyncioIOServicesAdapter
from pika.adapters.utils.nbio_interface import AbstractStreamTransport

from router.brokers.rabbitmq_frames import FrameReader, Taker

Connected = Callable[[tuple[Any, Any] | BaseException], None]


class _Transport(AbstractStreamTransport):  # type: ignore[misc]  # pika has no types here
    """What pika writes to: three pieces a publish, one an acknowledgement. A turn of the loop sends them together."""

    def __init__(self, transport: asyncio.Transport, protocol: Any) -> None:
        self._transport = transport
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._pieces: list[bytes] = []

    def get_protocol(self) -> Any:
        return self._protocol

    def write(self, data: bytes) -> None:
        if not self._pieces:
            self._loop.call_soon(self._flush)
        self._pieces.append(data)

    def _flush(self) -> None:
        pieces, self._pieces = self._pieces, []
        if not self._transport.is_closing():
            self._transport.write(b"".join(pieces))

    def abort(self) -> None:
        self._transport.abort()

    def get_write_buffer_size(self) -> int:
        return sum(map(len, self._pieces)) + self._transport.get_write_buffer_size()


class _Bridge(asyncio.Protocol):
    """What the loop tells; pika has no need of flow control in writing: `on_blocked` and confirms bound it."""

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self._connection: Connection = protocol.conn
        self._frames = FrameReader(self._connection.takers, protocol.data_received)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = _Transport(transport, self.protocol)  # type: ignore[arg-type]
        self.protocol.connection_made(self.transport)

    def data_received(self, data: bytes) -> None:
        taken = self._frames.feed(data)
        # pika counts what it sees meanwhile; a count that stands still is a dead line to its heartbeat.
        self._connection.bytes_received += taken

    def eof_received(self) -> bool | None:
        ended: bool | None = self.protocol.eof_received()
        return ended

    def connection_lost(self, error: Exception | None) -> None:
        self.protocol.connection_lost(error)


class _Services(_AsyncioIOServicesAdapter):  # type: ignore[misc]
    def create_streaming_connection(
        self,
        protocol_factory: Callable[[], Any],
        sock: socket.socket,
        on_done: Connected,
        ssl_context: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
    ) -> Any:
        async def connect() -> tuple[Any, Any]:
            _, bridge = await self._loop.create_connection(
                lambda: _Bridge(protocol_factory()),
                sock=sock,
                ssl=ssl_context,
                server_hostname=server_hostname if ssl_context else None,
            )
            return bridge.transport, bridge.protocol

        return self._schedule_and_wrap_in_io_ref(connect(), on_done)


class Connection(AsyncioConnection):  # type: ignore[misc]
    """Begins a connection on the running loop; `on_done` gets it, or the exception.

    `takers` are offered the frames of their channel before pika; `send` writes frames that pika did not make.
    """

    def __init__(self, parameters: Any, on_done: Callable[[Any], None]) -> None:
        self.takers: dict[int, Taker] = {}
        super().__init__(
            parameters,
            on_open_callback=on_done,
            on_open_error_callback=lambda _, error: on_done(error),
            custom_ioloop=_Services(asyncio.get_running_loop()),
        )

    def send(self, frames: bytes) -> None:
        self.bytes_sent += len(frames)
        self._transport.write(frames)
