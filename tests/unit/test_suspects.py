"""Tries that have no end are known to every process; who was only cut off is nobody's poison."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from router.brokers.base import BrokerDown, QueueSpec
from router.suspects import Suspects


class Air:
    """As much of a broker as a stream needs, for several processes."""

    def __init__(self) -> None:
        self.said: list[bytes] = []
        self.ears: list[Callable[[bytes], None]] = []
        self.tell: list[Callable[[bool], None]] = []
        self.dead: list[Any] = []
        self.away = False

    async def declare(self, queues: list[QueueSpec]) -> None:
        return None

    def on_change(self, tell: Callable[[bool], None]) -> None:
        self.tell.append(tell)

    async def follow(self, stream: str, on_entry: Callable[[bytes], None], since_ms: int = 0) -> None:
        for entry in self.said:
            on_entry(entry)
        self.ears.append(on_entry)

    def publish(self, queues: tuple[str, ...], body: bytes) -> asyncio.Future[None]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.away:
            done.set_exception(BrokerDown("JL-B001", "away"))
            return done
        self.said.append(body)
        for hear in self.ears:
            hear(body)
        done.set_result(None)
        return done

    def comes_back(self) -> None:
        self.away = False
        for tell in self.tell:
            tell(True)


async def process(air: Air) -> Suspects:
    made = Suspects(air)  # type: ignore[arg-type]
    await made.start()
    return made


async def dies(air: Air, message: str) -> int:
    """A process begins a try and is never heard of again. How many before it did so."""
    trying = (await process(air)).trying(message, "lis")
    air.dead.append(trying)  # or Python would end it in good order
    return await trying.__aenter__()


async def test_a_try_that_ends_in_any_way_leaves_nothing_behind() -> None:
    air = Air()
    suspects = await process(air)
    async with suspects.trying("m1", "lis") as before:
        assert before == 0
    with pytest.raises(ValueError, match="x"):
        async with suspects.trying("m1", "lis"):
            raise ValueError("x")
    assert await dies(air, "m1") == 0


async def test_tries_without_an_end_are_counted_by_whichever_process_comes_next() -> None:
    air = Air()
    assert [await dies(air, "m1") for _ in range(3)] == [0, 1, 2]
    assert await dies(air, "m2") == 0


async def test_who_lives_and_was_only_cut_off_says_so() -> None:
    air = Air()
    await dies(air, "m1")
    air.tell[0](True)
    assert await dies(air, "m1") == 0


async def test_a_try_that_ends_while_the_broker_is_away_has_ended() -> None:
    air = Air()
    suspects = await process(air)
    for _ in range(3):
        async with suspects.trying("m1", "lis") as before:
            assert before == 0
            air.away = True
        await asyncio.sleep(0)
        air.comes_back()
    assert await dies(air, "m1") == 0


async def test_a_try_that_is_cut_short_before_it_begins_has_ended() -> None:
    air = Air()
    suspects = await process(air)
    air.ears.clear()  # what it says is kept, and nobody hears it

    async def one() -> None:
        async with suspects.trying("m1", "lis"):
            raise AssertionError("nobody told it to begin")

    cut = asyncio.create_task(one())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    cut.cancel()
    await asyncio.gather(cut, return_exceptions=True)
    assert await dies(air, "m1") == 0


async def test_of_those_that_may_have_killed_one_is_tried_at_a_time() -> None:
    air = Air()
    for message in ("m1", "m2", "m3"):
        await dies(air, message)
    suspects = await process(air)
    at_once, most = 0, 0

    async def one(message: str) -> None:
        nonlocal at_once, most
        async with suspects.trying(message, "lis"):
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0)
            at_once -= 1

    await asyncio.gather(*(one(message) for message in ("m1", "m2", "m3")))
    assert most == 1
    most = 0
    await asyncio.gather(*(one(message) for message in ("m4", "m5", "m6")))
    assert most == 3
