"""Several trials at a time: each worker is a process with servers and ports of its own, and plays one after another.

Most of a trial is waiting, so a machine has room for more than one. Workers share nothing but the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import os
import shutil
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path
from tempfile import mkdtemp

import children
import ports
from servers import Servers
from trial import TRIAL_S, Result, Trial

MOST = 16  # workers: each needs enough ports
_PROCESSES = multiprocessing.get_context("spawn")


class Workers:
    """`jobs` of them, at most MOST. None outlives the block, nor does anything that one started.

    `stacks` and `messages` are every trial's.
    """

    def __init__(self, jobs: int, stacks: tuple[str, ...], messages: int) -> None:
        self._lines: list[Connection] = []
        self._processes = []
        for number in range(jobs):
            ours, theirs = _PROCESSES.Pipe()
            work = (theirs, number, jobs, stacks, messages)
            process = _PROCESSES.Process(target=_work, args=work, daemon=True)
            process.start()
            theirs.close()  # the worker's alone: so its end is heard
            self._lines.append(ours)
            self._processes.append(process)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()

    def play(self, trials: Iterable[tuple[int, str]]) -> Iterator[Result]:
        """Seed and fault of each; whoever is free takes the next one. Results as they come.

        RuntimeError when a worker ended in its trial; it has said why.
        """
        todo = iter(trials)
        free, busy = list(self._lines), []
        while True:
            for line, trial in zip(free, todo, strict=False):
                line.send(trial)
                busy.append(line)
            if not busy:
                return
            answered = wait(busy)
            free = [line for line in busy if line in answered]
            for line in free:
                busy.remove(line)
                try:
                    yield line.recv()
                except EOFError:
                    raise RuntimeError("a worker ended before its trial") from None


def _work(line: Connection, number: int, jobs: int, stacks: tuple[str, ...], messages: int) -> None:
    """A worker: plays what it is told, until it is ended (SIGTERM), or nobody is there any more who tells."""
    os.setsid()  # Ctrl-C is not ours: who started us ends us
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # that a peer is gone is no news here
    ports.keep_to(ports.share(number, jobs))
    limit_s = TRIAL_S * jobs  # at worst a trial has no more than its part of the machine
    with contextlib.suppress(EOFError, ConnectionError), children.none_left(), Servers() as servers:
        while True:
            seed, fault = line.recv()
            line.send(_run(seed, fault, stacks, messages, limit_s, servers))


def _run(
    seed: int, fault: str, stacks: tuple[str, ...], messages: int, limit_s: float, servers: Servers
) -> Result:
    """One trial in a folder of its own, which is kept where the trial broke."""
    folder = Path(mkdtemp(prefix=f"jingluo-chaos-{seed}-"))
    try:
        trial = Trial(seed, fault, folder, stacks, messages, long=True, limit_s=limit_s)
        result = asyncio.run(trial.run(servers))
    except BaseException:  # we are ended
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if result.broken:
        servers.renew()
        result.broken.append(f"what it left is in {folder}")
    else:
        shutil.rmtree(folder)
    return result
