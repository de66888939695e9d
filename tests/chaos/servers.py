"""A RabbitMQ and a PostgreSQL of the trials' own, on ports of their own, so that they may be killed and stopped.

Both are Debian's programs, started in the foreground as our children, bound to loopback, with data in a folder of ours.
RabbitMQ's node has an epmd of its own as well: it is in nobody's list of nodes and meets no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import subprocess
from pathlib import Path
from tempfile import mkdtemp

import children
import pika
import psycopg
from pika.exceptions import AMQPError
from ports import quiet_port

logging.getLogger("pika").setLevel(logging.CRITICAL)  # a server that is down is no news here
UP_WITHIN_S = 60.0
_QUIET = "+sbwt none +sbwtdcpu none +sbwtdio none"  # an idle scheduler sleeps: the cores are others' too
_SCRIPTS = (Path("/usr/lib/rabbitmq/bin"), Path("/usr/local/lib/rabbitmq/bin"))


def missing() -> str:
    """Why there are none here; empty where there can be."""
    if _rabbitmq() is None:
        return "no RabbitMQ is installed"
    return "no PostgreSQL is installed" if _postgresql() is None else ""


class Server:
    """A program in the foreground. It may be killed, stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = quiet_port()
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def child(self) -> subprocess.Popen[bytes]:
        assert self._child is not None
        return self._child

    def start(self) -> None:
        raise AssertionError("each server says how")

    def answers(self) -> bool:
        raise AssertionError("each server says how")

    async def until_up(self) -> None:
        """Until it answers. RuntimeError where it ended instead, TimeoutError."""
        async with asyncio.timeout(UP_WITHIN_S):
            while not await asyncio.to_thread(self.answers):
                if self.child.poll() is not None:
                    raise RuntimeError(
                        f"{type(self).__name__} ended with {self.child.returncode}: {self.folder}"
                    )
                await asyncio.sleep(0.1)

    def kill(self) -> None:
        children.kill(self.child)

    def end(self) -> None:
        """For good, at once, with all that belongs to it."""
        self.kill()

    def pause(self) -> None:
        self.child.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.child.send_signal(signal.SIGCONT)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """As an operator does it. Blocks until it is gone."""
        self.child.send_signal(number)
        try:
            children.ended(self.child)
        except subprocess.TimeoutExpired:
            self.kill()


class Rabbit(Server):
    """One node."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        folder.mkdir()
        (folder / "enabled_plugins").write_text("[].\n")
        (folder / "rabbitmq.conf").write_text(
            "raft.wal_max_size_bytes = 32000000\nlog.console.level = warning\n"
        )
        epmd = quiet_port()
        self._scripts = _rabbitmq() or Path()
        self._env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),  # the node's cookie
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"chaos-{os.getpid()}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(quiet_port()),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_ALLOW_INPUT": "true",  # no shell between us and the node
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                f"-noinput -kernel inet_dist_use_interface {{127,0,0,1}} {_QUIET}"
            ),
        }
        self._epmd = children.start(
            ["epmd", "-port", str(epmd), "-address", "127.0.0.1"], folder / "epmd.log"
        )

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def start(self) -> None:
        self._child = children.start([str(self._scripts / "rabbitmq-server")], self.folder / "log", self._env)

    def answers(self) -> bool:
        with contextlib.suppress(AMQPError, OSError):
            pika.BlockingConnection(_parameters(self.url)).close()
            return True
        return False

    def end(self) -> None:
        self.kill()
        children.kill(self._epmd)

    def control(self, *words: str) -> None:
        """rabbitmqctl. RuntimeError where it says no. Blocks."""
        command = [str(self._scripts / "rabbitmqctl"), "--quiet", *words]
        env = self._env | {"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": ""}
        done = subprocess.run(command, env=env, capture_output=True, timeout=60, text=True)
        if done.returncode:
            raise RuntimeError(f"rabbitmqctl {words[0]}: {(done.stderr or done.stdout).strip()[:500]}")

    def left(self, queues: list[str]) -> dict[str, int]:
        """Of these queues those that are not empty, with how many wait in them. Blocks."""
        found = {}
        with pika.BlockingConnection(_parameters(self.url)) as connection:
            for queue in queues:
                count = connection.channel().queue_declare(queue, passive=True).method.message_count
                if count:
                    found[queue] = int(count)
        return found


class Postgres(Server):
    """One cluster. Root may not run it, so then Debian's user does."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
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

    def answers(self) -> bool:
        with contextlib.suppress(psycopg.Error):
            psycopg.connect(self.url(), connect_timeout=3).close()
            return True
        return False

    def end(self) -> None:
        self.stop(signal.SIGQUIT)  # its processes end with it

    def make(self, database: str) -> None:
        """A new empty database. Blocks."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{database}"')


class Servers:
    """Both, started when a trial first needs them and kept for the next ones, until the block ends."""

    def __init__(self) -> None:
        self._made = 0
        self._running: list[Server] = []
        self._both: tuple[Rabbit, Postgres] | None = None

    def __enter__(self) -> Servers:
        self._folder = Path(mkdtemp(prefix="jingluo-chaos-servers-"))
        self._folder.chmod(0o711)  # PostgreSQL's user goes through it
        return self

    def __exit__(self, *_: object) -> None:
        self.renew()
        shutil.rmtree(self._folder)

    async def both(self) -> tuple[Rabbit, Postgres]:
        """Raises RuntimeError, TimeoutError where one does not come up."""
        if self._both is None:
            self._made += 1
            rabbit = Rabbit(self._folder / f"rabbitmq{self._made}")
            rabbit.start()
            self._running.append(rabbit)
            postgres = await asyncio.to_thread(Postgres, self._folder / f"postgresql{self._made}")
            postgres.start()
            self._running.append(postgres)
            await rabbit.until_up()
            await postgres.until_up()
            self._both = (rabbit, postgres)
        return self._both

    def renew(self) -> None:
        """After a trial that broke: the next one gets new ones."""
        for server in self._running:
            server.end()
        self._running, self._both = [], None


def _parameters(url: str) -> pika.URLParameters:
    parameters = pika.URLParameters(url)
    parameters.socket_timeout = parameters.stack_timeout = parameters.blocked_connection_timeout = 5
    return parameters


def _rabbitmq() -> Path | None:
    """The folder of its scripts; that in PATH asks for a user and a fixed name."""
    return next((path for path in _SCRIPTS if (path / "rabbitmq-server").exists()), None)


def _postgresql() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if found:
        return found[-1].parent
    here = shutil.which("postgres")
    return Path(here).parent if here else None
