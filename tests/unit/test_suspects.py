"""What tells a message that kills the worker from one that was only at hand when a process ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.suspects import Suspects


def test_a_try_that_ends_leaves_no_mark_however_it_ends(tmp_path: Path) -> None:
    suspects = Suspects(tmp_path / "marks")
    with suspects.trying("m1", "lis"):
        assert suspects.unended("m1", "lis") == 1
    with pytest.raises(ValueError, match="x"), suspects.trying("m1", "lis"):
        raise ValueError("x")
    assert suspects.unended("m1", "lis") == 0


def test_tries_that_never_ended_are_counted_over_processes(tmp_path: Path) -> None:
    dead = [Suspects(tmp_path).trying("m1", "lis") for _ in range(2)]
    for block in dead:  # a process that dies in the try never leaves the block
        block.__enter__()
    assert Suspects(tmp_path).unended("m1", "lis") == 2
    assert Suspects(tmp_path).unended("m1", "emr") == 0
    Suspects(tmp_path).forget("m1", "lis")
    assert Suspects(tmp_path).unended("m1", "lis") == 0
