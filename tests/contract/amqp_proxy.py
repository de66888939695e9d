"""A TCP way of our own to RabbitMQ, that a test can cut."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit, urlunsplit


class Proxy:
    """A TCP way to the server that can be cut, or go silent towards the client."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._cuts = 0
        self.silent = False
        self.refusing = False
        self.connections = 0
        self.given = 0  # bytes to the client

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._come, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    def _come(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.refusing:
            writer.close()
            return
        self._writers.append(writer)
        cuts = self._cuts
        up_reader, up_writer = await asyncio.open_connection(*self._to)
        if cuts != self._cuts:  # who came while it was cut is cut too
            up_writer.transport.abort()
            return
        self._writers.append(up_writer)
        await asyncio.gather(self._pipe(reader, up_writer, False), self._pipe(up_reader, writer, True))

    async def _pipe(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, back: bool) -> None:
        try:
            while data := await source.read(65536):
                if not (back and self.silent):
                    self.given += len(data) if back else 0
                    sink.write(data)
        except OSError:
            pass
        finally:
            sink.close()

    def cut(self) -> None:
        self._cuts += 1
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def stop(self) -> None:
        self._server.close()
        self.refusing = True
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def way_through(url: str) -> tuple[str, Proxy]:
    """The same URL by way of a proxy, and the proxy."""
    parts = urlsplit(url)
    proxy = Proxy(parts.hostname or "127.0.0.1", parts.port or 5672)
    port = await proxy.start()
    login = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{port}")), proxy
