"""A site made for a measurement, and the engine that runs it in a process of its own, or in several."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import usage

CHANNEL = """\
channel: {name}
title: messages as they come
from: {{mllp: {{port: {port}}}}}
format: hl7v2
index: {{patient: $PID-3.1, name: $PID-5, visit: $PV1-19.1}}
to:
  sink:
    send: {{mllp: {{host: 127.0.0.1, port: {sink}}}}}
"""
_SETTINGS = """\
http: {{host: 127.0.0.1, port: {http}}}
log: {{level: warning, format: json}}
"""
_START_S = 30.0


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


ALL = ("",)
APART = ("intake,delivery", "journal")


class Engine:
    """`jingluo run` of a site with one channel, MLLP to MLLP. `port` is its door, `journal` its database's URL.

    `channel` is its text, with gaps for name, port and the sink's port.
    `processes` are the roles of each, `ALL` is one process with every role; the first has the door.
    `program` is what the interpreter is told in place of the command's script.
    """

    def __init__(
        self,
        folder: Path,
        broker: str,
        database: str,
        sink: int,
        processes: Sequence[str] = ALL,
        profile: Path | None = None,
        channel: str = CHANNEL,
        program: Sequence[str] = (),
    ) -> None:
        self.port, self.http = free_port(), free_port()
        self._folder, self._sink = folder, sink
        write_site(folder, self.http)
        self.write(channel)
        self.log = folder / "engine.log"
        self.journal = database or f"sqlite:///{folder}/var/jingluo.db"
        profiler = ["-m", "cProfile", "-o", str(profile)] if profile else []
        run = [*(program or [jingluo()]), "--site", str(folder), "run"]
        self._commands = []
        for number, roles in enumerate(processes):
            env = environment(broker, database, roles, http=free_port() if number else self.http)
            self._commands.append(([sys.executable, *(profiler if number == 0 else ()), *run], env))
        self.start()

    def write(self, channel: str) -> None:
        """The channel's text, for the next start."""
        write_channel(self._folder, "bench", self.port, self._sink, channel)

    def start(self) -> None:
        """Again, after a `kill`."""
        self._processes = []
        for command, env in self._commands:
            with self.log.open("ab") as log:
                self._processes.append(subprocess.Popen(command, stdout=log, stderr=log, env=env))
        self.pids = [process.pid for process in self._processes]

    def kill(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def wait_until_open(self) -> None:
        """Until the door takes a connection. RuntimeError, with the log, when it ended or takes too long."""
        until = time.perf_counter() + _START_S
        while time.perf_counter() < until and self._processes[0].poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.005)
        raise RuntimeError(
            f"the engine did not open its door:\n{self.log.read_text(errors='replace')[-4000:]}"
        )

    def figure(self, name: str) -> float:
        """One unlabelled figure of /metrics."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))

    def wait_for_journal(self, within_s: float) -> float:
        """Until the journal's queue is empty; seconds that it took. The engine looks once a second."""
        began = time.perf_counter()
        time.sleep(1.1)
        while self.figure("jingluo_journal_behind") and time.perf_counter() - began < within_s:
            time.sleep(0.25)
        return time.perf_counter() - began

    def stop(self) -> int:
        """Asks them to stop, and makes them after 40 s. The worst exit code."""
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        return max(self._ended(process) for process in self._processes)

    @staticmethod
    def _ended(process: subprocess.Popen[bytes]) -> int:
        try:
            return abs(process.wait(40))
        except subprocess.TimeoutExpired:
            process.kill()
            return abs(process.wait())


@contextlib.contextmanager
def engine(
    broker: str,
    database: str,
    sink: int,
    processes: Sequence[str] = ALL,
    profile: Path | None = None,
    channel: str = CHANNEL,
    program: Sequence[str] = (),
) -> Iterator[Engine]:
    """A running engine in a temporary folder, stopped at the end. Its door may not be open yet."""
    with tempfile.TemporaryDirectory(prefix="jingluo-bench-") as folder:
        running = Engine(Path(folder), broker, database, sink, processes, profile, channel, program)
        try:
            yield running
        finally:
            running.stop()


def write_site(folder: Path, http: int = 0) -> None:
    """The site's settings; its channels are written one by one."""
    (folder / "channels").mkdir(parents=True)
    (folder / "jingluo.yaml").write_text(_SETTINGS.format(http=http))


def write_channel(folder: Path, name: str, port: int, sink: int, channel: str = CHANNEL) -> None:
    text = channel.format(name=name, port=port, sink=sink)
    (folder / "channels" / f"{name}.yaml").write_text(text, encoding="utf-8")


def jingluo() -> str:
    """The command's script: it stands beside the interpreter."""
    return str(Path(sys.executable).parent / "jingluo")


def timed(folder: Path, command: str) -> tuple[subprocess.CompletedProcess[str], float, float]:
    """One command on a site, the interpreter's start included: what it ended with, wall and CPU seconds."""
    began, used = time.perf_counter(), usage.children_s()
    words = [sys.executable, jingluo(), "--site", str(folder), command]
    done = subprocess.run(words, capture_output=True, text=True, env=environment())
    return done, time.perf_counter() - began, usage.children_s() - used


def environment(broker: str = "", database: str = "", roles: str = "", http: int = 0) -> dict[str, str]:
    """Settings that hold a password go by the environment, and nothing else of this product is in it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JINGLUO_")}
    given = {"JINGLUO_BROKER": broker, "JINGLUO_DATABASE": database, "JINGLUO_ROLES": roles}
    given["JINGLUO_HTTP_PORT"] = str(http or "")
    return kept | {name: value for name, value in given.items() if value}
