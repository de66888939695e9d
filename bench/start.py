"""What a user waits for: `jingluo check` of a large site, and `jingluo run` to its first answer."""

from __future__ import annotations

import socket
import tempfile
import time
from pathlib import Path

from bench import usage
from bench.loader import Loader
from bench.samples import ADT
from bench.site import engine, timed, write_channel, write_site
from bench.table import Table

CHANNELS = 200
CHECK_S = 2.0
START_S = 2.0
RESIDENT_MB = 150.0

_COLUMNS = ["what", "seconds", "CPU s", "resident MB", "target"]
_TRIES = 3


def check(channels: int = CHANNELS) -> list[Table]:
    table = Table(f"jingluo check of {channels} channels (best of {_TRIES})", _COLUMNS)
    with tempfile.TemporaryDirectory(prefix="jingluo-bench-") as folder:
        write_site(Path(folder))
        for n in range(channels):
            write_channel(Path(folder), f"channel-{n:03d}", 20000 + n, 30000 + n)
        took, cpu = min(_check(Path(folder)) for _ in range(_TRIES))
    table.add("whole site, no findings", took, cpu, None, table.target("check, s", took, CHECK_S, most=True))
    return [table]


def _check(folder: Path) -> tuple[float, float]:
    """Wall and CPU seconds of one check, the interpreter's start included."""
    done, took, cpu = timed(folder, "check")
    if done.returncode:
        raise RuntimeError(f"the generated site has findings:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return took, cpu


def start() -> list[Table]:
    table = Table(f"jingluo run (embedded): from exec to the first AA (best of {_TRIES})", _COLUMNS)
    with Loader() as loader:
        took, cpu, resident = min(_start(loader.sink) for _ in range(_TRIES))
    table.add("first answer", took, cpu, resident, table.target("start, s", took, START_S, most=True))
    table.add(
        "resident after it",
        None,
        None,
        resident,
        table.target("memory, MB", resident, RESIDENT_MB, most=True),
    )
    return [table]


def _start(sink: int) -> tuple[float, float, float]:
    """Seconds to the first AA, CPU seconds until then, MB resident."""
    began = time.perf_counter()
    with engine("embedded", "", sink) as running:
        running.wait_until_open()
        with socket.create_connection(("127.0.0.1", running.port), timeout=10) as sender:
            sender.sendall(b"\x0b" + ADT.body(b"START1") + b"\x1c\r")
            answer = sender.recv(4096)
        took = time.perf_counter() - began
        if b"|AA|START1" not in answer:
            raise RuntimeError("the first message was not accepted")
        return took, usage.cpu_s(running.pids), usage.resident_mb(running.pids[0])
