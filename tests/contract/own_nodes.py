"""RabbitMQ nodes and a PostgreSQL cluster of a test's own, on ports that nobody else here uses; ended by their pids."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from missing import missing

ROOT = Path(__file__).resolve().parents[2]
_PROGRAMS = Path("/usr/lib/rabbitmq/bin")


def first_port(count: int) -> int:
    """The first of some neighbouring ports, by the number of this process."""
    return 5800 + os.getpid() % (1500 // count) * count


def unless_missing(what: str, *paths: Path) -> None:
    if not all(path.exists() for path in paths):
        missing(f"no {what} here")


class Node:
    """One RabbitMQ node. `port` speaks AMQP, the two after it are free."""

    def __init__(self, folder: Path) -> None:
        unless_missing("RabbitMQ", _PROGRAMS / "rabbitmq-server")
        self._folder = folder
        self.port = first_port(3)

    def start(self, conf: str = "") -> None:
        """`conf` is added to its rabbitmq.conf."""
        own = self._folder / "own.conf"
        own.write_text(conf)
        self._do("start", str(own))

    def stop(self) -> None:
        self._do("kill")

    def _do(self, what: str, *more: str) -> None:
        script, folder = str(ROOT / "deploy/rabbitmq/node.sh"), str(self._folder / "node")
        subprocess.run(["bash", script, what, folder, str(self.port), *more], check=True, timeout=400)


class Cluster:
    """Three nodes, numbered from 1, by deploy/cluster.sh."""

    def __init__(self, folder: Path) -> None:
        unless_missing("RabbitMQ", _PROGRAMS / "rabbitmq-server")
        self._folder = folder
        self._first = first_port(3)

    def do(self, *words: str) -> None:
        env = os.environ | {"JINGLUO_CLUSTER": str(self._folder), "JINGLUO_CLUSTER_PORT": str(self._first)}
        subprocess.run(["bash", str(ROOT / "deploy/cluster.sh"), *words], check=True, env=env, timeout=400)

    def urls(self, first: int = 1) -> list[str]:
        """All three, beginning with one of them."""
        order = [(first - 1 + n) % 3 for n in range(3)]
        return [f"amqp://guest:guest@127.0.0.1:{self._first + n}/" for n in order]


class Postgres:
    """A PostgreSQL cluster in `folder`, where its user may read; `access` is its pg_hba.conf."""

    def __init__(self, settings: str, access: str, files: Sequence[Path] = ()) -> None:
        """`files` are copied into its data folder, for the settings to name."""
        self._programs = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"))), Path("/none"))
        unless_missing("PostgreSQL", self._programs / "initdb")
        self.folder = Path(tempfile.mkdtemp(prefix="jingluo-postgresql-"))
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres")
        self._data = self.folder / "data"
        self.port = first_port(3) + 2000
        self._run("initdb", "--auth=trust", "--username=jingluo", "--no-sync", "--encoding=UTF8")
        with (self._data / "postgresql.conf").open("a") as conf:
            conf.write(
                f"port = {self.port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\n{settings}"
            )
        (self._data / "pg_hba.conf").write_text(access)
        for file in files:
            self.put(file, file.name)
        self._run("pg_ctl", "start", "--wait", "--silent", f"--log={self._data / 'log'}")

    def put(self, file: Path, name: str) -> None:
        """A file into its data folder, as its user's own."""
        copy = self._data / name
        copy.touch(mode=0o600)
        copy.write_bytes(file.read_bytes())
        if os.geteuid() == 0:
            shutil.chown(copy, "postgres", "postgres")

    def reload(self) -> None:
        self._run("pg_ctl", "reload", "--silent")

    def url(self, host: str = "127.0.0.1") -> str:
        return f"postgresql://jingluo@{host}:{self.port}/postgres"

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "--mode=immediate", "--silent")
        shutil.rmtree(self.folder)

    def _run(self, program: str, *words: str) -> None:
        """PostgreSQL does not run as root."""
        command = [str(self._programs / program), *words, f"--pgdata={self._data}"]
        if os.geteuid() == 0:
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]
        subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL)
