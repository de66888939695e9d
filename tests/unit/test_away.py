"""How many messages of a queue may wait elsewhere for their next try."""

from __future__ import annotations

import asyncio

from router.away import Away


async def test_a_part_of_what_may_wait_and_no_more_is_sent_away() -> None:
    away = Away(2000)
    for _ in range(199):
        away.sent(60)
    assert not away.full
    away.sent(60)
    assert away.full
    assert 59 < away.room_in_s() <= 60
    assert Away(5).most == 100


async def test_there_is_room_again_when_a_good_part_is_back() -> None:
    away = Away(1000)
    for number in range(100):
        away.sent(0.01 if number < 20 else 0.3 if number < 30 else 60)
    assert 0.1 < away.room_in_s() <= 0.3, "until thirty are back, not the first"
    await asyncio.sleep(0.32)
    assert (away.full, away.room_in_s()) == (False, 0.0)
