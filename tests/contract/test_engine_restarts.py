"""What an engine takes up where the one before it stopped."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from engine_parts import Sink, adt, channel, code_of, port, running, send, settled, write_site

from router.brokers.base import QueueSpec
from router.search import Query


async def test_what_waited_at_a_stop_is_delivered_by_the_next_engine(tmp_path: Path, broker: str) -> None:
    gone = await Sink().start()
    address = gone.port
    site = write_site(tmp_path, channel(gone, branch="    retry: {first: 100ms, factor: 1, for: 1h}\n"))
    await gone.stop()
    async with running(site, broker=broker) as engine:
        answers = await send(port(engine), *[adt(f"W{n}") for n in range(10)])
        assert [code_of(a) for a in answers] == ["AA"] * 10, [a.decode() for a in answers]
    back = await Sink().start(address)
    async with running(site, broker=broker) as engine:
        await back.wait_for(10)
        await settled(engine)
    await back.stop()
    assert set(back.ids()) == {f"W{n}" for n in range(10)}


async def test_many_restarts_with_a_silent_receiver_make_no_dead_letters(tmp_path: Path, broker: str) -> None:
    silent = {"now": True}
    sink = await Sink(lambda m: None if silent["now"] else "AA").start()
    site = write_site(tmp_path, channel(sink), settings="stop_within: 100ms\n")
    async with running(site, broker=broker) as engine:
        await send(port(engine), *[adt(f"S{n}") for n in range(30)])
    for _ in range(4):
        async with running(site, broker=broker):
            await sink.wait_for(len(sink.got) + 1)
    silent["now"] = False
    async with running(site, broker=broker) as engine:
        async with asyncio.timeout(20):
            while (counts := [c for c in engine.store.counts() if c.destination])[0].waiting:  # noqa: ASYNC110
                await asyncio.sleep(0.05)  # the journal tells nobody when it has written
        assert (counts[0].delivered, counts[0].dead) == (30, 0)
    await sink.stop()


async def test_a_lane_gives_up_in_time_also_over_a_restart(tmp_path: Path, broker: str) -> None:
    gone = await Sink().start()
    await gone.stop()
    order, retry = "order: {by: $PID-3.1, lanes: 1}\n", "    retry: {first: 200ms, factor: 1, for: %s}\n"
    site = write_site(tmp_path, channel(gone, order, retry % "1h"))
    async with running(site, broker=broker) as engine:
        await send(port(engine), adt("L1"))
        await settled(engine, "retrying")
        (found,) = engine.store.search(Query(), 1).found
        first_ms = engine.store.show(found.id).tries[0].at_ms
    await asyncio.sleep(max(0.0, first_ms / 1000 + 2 - time.time()))
    write_site(tmp_path, channel(gone, order, retry % "2s"))
    restarted_ms = time.time() * 1000
    async with running(site, broker=broker) as engine:
        await settled(engine, "dead")
        tries = engine.store.show(found.id).tries
    assert [t.attempt for t in tries] == list(range(1, len(tries) + 1))
    assert [t.outcome for t in tries if t.at_ms >= restarted_ms] == ["dead"]


async def test_the_age_of_the_oldest_counts_on_after_a_restart(tmp_path: Path) -> None:
    gone = await Sink().start()
    await gone.stop()
    retry = "    retry: {first: 10m, max: 1h, for: 24h}\n"
    site = write_site(tmp_path, channel(gone, branch=retry))
    async with running(site) as engine:
        await send(port(engine), adt("W1"), adt("W2"))
        await settled(engine, "retrying", 2)
        since = engine.outlets[0].oldest_ms()
    assert since is not None
    async with running(site) as engine:
        assert engine.outlets[0].oldest_ms() == since
        await engine.gauges.sample()
        now = engine.gauges.snapshot(engine.journal, engine.web, engine.board)
        assert (now.delayed, now.waiting[0].depth, now.waiting[0].oldest_s > 0) == (2, 2, True)
        await engine.broker.delete(engine.outlets[0].queues)  # somebody else took them
        await engine.broker.declare([QueueSpec(name) for name in engine.outlets[0].queues])
        await engine.gauges.sample()
        assert engine.gauges.waiting()[0].oldest_s == 0
