"""What the engine runs on: a broker and a database of the run's own, made before it and dropped after it.

The servers are those of `deploy/services.sh start` (.services/env says where). In RabbitMQ the run has a
virtual host of its own, made by rabbitmqctl; where that may not be, JINGLUO_BENCH_AMQP can name an empty one.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

import psycopg
import uvloop

from bench import ceiling, usage
from bench.brokers import round_trips
from bench.site import ALL, APART
from config.settings import ROOT
from router.brokers import open_broker

_NAME = f"jingluo_bench_{os.getpid()}"
_NODES: tuple[dict[str, str], ...] = (
    {"RABBITMQ_NODENAME": "jingluo@localhost"},
    {},
)  # services.sh's own, else the machine's

_SIZE = 1024  # bytes of a body, for the brokers alone

Ceiling = Callable[[int], float]


class Ready(NamedTuple):
    """Settings for jingluo.yaml, and what the broker alone does with so many in flight (messages/s)."""

    broker: str
    database: str
    ceiling: Ceiling


@dataclass(frozen=True)
class Stack:
    """A broker and the journal's database. Empty: the embedded broker, SQLite."""

    name: str
    key: str
    amqp: str = ""
    postgresql: str = ""
    servers: dict[str, str] = field(default_factory=dict)  # label -> command of the server's process
    processes: Sequence[str] = ALL  # the roles of each of the engine's processes

    def pids(self) -> dict[str, list[int]]:
        return {label: usage.called(command) for label, command in self.servers.items()}

    @contextlib.contextmanager
    def prepared(self) -> Iterator[Ready]:
        """RuntimeError where a server does not give what the run needs."""
        with contextlib.ExitStack() as stack:
            broker = stack.enter_context(_vhost(self.amqp)) if self.amqp else "embedded"
            rows = stack.enter_context(database(self.postgresql)) if self.postgresql else ""
            yield Ready(broker, rows, _ceiling(broker))


def postgresql() -> str:
    """The address of the server for databases of our own; empty where there is none."""
    return _services().get("JINGLUO_TEST_POSTGRESQL", "")


def stacks() -> tuple[list[Stack], list[str]]:
    """What can be measured here, and for what cannot the reason."""
    found, missing = [Stack("embedded + SQLite", "embedded")], []
    known = _services()
    amqp = os.environ.get("JINGLUO_BENCH_AMQP") or known.get("JINGLUO_TEST_AMQP", "")
    postgresql = known.get("JINGLUO_TEST_POSTGRESQL", "")
    beam = {"RabbitMQ": "beam.smp"}
    if amqp and postgresql:
        servers = {**beam, "PostgreSQL": "postgres"}
        found.append(Stack("RabbitMQ + PostgreSQL", "rabbitmq-postgresql", amqp, postgresql, servers))
        name = "the same, journal apart"
        found.append(Stack(name, "rabbitmq-postgresql-2", amqp, postgresql, servers, APART))
    if amqp:
        found.append(Stack("RabbitMQ + SQLite", "rabbitmq-sqlite", amqp, servers=beam))
    for what, here in (("RabbitMQ", amqp), ("PostgreSQL", postgresql)):
        if not here:
            missing.append(f"NOT MEASURED: no {what} here; `deploy/services.sh start` says why")
    return found, missing


def _services() -> dict[str, str]:
    """.services/env, and before it what the environment says."""
    path = ROOT / ".services" / "env"
    lines = path.read_text().splitlines() if path.exists() else []
    known = dict(line.split("=", 1) for line in lines if "=" in line)
    return {**known, **{name: os.environ[name] for name in os.environ if name.startswith("JINGLUO_TEST_")}}


@contextlib.contextmanager
def _vhost(url: str) -> Iterator[str]:
    """A virtual host of the run's own on this server."""
    if os.environ.get("JINGLUO_BENCH_AMQP"):
        yield url
        return
    parts = urlsplit(url)
    node = _node()
    _rabbitmqctl(node, "add_vhost", _NAME)
    try:
        _rabbitmqctl(node, "set_permissions", "-p", _NAME, parts.username or "guest", ".*", ".*", ".*")
        yield urlunsplit(parts._replace(path=f"/{_NAME}"))
    finally:
        _rabbitmqctl(node, "delete_vhost", _NAME)


def _node() -> dict[str, str]:
    """The environment with which rabbitmqctl reaches the server."""
    for node in _NODES:
        with contextlib.suppress(RuntimeError):
            _rabbitmqctl(node, "list_vhosts")
            return node
    raise RuntimeError(
        "rabbitmqctl does not reach RabbitMQ; JINGLUO_BENCH_AMQP may name an empty virtual host"
    )


def _rabbitmqctl(node: dict[str, str], *words: str) -> None:
    try:
        command = ["rabbitmqctl", "--quiet", *words]
        subprocess.run(command, env={**os.environ, **node}, check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise RuntimeError(f"rabbitmqctl {words[0]} failed: {type(error).__name__}") from None


@contextlib.contextmanager
def database(url: str) -> Iterator[str]:
    """A database of the run's own on this server."""
    try:
        with psycopg.connect(url, autocommit=True) as server:
            server.execute(f'CREATE DATABASE "{_NAME}"')
    except psycopg.Error as error:
        raise RuntimeError(f"PostgreSQL gives no database: {type(error).__name__}") from None
    try:
        yield urlunsplit(urlsplit(url)._replace(path=f"/{_NAME}"))
    finally:
        with psycopg.connect(url, autocommit=True) as server:
            try:  # ends an autovacuum that is at it, which FORCE may not
                server.execute(f'DROP DATABASE "{_NAME}"')
            except psycopg.errors.ObjectInUse:
                server.execute(f'DROP DATABASE "{_NAME}" WITH (FORCE)')


def _ceiling(broker: str) -> Ceiling:
    alone = _embedded_alone if broker == "embedded" else _rabbitmq_alone
    return lambda in_flight: uvloop.run(alone(broker, in_flight))


def _enough(in_flight: int) -> int:
    """Messages for about a second."""
    return 500 + 100 * in_flight


async def _embedded_alone(setting: str, in_flight: int) -> float:
    """As the engine uses it: so many publishers, each waiting for its confirm."""
    with tempfile.TemporaryDirectory(prefix="jingluo-bench-") as folder:
        broker = open_broker(setting, Path(folder))
        await broker.start()
        row = await round_trips(broker, "embedded", in_flight, _enough(in_flight), _SIZE)
        await broker.stop()
    return row.per_second


async def _rabbitmq_alone(url: str, in_flight: int) -> float:
    """By pika, with nothing of the engine."""
    publishing, consuming = await ceiling.connect(url), await ceiling.connect(url)
    run = ceiling.Run(_enough(in_flight), in_flight, os.urandom(_SIZE))
    await run.prepare(publishing, consuming)
    row = await run.measure()
    for connection in (publishing, consuming):
        connection.close()
    return row.per_second
