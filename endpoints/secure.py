"""A listening door whose connections are TLS.

asyncio can do the handshake by itself (`create_server(ssl=...)`), but then nobody hears of one that fails, and from
whom. Here connections are accepted by us: with a limit on the handshake's time and on how many there are at once, and
one line in the log for each that fails. Afterwards the connection is asyncio's own, and nothing of this is in its way.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import structlog

from config.tls import ServerTls, peer_of, refusal, server_context

log = structlog.get_logger()

SHUTDOWN_S = 5.0  # how long the other side may take to say goodbye
_NO_ROOM_S = 1.0  # how long nothing is accepted where the process has no file descriptor left

Make = Callable[[], asyncio.Protocol]


def listening(host: str, port: int) -> socket.socket:
    """Raises OSError where the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=1024)


class Gate:
    """Accepts connections of one socket, and makes each one's protocol once its TLS is there and it may come in."""

    def __init__(self, tls: ServerTls, base: Path | str, name: str, most: int) -> None:
        """`most` handshakes at once; `name` is for the log. Raises OSError where a file cannot be used."""
        self.tls = tls
        self.log = log.bind(door=name)
        self.sockets: tuple[socket.socket, ...] = ()
        self._context = server_context(tls, base)
        self._most = most
        self._tasks: set[asyncio.Task[None]] = set()  # the accepting one, and a handshake each

    def open(self, listener: socket.socket, make: Make) -> None:
        listener.setblocking(False)
        self.sockets = (listener,)
        self._spawn(self._accept(listener, make))

    def close(self) -> None:
        """Ends listening and handshakes; who is inside stays."""
        for task in self._tasks:
            task.cancel()
        for listener in self.sockets:
            listener.close()
        self.sockets = ()

    async def _accept(self, listener: socket.socket, make: Make) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(listener)
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    continue  # it was gone before we looked
                self.log.error("tls.no_room", reason=error.strerror)
                await asyncio.sleep(_NO_ROOM_S)
                continue
            peer = f"{address[0]}:{address[1]}"
            if len(self._tasks) > self._most:
                self.log.warning("tls.too_many_handshakes", peer=peer, limit=self._most)
                connection.close()
            else:
                self._spawn(self._shake(connection, self.log.bind(peer=peer), make))

    async def _shake(self, connection: socket.socket, log: Any, make: Make) -> None:
        within = self.tls.handshake_within
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: _Entrance(self.tls, log, make),
                connection,
                ssl=self._context,
                ssl_handshake_timeout=within,
                ssl_shutdown_timeout=SHUTDOWN_S,
            )
        except ConnectionAbortedError:
            log.warning("tls.refused", reason=f"no handshake within {within:g} s")
        except ConnectionResetError:  # a probe of the port, a scanner
            log.info("tls.refused", reason="the caller went away")
        except OSError as error:
            log.warning("tls.refused", reason=refusal(error))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Entrance(asyncio.Protocol):
    """Looks at the certificate before the first byte, and makes way."""

    def __init__(self, tls: ServerTls, log: Any, make: Make) -> None:
        self._tls, self._log, self._make = tls, log, make

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = peer_of(transport.get_extra_info("ssl_object"))
        if peer is not None and not peer.among(self._tls.names):
            self._log.warning("tls.not_allowed", subject=peer.subject)
            transport.abort()  # type: ignore[attr-defined]
            return
        protocol = self._make()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
