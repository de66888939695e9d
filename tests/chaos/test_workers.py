"""Several trials at a time: they share no port, and nothing of them outlives the one who asked for them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ports import QUIET, share
from workers import MOST, Workers

from bench import usage

CHAOS = Path(__file__).parent


@pytest.mark.parametrize("jobs", [1, 3, MOST])
def test_no_two_workers_have_a_port_in_common(jobs: int) -> None:
    shares = [share(number, jobs) for number in range(jobs)]
    handed_out = [port for each in shares for port in each]
    assert len(handed_out) == len(set(handed_out))
    assert set(handed_out) <= set(QUIET)
    assert min(map(len, shares)) >= 200, "a trial takes a dozen"


def test_trials_that_are_played_at_once_all_come_to_their_result() -> None:
    asked = [(2, "kill-scribe"), (3, "reload"), (5, "kill-scribe")]
    with Workers(2, ("embedded",), 30) as workers:
        results = list(workers.play(asked))
    assert sorted((result.seed, result.fault) for result in results) == asked
    assert [result.broken for result in results] == [[], [], []]
    assert all(result.verdict.accepted >= 30 for result in results)
    assert multiprocessing.active_children() == []


def test_nothing_outlives_a_sigterm(tmp_path: Path) -> None:
    words = ["--jobs", "2", "--stack", "embedded", "--fault", "stop", "--messages", "100000"]
    env = dict(os.environ, TMPDIR=str(tmp_path))
    chaos = subprocess.Popen(
        [sys.executable, str(CHAOS), *words],
        env=env,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + 60
        while len(_engines(chaos.pid)) < 2:
            assert time.monotonic() < until, "two trials did not begin"
            time.sleep(0.1)
        started = usage.family([chaos.pid])
        chaos.send_signal(signal.SIGTERM)
        said, _ = chaos.communicate(timeout=60)
    finally:
        chaos.kill()
    assert chaos.returncode == 128 + signal.SIGTERM
    assert "Chaos: what was accepted" in said
    until = time.monotonic() + 10  # what a killed engine had started ends by itself when it hears of it
    while left := [pid for pid in started if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < until, f"still there: {left}"
        time.sleep(0.05)
    assert list(tmp_path.iterdir()) == []


def _engines(pid: int) -> list[int]:
    """The engines of the trials that this process has begun: children of its children."""
    return [engine for worker in usage.children(pid) for engine in usage.children(worker)]
