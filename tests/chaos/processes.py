"""The engine of a trial: `jingluo run` of a site, in one process or its roles apart, and what is done to them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import children

from bench import usage
from bench.site import environment, jingluo

OPEN_WITHIN_S = 60.0
JOURNAL_KEY = "0" * 32  # the site's, between processes that each have a `var` of their own
STOP_WITHIN_S = 45.0  # the engine's own limit is 30 s


class Process:
    """One process of the engine, with a name of its own. `roles` as `--roles` takes them; empty is all.

    `clock`: its wall clock is moved by what is written into that file (shifted.py).
    """

    def __init__(
        self, site: Path, name: str, roles: str, broker: str, database: str, clock: Path | None = None
    ) -> None:
        self.name, self.roles = name, roles
        self.log = site / f"{name}.log"
        self._clock = clock
        command = [str(Path(__file__).with_name("shifted.py")), str(clock)] if clock else [jingluo()]
        self._command = [sys.executable, *command, "--site", str(site), "run"]
        self._env = environment(broker, database, roles) | {
            "JINGLUO_HTTP_PORT": "0",
            "JINGLUO_JOURNAL_KEY": JOURNAL_KEY,
            "JINGLUO_BLOBS_KEY": JOURNAL_KEY,
            "JINGLUO_BLOBS_FOLDER": "blobs",
            "JINGLUO_BLOBS_FREE": "10MB",
            "JINGLUO_VAR": f"var/{name}",
        }
        self._child: subprocess.Popen[bytes] | None = None

    def does(self, role: str) -> bool:
        return not self.roles or role in self.roles.split(",")

    def start(self) -> None:
        self._said = self.log.stat().st_size if self.log.exists() else 0
        self._child = children.start(self._command, self.log, self._env)

    @property
    def started(self) -> bool:
        """Whether it says that it works, since its last start."""
        with self.log.open("rb") as log:
            log.seek(self._said)
            return b'"engine.started"' in log.read()

    @property
    def child(self) -> subprocess.Popen[bytes]:
        assert self._child is not None
        return self._child

    def kill(self) -> None:
        """SIGKILL."""
        children.kill(self.child)

    def pause(self) -> None:
        self.child.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.child.send_signal(signal.SIGCONT)

    def reload(self) -> None:
        """Puts changed files to work."""
        self.child.send_signal(signal.SIGHUP)

    def set_clock(self, ahead_s: float) -> None:
        """Its wall clock goes so far ahead of the machine's, or behind."""
        assert self._clock is not None, "a trial with a clock of its own"
        self._clock.write_text(str(ahead_s))
        self.child.send_signal(signal.SIGUSR2)

    def kill_scribe(self) -> None:
        """SIGKILL to the process that it started for the journal's rows, if there is one now."""
        for pid in usage.children(self.child.pid):
            with contextlib.suppress(ProcessLookupError):
                if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)

    def stop(self) -> int:
        """As an operator does it: SIGTERM. Its exit code; raises subprocess.TimeoutExpired. Blocks."""
        self.child.terminate()
        return children.ended(self.child, STOP_WITHIN_S)


class Engine:
    """All processes of one site. `doors` are the ports that senders use."""

    def __init__(self, processes: Sequence[Process], doors: Sequence[int]) -> None:
        self.processes = processes
        self.doors = doors

    def start(self) -> None:
        for process in self.processes:
            process.start()

    def doing(self, role: str) -> Process:
        return next(process for process in self.processes if process.does(role))

    async def until_open(self) -> None:
        """Until all work and every door takes a connection. RuntimeError where a process ended instead."""
        async with asyncio.timeout(OPEN_WITHIN_S):
            while not all(process.started for process in self.processes):
                self.check()
                await asyncio.sleep(0.05)
            for door in self.doors:
                while not await _takes(door):
                    self.check()
                    await asyncio.sleep(0.05)

    def check(self) -> None:
        """RuntimeError where a process has ended that nobody ended."""
        for process in self.processes:
            code = process.child.poll()
            if code is not None:
                tail = process.log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"the engine ({process.name}) ended with {code}:\n{tail}")

    def kill(self) -> None:
        """Whatever is still there, also what is stopped."""
        for process in self.processes:
            process.kill()

    async def stop(self) -> list[str]:
        """Stops all at once; what did not end well, and 0 is well."""
        codes = await asyncio.gather(
            *(asyncio.to_thread(process.stop) for process in self.processes), return_exceptions=True
        )
        return [
            f"the engine ({process.name}) did not stop well: {code!r}"
            for process, code in zip(self.processes, codes, strict=True)
            if code != 0
        ]


async def _takes(port: int) -> bool:
    with contextlib.suppress(OSError):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        return True
    return False
