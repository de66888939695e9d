"""What processes have used, from /proc: CPU seconds, with threads and ended children, and resident memory."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")
_MACHINE = "machine"


def cpu_s(pids: Iterable[int]) -> float:
    """CPU time of these processes and of all that they started, since they began (user and system, seconds).

    A child that has ended and was waited for is in its parent's figure; the others are looked up.
    """
    stats = dict(_stats())
    return sum(stats[pid][2] + stats[pid][3] for pid in _family(pids, stats) if pid in stats)


def machine_s() -> float:
    """CPU time of all processes and the kernel since the machine started, all cores together (seconds)."""
    user, nice, system, _idle, _waiting, interrupts, soft, *_ = _cpu_ticks()
    return (user + nice + system + interrupts + soft) * _TICK_S


def _cpu_ticks() -> list[int]:
    return [int(word) for word in (_PROC / "stat").read_text().partition("\n")[0].split()[1:]]


def family(pids: Iterable[int]) -> set[int]:
    """These processes and all that they started and that are there."""
    return _family(pids, dict(_stats()))


def _family(pids: Iterable[int], stats: dict[int, tuple[str, int, float, float]]) -> set[int]:
    wanted = set(pids)
    grown = True
    while grown:
        more = {pid for pid, (_, parent, _, _) in stats.items() if parent in wanted} - wanted
        wanted |= more
        grown = bool(more)
    return wanted


def children_s() -> float:
    """CPU time of this process's children that have ended (seconds)."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def children(pid: int) -> list[int]:
    """The processes that this one has started and that are there."""
    return [child for child, (_, parent, _, _) in _stats() if parent == pid]


def called(name: str) -> list[int]:
    """The processes of a command (`beam.smp`, `postgres`) that none of the same name has started."""
    stats = {pid: parent for pid, (command, parent, _, _) in _stats() if command == name}
    return [pid for pid, parent in stats.items() if parent not in stats]


def resident_mb(pid: int) -> float:
    """VmRSS in MB (10^6 bytes); 0 when the process is gone."""
    return _status_mb(pid, "VmRSS:")


def peak_mb(pid: int) -> float:
    """The most that it ever had resident, VmHWM in MB; 0 when the process is gone."""
    return _status_mb(pid, "VmHWM:")


def _status_mb(pid: int, name: str) -> float:
    try:
        for line in (_PROC / str(pid) / "status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass
    return 0.0


def _stats() -> Iterator[tuple[int, tuple[str, int, float, float]]]:
    """Of every process: its command, its parent, its own CPU and that of its ended children (seconds)."""
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / "stat").read_text()
        except OSError:  # ended meanwhile
            continue
        command, rest = text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 2 :].split()
        own, ended = int(rest[11]) + int(rest[12]), int(rest[13]) + int(rest[14])
        yield int(entry.name), (command, int(rest[1]), own * _TICK_S, ended * _TICK_S)


class Cores:
    """How many cores each part, and all else on the machine, kept busy while the block ran."""

    def __init__(self, parts: Mapping[str, Sequence[int]]) -> None:
        self._parts = parts
        self.used: dict[str, float] = {}

    def __enter__(self) -> Cores:
        self._began, self._before = time.perf_counter(), self._now()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._took = time.perf_counter() - self._began
        self.used = {part: after - self._before[part] for part, after in self._now().items()}

    def busy(self) -> dict[str, float]:
        """By part, and `all others`: what disturbed the measurement, and the kernel's own work."""
        parts = {part: used / self._took for part, used in self.used.items() if part != _MACHINE}
        return {**parts, "all others": max(self.used[_MACHINE] / self._took - sum(parts.values()), 0.0)}

    def _now(self) -> dict[str, float]:
        return {_MACHINE: machine_s(), **{part: cpu_s(pids) for part, pids in self._parts.items()}}
