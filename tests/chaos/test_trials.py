"""The short form: three seeded trials with several faults each. The long one is `make chaos`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import children
import disk
import pytest
import servers
from missing import missing
from trial import Trial

SEED = 20031
MESSAGES = 150


@pytest.fixture(scope="module")
def own_servers() -> Iterator[servers.Servers]:
    with children.none_left(), servers.Servers() as made:
        yield made


def _need(reason: str) -> None:
    if reason:
        missing(reason)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("stack", "seed", "faults"),
    [
        ("embedded", SEED, "kill+stop+receiver-hangs+receiver-cuts+clock"),
        ("embedded", SEED + 1, "disk-full+database-locked"),
        pytest.param(
            "rabbitmq",
            SEED,
            "kill+cut-before-confirm+cut-after-confirm+broker-restart+database-down",
            marks=[pytest.mark.rabbitmq, pytest.mark.postgresql],
        ),
    ],
)
async def test_nothing_accepted_is_lost_doubled_without_reason_or_out_of_order(
    stack: str, seed: int, faults: str, tmp_path: Path, own_servers: servers.Servers
) -> None:
    if stack == "rabbitmq":
        _need(servers.missing())
    if "disk-full" in faults:
        _need(disk.missing())
    result = await Trial(seed, faults, tmp_path, (stack,), MESSAGES).run(own_servers)
    assert not result.broken, f"make chaos SEED={seed} TRIALS=1 FAULT={faults}\n" + "\n".join(result.broken)
    assert result.verdict.accepted >= MESSAGES
