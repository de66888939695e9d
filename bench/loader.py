"""The other end of `bench.load`: starts the load generator's process and tells it what to do."""

from __future__ import annotations

import json
import subprocess
import sys
from types import TracebackType
from typing import Any

import msgspec

from bench.load import Plan, Since
from bench.sinks import Mode


class Loader:
    """The load generator and sinks as a process. `sink` is the port that the engine shall send to."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.pid = self._process.pid
        self.sinks = [int(port) for port in self._told()["sinks"]]
        self.sink = self.sinks[0]

    def run(self, plan: Plan) -> dict[str, Any]:
        """Blocks until the run is over and the sink has everything: see `bench.book.summary`."""
        self._tell(msgspec.to_builtins(plan))
        return self._told()

    def mode(self, mode: Mode) -> float:
        """How the sinks answer from now on; when that began (`time.perf_counter`)."""
        self._tell(msgspec.to_builtins(mode))
        return float(self._told()["at"])

    def since(self, at: float, drain_s: float) -> dict[str, float]:
        """What reached the first sink after that time: see `bench.load.Desk.since`."""
        self._tell(msgspec.to_builtins(Since(at, drain_s)))
        return self._told()

    def count(self) -> dict[str, int]:
        """Lost and doubled messages of the last run, counted now."""
        self._tell("count")
        return self._told()

    def __enter__(self) -> Loader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def _tell(self, what: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()

    def _told(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the load generator ended with code {self._process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found
