"""How many messages of a queue may wait elsewhere for their next try."""

from __future__ import annotations

import asyncio

import pytest

from router.away import Away


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The loop's time, which stands still: no test here waits."""
    now = [1000.0]
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now[0])
    return now


async def test_a_part_of_what_may_wait_and_no_more_is_sent_away(clock: list[float]) -> None:
    away = Away(2000)
    for _ in range(199):
        away.sent(60)
    assert not away.full
    away.sent(60)
    assert away.full
    clock[0] += 1
    assert away.room_in_s() == 59
    assert Away(5).most == 100


async def test_there_is_room_again_when_a_good_part_is_back(clock: list[float]) -> None:
    away = Away(1000)
    for number in range(100):
        away.sent(1 if number < 20 else 8 if number < 30 else 60)
    assert away.room_in_s() == 8, "until thirty are back, not the first"
    clock[0] += 8
    assert (away.full, away.room_in_s()) == (False, 0.0)
