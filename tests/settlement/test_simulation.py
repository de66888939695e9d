"""Settlements by the hundred in a simulated world, and the bugs that such a simulation must find."""

from __future__ import annotations

import pytest

from tests.settlement import bugs
from tests.settlement.__main__ import played


@pytest.mark.parametrize("part", range(10))
def test_whatever_happens_effects_ledger_and_locks_agree_at_the_end(part: int) -> None:
    bad = {seed: found for seed in range(part * 30, part * 30 + 30) if (found := played(seed)[1])}
    assert bad == {}, "python -m tests.settlement --seed N plays one again"


@pytest.mark.parametrize("number", range(len(bugs.BUGS)), ids=[bug.what for bug in bugs.BUGS])
def test_a_deliberate_bug_is_found(number: int) -> None:
    assert bugs.found(number)
