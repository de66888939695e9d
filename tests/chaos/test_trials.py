"""The short form: a few seeded trials. The long one is `make chaos`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import children
import pytest
from faults import FAULTS
from trial import Trial

MESSAGES = 150


@pytest.fixture(autouse=True)
def _none_left() -> Iterator[None]:
    with children.none_left():
        yield


@pytest.mark.parametrize("fault", sorted(FAULTS))
async def test_nothing_accepted_is_lost_doubled_without_reason_or_out_of_order(
    fault: str, tmp_path: Path
) -> None:
    result = await Trial(20031, fault, tmp_path, MESSAGES).run()
    assert not result.broken, "\n".join(result.broken)
    assert result.verdict.accepted >= MESSAGES
