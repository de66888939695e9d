"""The order of a key, on both brokers: over failures, restarts, cut connections, two workers, other lanes, replay."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from amqp_proxy import way_through
from engine_parts import Sink, adt, channel, code_of, field, port, running, send, settled, write_site
from process_parts import Process

from router.board import Decided
from router.clock import now_ms
from router.engine import Engine
from router.envelope import queues_of
from router.replay import Replayer, ReplayRequest
from router.search import Query

PATIENTS = [f"P{n}" for n in range(6)]
RETRY = "    retry: {first: 100ms, factor: 1, for: 1h}\n"


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


async def test_old_lanes_that_are_full_drain_all_the_same(tmp_path: Path, broker: str) -> None:
    gone = await Sink().start()
    await gone.stop()
    full = "limit: {messages: 12}\n"
    site = write_site(tmp_path, channel(gone, order(1) + full, RETRY))
    async with running(site, broker=broker) as engine:
        accepted = 0
        async with asyncio.timeout(50):
            for message in visits(0, 100):
                sending = asyncio.create_task(send(port(engine), message))
                done, _ = await asyncio.wait([sending], timeout=2)
                if not done or code_of(sending.result()[0]) != "AA":
                    sending.cancel()
                    break  # the door is paused, or it said that there is no room
                accepted += 1
                if accepted > 12:
                    await asyncio.sleep(0.1)  # RabbitMQ is asked how full its queues are every 5 s
    assert 10 <= accepted < 600
    sink = await Sink().start(gone.port)
    async with running(write_site(tmp_path, channel(gone, order(3), RETRY)), broker=broker) as engine:
        await accept(engine, visits(100, 1))
        await until(lambda: {f"{patient}-100" for patient in PATIENTS} <= set(sink.ids()))
    came = list(dict.fromkeys(sink.ids()))
    assert len(came) >= accepted + len(PATIENTS)
    assert {id[3:] for id in came[-len(PATIENTS) :]} == {"100"}, "overtaken"
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


async def test_order_holds_through_failures_restarts_and_hung_receivers(tmp_path: Path, broker: str) -> None:
    """One in five is refused for now or not answered in time; every engine is stopped in the midst of it."""
    chance = random.Random(7)
    sink = await Sink(lambda message: chance.choice(["AA", "AA", "AA", "AA", "AE", None])).start()
    channels = channel(sink, order(3), RETRY)
    channels["adt"] = channels["adt"].replace("timeout: 2s", "timeout: 300ms")
    site = write_site(tmp_path, channels, settings="stop_within: 2s\n")
    for start in (0, 4, 8):
        async with running(site, broker=broker) as engine:
            await accept(engine, visits(start, 4))
            await until(lambda start=start: len(set(sink.ids())) > start * len(PATIENTS) // 2)  # type: ignore[misc]
    async with running(site, broker=broker) as engine:
        await all_came(sink, 12)
        await settled(engine)
        assert await engine.broker.delayed() == 0
    await sink.stop()


async def test_a_lane_that_waits_has_nothing_in_hand_and_nothing_in_a_delay_queue(
    tmp_path: Path, broker: str
) -> None:
    gone = await Sink().start()
    await gone.stop()
    site = write_site(tmp_path, channel(gone, order(1), "    retry: {first: 1m, max: 1h, for: 24h}\n"))
    async with running(site, broker=broker) as engine:
        await accept(engine, visits(0, 2))
        await settled(engine, "retrying")
        (queue,) = engine.outlets[0].queues
        async with asyncio.timeout(20):
            while (depth := (await engine.broker.depth([queue]))[queue]).held:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert (depth.ready, await engine.broker.delayed()) == (2 * len(PATIENTS), 0)


async def test_behind_a_held_message_its_lane_keeps_its_order_and_the_others_go_on(
    tmp_path: Path, broker: str
) -> None:
    stuck = {"P0-001"}
    sink = await Sink(lambda message: "AR" if field(message, "MSH", 10) in stuck else "AA").start()
    retry = "    retry: {first: 100ms, then: hold}\n"
    async with running(write_site(tmp_path, channel(sink, order(4), retry)), broker=broker) as engine:
        await accept(engine, visits(0, 5))
        await until(lambda: engine.board.held)
        (queue,) = engine.board.held
        await until(lambda: len(set(sink.ids())) > 2 * 5)
        assert not {f"P0-{n:03}" for n in (2, 3, 4)} & set(sink.ids()), "overtaken"
        stuck.clear()
        (held,) = engine.board.held.values()
        await engine.board.say(Decided(queue, held.id, False, 0))
        await all_came(sink, 5)
    await sink.stop()


async def test_what_is_replayed_comes_in_the_old_order(tmp_path: Path, broker: str) -> None:
    refusing = True
    sink = await Sink(lambda message: "AR" if refusing else "AA").start()
    async with running(write_site(tmp_path, channel(sink, order(2))), broker=broker) as engine:
        await accept(engine, visits(0, 4))
        await settled(engine, "dead", 4 * len(PATIENTS))
        refusing = False
        sink.got.clear()
        replayer = Replayer(engine.store, engine.resend, now_ms)
        done = await replayer.replay(ReplayRequest(query=Query(state="dead")))
        assert done.failed == 0
        await all_came(sink, 4)
    await sink.stop()


@pytest.mark.rabbitmq
async def test_order_holds_over_cut_connections(tmp_path: Path, amqp_vhost: str) -> None:
    through, proxy = await way_through(amqp_vhost)
    sink = await Sink(slow_s=0.02).start()
    async with running(write_site(tmp_path, channel(sink, order(3), RETRY)), broker=through) as engine:
        await accept(engine, visits(0, 10))
        for more in (5, 20, 35):
            await until(lambda more=more: len(set(sink.ids())) > more)  # type: ignore[misc]
            proxy.cut()
        await all_came(sink, 10)
        await settled(engine)
        (way,) = [c for c in engine.store.counts() if c.destination == "lis"]
        assert (way.delivered, way.dead, way.waiting) == (60, 0, 0)
    await sink.stop()
    await proxy.stop()


@pytest.mark.rabbitmq
async def test_order_holds_with_two_workers_of_which_one_is_killed_and_one_stopped(
    tmp_path: Path, amqp_vhost: str
) -> None:
    sink = await Sink(slow_s=0.02).start()
    site = write_site(tmp_path, channel(sink, order(4), RETRY).copy())
    async with running(site, broker=amqp_vhost, roles="intake,journal") as engine:
        await accept(engine, visits(0, 10))
        var = str(tmp_path / "killed")
        killed = Process(site, amqp_vhost, roles="delivery", var=var, http_port="0")
        try:
            await until(lambda: len(sink.got) > 5)
            async with running(site, broker=amqp_vhost, roles="delivery", var=str(tmp_path / "stopped")):
                await until(lambda: len(sink.got) > 15)
                killed.kill()
                await until(lambda: len(set(sink.ids())) > 30)
            async with running(site, broker=amqp_vhost, roles="delivery", var=str(tmp_path / "last")):
                await all_came(sink, 10)
                await settled(engine)
        finally:
            killed.kill()
    await sink.stop()
