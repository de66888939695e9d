"""A RabbitMQ, or three, and a PostgreSQL of the trials' own, on ports of their own, so that they may be killed.

RabbitMQ's nodes are started by deploy/rabbitmq/node.sh and deploy/cluster.sh, with data in a folder of ours; each is
known by its process. PostgreSQL's server is our child. All are bound to loopback.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp

import children
import pika
import psycopg
from pika.exceptions import ChannelClosedByBroker
from ports import quiet_port

from router.board import BOARD
from router.resends import SEEN
from router.suspects import TRIES

logging.getLogger("pika").setLevel(logging.CRITICAL)  # a server that is down is no news here
UP_WITHIN_S = 60.0
_DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
_RABBITMQ = Path("/usr/lib/rabbitmq/bin")
_NODE_S = 90  # until a node answers
_DO_S = 3 * _NODE_S + 30.0


def missing() -> str:
    """Why there are none here; empty where there can be."""
    if not (_RABBITMQ / "rabbitmq-server").exists():
        return "no RabbitMQ is installed"
    return "no PostgreSQL is installed" if _postgresql() is None else ""


class Rabbit:
    """One node, down until `start`. What it does blocks until it is done; RuntimeError where it cannot be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = quiet_port()

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def start(self) -> None:
        self._node("start")

    def stop(self) -> None:
        """As an operator does it."""
        self._node("stop")

    def kill(self) -> None:
        """SIGKILL."""
        self._node("kill")

    def pause(self) -> None:
        os.kill(self._pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self._pid, signal.SIGCONT)

    def control(self, *words: str) -> None:
        """rabbitmqctl."""
        sourced = (
            f'. {_DEPLOY}/rabbitmq/node.sh && node_env "$0" "$1" "$PROGRAMS/rabbitmqctl" --quiet "${{@:2}}"'
        )
        _done(["bash", "-c", sourced, str(self.folder), str(self.port), *words])

    @property
    def _pid(self) -> int:
        return int((self.folder / "node.pid").read_text())

    def _node(self, what: str) -> None:
        _done(["bash", str(_DEPLOY / "rabbitmq" / "node.sh"), what, str(self.folder), str(self.port)])


class Cluster:
    """Three nodes, numbered from 1, down until `do("start")`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._first = quiet_port(3)
        folder.mkdir()

    @property
    def urls(self) -> list[str]:
        return [f"amqp://guest:guest@127.0.0.1:{self._first + n}/" for n in range(3)]

    def do(self, *words: str) -> None:
        """What deploy/cluster.sh can: `kill 2`, `node 2`. Blocks; RuntimeError where it cannot be done."""
        told = {"JINGLUO_CLUSTER": str(self._folder), "JINGLUO_CLUSTER_PORT": str(self._first)}
        _done(["bash", str(_DEPLOY / "cluster.sh"), *words], dict(os.environ) | told)

    def kill(self) -> None:
        for number in (1, 2, 3):
            self.do("kill", str(number))


def left(url: str, queues: list[str]) -> dict[str, int]:
    """Of these queues of RabbitMQ those that are not empty, with how many wait in them. Blocks."""
    found = {}
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        for queue in queues:
            with contextlib.suppress(ChannelClosedByBroker):  # there is no such queue
                count = int(connection.channel().queue_declare(queue, passive=True).method.message_count)
                found[queue] = count
    return {queue: count for queue, count in found.items() if count}


def forget(url: str) -> None:
    """What the engines of the trial before told each other by streams: messages have the same names in each. Blocks."""
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        for stream in (BOARD, TRIES, SEEN):
            connection.channel().queue_delete(stream.name)


class Postgres:
    """One server. Root may not run it, so then Debian's user does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = quiet_port()
        self._programs = _postgresql() or Path()
        self._user = "postgres" if os.geteuid() == 0 else None
        folder.mkdir()
        if self._user:
            shutil.chown(folder, self._user, self._user)
        words = [
            "-D",
            str(folder / "data"),
            "-U",
            "chaos",
            "--auth=trust",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C",
        ]
        making = children.start([str(self._programs / "initdb"), *words], self._log, user=self._user)
        if children.ended(making, UP_WITHIN_S):
            raise RuntimeError(f"initdb failed:\n{self._log.read_text()[-1000:]}")
        self.start()

    @property
    def _log(self) -> Path:
        return self.folder.with_suffix(".log")

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://chaos@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        where = ["-D", str(self.folder / "data"), "-p", str(self.port)]
        told = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        self._child = children.start(
            [str(self._programs / "postgres"), *where, *told], self._log, user=self._user
        )

    async def until_up(self) -> None:
        """Until it answers. RuntimeError where it ended instead, TimeoutError."""
        async with asyncio.timeout(UP_WITHIN_S):
            while not await asyncio.to_thread(self._answers):
                if self._child.poll() is not None:
                    raise RuntimeError(f"PostgreSQL ended with {self._child.returncode}: {self._log}")
                await asyncio.sleep(0.1)

    def kill(self) -> None:
        """At once, with its processes, and without writing anything back."""
        self._child.send_signal(signal.SIGQUIT)
        try:
            children.ended(self._child)
        except subprocess.TimeoutExpired:
            children.kill(self._child)

    def _answers(self) -> bool:
        with contextlib.suppress(psycopg.Error):
            psycopg.connect(self.url(), connect_timeout=3).close()
            return True
        return False

    def make(self, database: str) -> None:
        """A new empty database. Blocks."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{database}"')


class Servers:
    """All of them, each started when a trial first needs it and kept for the next ones, until the block ends."""

    def __init__(self) -> None:
        self._made = 0
        self._rabbit: Rabbit | None = None
        self._cluster: Cluster | None = None
        self._postgres: Postgres | None = None

    def __enter__(self) -> Servers:
        self._folder = Path(mkdtemp(prefix="jingluo-chaos-servers-"))
        self._folder.chmod(0o711)  # PostgreSQL's user goes through it
        return self

    def __exit__(self, *_: object) -> None:
        self.renew()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def rabbit(self) -> Rabbit:
        if self._rabbit is None:
            self._rabbit = Rabbit(self._new("rabbitmq"))  # ours before it starts: also Ctrl-C then ends it
            await asyncio.to_thread(self._rabbit.start)
        return self._rabbit

    async def cluster(self) -> Cluster:
        if self._cluster is None:
            self._cluster = Cluster(self._new("cluster"))
            await asyncio.to_thread(self._cluster.do, "start")
        return self._cluster

    async def postgres(self) -> Postgres:
        if self._postgres is None:
            self._postgres = await asyncio.to_thread(Postgres, self._new("postgresql"))
            await self._postgres.until_up()
        return self._postgres

    def renew(self) -> None:
        """After a trial that broke: the next one gets new ones."""
        for server in (self._rabbit, self._cluster, self._postgres):
            if server is not None:
                server.kill()
        self._rabbit = self._cluster = self._postgres = None

    def _new(self, name: str) -> Path:
        self._made += 1
        return self._folder / f"{name}{self._made}"


def _done(command: Sequence[str], env: dict[str, str] | None = None) -> None:
    env = (env or dict(os.environ)) | {"JINGLUO_NODE_WAIT_S": str(_NODE_S)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=_DO_S)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[1:])}: {(done.stderr or done.stdout).strip()[-500:]}")


def _postgresql() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if found:
        return found[-1].parent
    here = shutil.which("postgres")
    return Path(here).parent if here else None
