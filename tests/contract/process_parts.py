"""An engine in a process of its own, as an operator starts it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import uuid
from pathlib import Path

WAIT_S = 60  # generous: others start while it does


_started: list[subprocess.Popen[bytes]] = []


def end_started() -> None:
    """Ends what a test that failed left running."""
    for process in _started:
        if process.poll() is None:
            process.kill()
            process.wait(WAIT_S)
    _started.clear()


class Process:
    """`jingluo run` as an operator starts it; `plugins` is a folder with the site's own packages."""

    def __init__(self, site: Path, broker: str, plugins: Path | None = None, **settings: str) -> None:
        self._site = site
        self._env = {
            **os.environ,
            "JINGLUO_BROKER": broker,
            "JINGLUO_SITE": str(site),
            "PYTHONUNBUFFERED": "1",
            **({"PYTHONPATH": str(plugins)} if plugins else {}),
            **{f"JINGLUO_{name.upper()}": value for name, value in settings.items()},
        }
        self._jingluo = [sys.executable, "-m", "router.cli"]
        self.start()

    def start(self) -> None:
        with (self._site / f"log-{uuid.uuid4().hex}").open("wb") as log:
            self._process = subprocess.Popen([*self._jingluo, "run"], env=self._env, stdout=log, stderr=log)
        _started.append(self._process)

    @property
    def died(self) -> int | None:
        """Its exit code once it is gone; minus the signal's number."""
        return self._process.poll()

    def command(self, *words: str) -> None:
        """`jingluo` with these words, beside the engine. Raises CalledProcessError."""
        subprocess.run([*self._jingluo, *words], env=self._env, check=True, timeout=WAIT_S)

    def hang_up(self) -> None:
        """It puts changed files to work."""
        self._process.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(WAIT_S)

    def memory(self, which: str) -> int:
        """Bytes: VmRSS is what is resident now, VmHWM the most there was since `forget_peak`."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.split(f"{which}:")[1].split()[0]) * 1024

    def forget_peak(self) -> None:
        Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")

    def terminate(self) -> int:
        self._process.terminate()
        return self._process.wait(WAIT_S)


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                return await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)  # the engine is still starting


def free_port() -> int:
    """One where nobody listens, and that no connection going out is given while the engine is not there."""
    while True:
        port = 26_000 + secrets.randbelow(6_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
