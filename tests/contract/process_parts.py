"""An engine in a process of its own, as an operator starts it."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import uuid
from pathlib import Path

WAIT_S = 30


class Process:
    """`jingluo run` as an operator starts it."""

    def __init__(self, site: Path, broker: str) -> None:
        self._site = site
        self._env = {
            **os.environ,
            "JINGLUO_BROKER": broker,
            "JINGLUO_SITE": str(site),
            "PYTHONUNBUFFERED": "1",
        }
        self._jingluo = [sys.executable, "-m", "router.cli"]
        self.start()

    def start(self) -> None:
        self._log = (self._site / f"log-{uuid.uuid4().hex}").open("wb")
        self._process = subprocess.Popen(
            [*self._jingluo, "run"], env=self._env, stdout=self._log, stderr=self._log
        )

    def command(self, *words: str) -> None:
        """`jingluo` with these words, beside the engine. Raises CalledProcessError."""
        subprocess.run([*self._jingluo, *words], env=self._env, check=True, timeout=WAIT_S)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(WAIT_S)
        self._log.close()

    def memory(self, which: str) -> int:
        """Bytes: VmRSS is what is resident now, VmHWM the most there was since `forget_peak`."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.split(f"{which}:")[1].split()[0]) * 1024

    def forget_peak(self) -> None:
        Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")

    def terminate(self) -> int:
        self._process.terminate()
        code = self._process.wait(WAIT_S)
        self._log.close()
        return code


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                return await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)  # the engine is still starting


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
