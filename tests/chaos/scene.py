"""What a trial is played on: a site, its engine, its receivers, and the servers behind relays that can cut."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from urllib.parse import urlsplit, urlunsplit

from disk import SmallDisk
from peers import Sink
from ports import quiet_port
from processes import Engine, Process
from proxy import Proxy
from servers import Cluster, Postgres, Rabbit, Servers, forget, left
from shape import DESTINATIONS, LANES, Shape, queues, write, write_channel


class Scene:
    """`needs` are the faults': `clock`, `tmpfs`. What a stack does not have is not there: ask for it in a fault of that
    stack only."""

    rabbit: Rabbit
    cluster: Cluster
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
            if self.shape.stack != "embedded":
                await self._served(servers, held)
            write(self.folder)
            for channel in self.shape.channels:
                write_channel(self.folder, channel, self.doors[channel.name], self._ports())
            processes = [self._process(number, roles) for number, roles in enumerate(self.shape.processes)]
            self.engine = Engine(processes, list(self.doors.values()))
            held.callback(self.engine.kill)
            self.engine.start()
            await self.engine.until_open()
            yield

    async def _served(self, servers: Servers, held: contextlib.AsyncExitStack) -> None:
        """RabbitMQ, one node behind a relay or three, and PostgreSQL behind a relay."""
        self.postgres = await servers.postgres()
        name = f"trial{self.shape.seed}"
        self.postgres.make(name)
        self.journal = self.postgres.url(name)
        self.sql = Proxy(self.postgres.port)
        relays = [self.sql]
        if self.shape.stack == "cluster":
            self.cluster = await servers.cluster()
            self._amqp_url = self.cluster.urls[0]
        else:
            self.rabbit = await servers.rabbit()
            self._amqp_url = self.rabbit.url
            self.amqp = Proxy(self.rabbit.port, amqp=True)
            relays.append(self.amqp)
        await asyncio.to_thread(forget, self._amqp_url)
        for relay in relays:
            await relay.open()
            held.push_async_callback(relay.close)
        self.database = _through(self.sql, self.journal)
        if self.shape.stack == "cluster":
            self.broker = ",".join(self.cluster.urls)
        else:
            self.broker = _through(self.amqp, self.rabbit.url)

    def _process(self, number: int, roles: str) -> Process:
        name = f"{roles or 'engine'}{number}"
        clock = self.folder / f"{name}.clock" if self._clocks else None
        return Process(self.folder, name, roles, self.broker, self.database, clock)

    def _ports(self) -> dict[str, int]:
        return {name: sink.port for name, sink in self.sinks.items()}

    def change(self, chance: Random) -> None:
        """One channel's file: how soon its destinations are tried again, and how many lanes it has."""
        channel = chance.choice(self.shape.channels)
        lanes = chance.choice(LANES) if channel.lanes else 0
        changed = replace(channel, lanes=lanes)
        write_channel(
            self.folder, changed, self.doors[channel.name], self._ports(), chance.randrange(100, 400)
        )

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
            f"{count} are left in {queue}"
            for queue, count in left(self._amqp_url, queues(self.shape)).items()
        ]


def _through(proxy: Proxy, url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{proxy.port}")))
