"""What a trial is played on: a site, its engine, its receivers, and the servers behind relays that can cut."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Collection, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from disk import SmallDisk
from peers import Sink
from ports import quiet_port
from processes import Engine, Process
from proxy import Proxy
from servers import Postgres, Rabbit, Servers
from shape import DESTINATIONS, Shape, queues, write


class Scene:
    """`needs` are the faults': `clock`, `tmpfs`. What a stack does not have is not there: ask for it in a fault of that
    stack only."""

    rabbit: Rabbit
    postgres: Postgres
    amqp: Proxy  # between engine and RabbitMQ
    sql: Proxy  # between engine and PostgreSQL
    disk: SmallDisk

    def __init__(self, shape: Shape, needs: Collection[str], folder: Path) -> None:
        self.shape = shape
        self.folder = folder
        self.doors = {channel.name: quiet_port() for channel in shape.channels}
        self.sinks = {
            f"{channel.name}.{destination}": Sink(f"{channel.name}.{destination}", quiet_port(), shape.seed)
            for channel in shape.channels
            for destination in DESTINATIONS
        }
        self.broker = "embedded"
        self.journal = self.database = f"sqlite:///{folder}/var/journal.db"  # for us, and for the engine
        self._clocks = "clock" in needs
        self._small = "tmpfs" in needs

    @contextlib.asynccontextmanager
    async def up(self, servers: Servers) -> AsyncIterator[None]:
        """Everything is up within, and the engine's doors are open. Its processes are gone afterwards."""
        async with contextlib.AsyncExitStack() as held:
            (self.folder / "var").mkdir()
            if self._small:
                self.disk = SmallDisk(self.folder / "var")
                held.callback(self.disk.unmount)
            for sink in self.sinks.values():
                await sink.open()
                held.push_async_callback(sink.close)
            if self.shape.stack == "rabbitmq":
                await self._served(servers, held)
            write(self.folder, self.shape, self.doors, {name: sink.port for name, sink in self.sinks.items()})
            self.engine = Engine(
                [self._process(roles) for roles in self.shape.processes], list(self.doors.values())
            )
            held.callback(self.engine.kill)
            self.engine.start()
            await self.engine.until_open()
            yield

    async def _served(self, servers: Servers, held: contextlib.AsyncExitStack) -> None:
        self.rabbit, self.postgres = await servers.both()
        name = f"trial{self.shape.seed}"
        self.postgres.make(name)
        self.amqp, self.sql = Proxy(self.rabbit.port, amqp=True), Proxy(self.postgres.port)
        for proxy in (self.amqp, self.sql):
            await proxy.open()
            held.push_async_callback(proxy.close)
        self.broker = _through(self.amqp, self.rabbit.url)
        self.journal = self.postgres.url(name)
        self.database = _through(self.sql, self.journal)

    def _process(self, roles: str) -> Process:
        name = roles or "engine"
        clock = self.folder / f"{name}.clock" if self._clocks else None
        return Process(self.folder, roles, self.broker, self.database, self.folder / f"{name}.log", clock)

    @contextlib.contextmanager
    def journal_locked(self) -> Iterator[None]:
        """Nobody else writes into the journal's SQLite files within: the catalogue, and each day's two."""
        var = self.folder / "var"
        with contextlib.ExitStack() as held:
            for file in (var / "journal.db", *sorted((var / "journal.days").glob("*.db"))):
                other = sqlite3.connect(file, timeout=30, isolation_level=None)
                held.callback(other.close)
                other.execute("BEGIN IMMEDIATE")
            yield

    def left(self) -> list[str]:
        """Queues that are not empty after the engine has stopped. Blocks."""
        if self.shape.stack == "embedded":
            return []
        return [
            f"{count} are left in {queue}" for queue, count in self.rabbit.left(queues(self.shape)).items()
        ]


def _through(proxy: Proxy, url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{proxy.port}")))
