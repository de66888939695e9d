"""The order of a key, on both brokers: over failures, restarts, cut connections, two workers, other lanes, replay."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from engine_parts import Sink, adt, channel, code_of, port, running, send, settled, write_site

from router.engine import Engine
from router.envelope import queues_of

PATIENTS = [f"P{n}" for n in range(6)]
RETRY = "    retry: {first: 100ms, factor: 1, for: 1h}\n"


@pytest.fixture(params=["embedded", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
def broker(request: pytest.FixtureRequest) -> str:
    return "embedded" if request.param == "embedded" else request.getfixturevalue("amqp_vhost")


def order(lanes: int) -> str:
    return f"order: {{by: $PID-3.1, lanes: {lanes}}}\n"


def visits(start: int, count: int) -> list[bytes]:
    """`count` messages of each patient, numbered, one patient after the other."""
    numbers = range(start, start + count)
    return [adt(f"{patient}-{number:03}", patient=patient) for number in numbers for patient in PATIENTS]


async def accept(engine: Engine, messages: list[bytes]) -> None:
    assert {code_of(answer) for answer in await send(port(engine), *messages)} == {"AA"}


async def until(said: Callable[[], bool], within_s: float = 40) -> None:
    async with asyncio.timeout(within_s):
        while not said():  # noqa: ASYNC110  # nobody tells a test
            await asyncio.sleep(0.05)


def in_order(sink: Sink, count: int) -> bool:
    """Every number of every patient came, and for the first time only after all the lower ones."""
    firsts = list(dict.fromkeys(sink.ids()))
    kept = {patient: [one for one in firsts if one.startswith(f"{patient}-")] for patient in PATIENTS}
    return kept == {patient: [f"{patient}-{n:03}" for n in range(count)] for patient in PATIENTS}


async def all_came(sink: Sink, count: int) -> None:
    await until(lambda: len(set(sink.ids())) == count * len(PATIENTS))
    assert in_order(sink, count), sink.ids()


async def test_more_or_fewer_lanes_begin_when_the_old_ones_are_empty(tmp_path: Path, broker: str) -> None:
    """One patient after the other is stuck in an old lane; nothing new of anybody goes before."""
    gone = await Sink().start()
    await gone.stop()
    at = 0
    for lanes in (3, 4, 1, 3):
        site = write_site(tmp_path, channel(gone, order(lanes), RETRY))
        async with running(site, broker=broker) as engine:
            await accept(engine, visits(at, 3))
        at += 3
    sink = await Sink(slow_s=0.01).start(gone.port)
    async with running(site, broker=broker) as engine:
        await accept(engine, visits(at, 3))
        await all_came(sink, at + 3)
        await settled(engine)
        await until(lambda: not any(engine.board.undrained(("adt", "lis"), era) for era in range(3)))
    await sink.stop()


async def test_an_order_that_comes_or_goes_waits_for_what_came_before(tmp_path: Path, broker: str) -> None:
    gone = await Sink().start()
    await gone.stop()
    at = 0
    for more in (order(2), "", order(4)):
        site = write_site(tmp_path, channel(gone, more, RETRY))
        async with running(site, broker=broker) as engine:
            await accept(engine, visits(at, 1))
        at += 1
    sink = await Sink().start(gone.port)
    async with running(site, broker=broker) as engine:
        await all_came(sink, at)
        assert set(engine.outlets[0].queues) >= {*queues_of("adt", "lis", 4), "jl.adt.lis"}
        await settled(engine)
    await sink.stop()
