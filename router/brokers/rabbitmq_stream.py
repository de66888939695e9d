"""pika over the event loop's own transport instead of its own reading and writing of the socket.

pika reads 4 KB at a time until the socket says no more, and asks epoll before and after each write: about five
system calls for a small message, where the loop's transport needs one. pika's interface for streams is made after
asyncio's, so this is only the plug between them.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any

from pika.adapters.asyncio_connection import AsyncioConnection, _AsyncioIOServicesAdapter
from pika.adapters.utils.nbio_interface import AbstractStreamTransport

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

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = _Transport(transport, self.protocol)  # type: ignore[arg-type]
        self.protocol.connection_made(self.transport)

    def data_received(self, data: bytes) -> None:
        self.protocol.data_received(data)

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


def connect(parameters: Any, on_done: Callable[[Any], None]) -> Any:
    """Begins a connection on the running loop; `on_done` gets it, or the exception. Returns the connection."""
    return AsyncioConnection(
        parameters,
        on_open_callback=on_done,
        on_open_error_callback=lambda _, error: on_done(error),
        custom_ioloop=_Services(asyncio.get_running_loop()),
    )
