"""Random days at a misbehaving centre, with a gateway that dies: what was done is known on all sides, and done once.

Many more of them: `python -m tests.insurance --seeds 200`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.insurance.days import KINDS, lived


@pytest.mark.parametrize("seed", range(1, 5))
async def test_records_books_and_his_agree_after_a_random_day(tmp_path: Path, seed: int) -> None:
    day = await lived(tmp_path, seed)
    assert day.wrong == []
    assert day.steps > 0


async def test_a_day_at_a_centre_that_behaves_loses_nothing(tmp_path: Path) -> None:
    day = await lived(tmp_path, 1, kinds=())
    assert (day.wrong, day.lost) == ([], 0)


@pytest.mark.parametrize("kind", KINDS)
async def test_each_way_of_misbehaving_by_itself_is_survived(tmp_path: Path, kind: str) -> None:
    day = await lived(tmp_path, 7, lanes=2, each=1, kinds=(kind,))
    assert day.wrong == []
