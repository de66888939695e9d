"""Reload meets trouble: a broker that is away before or in the middle, a kill at any moment."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from amqp_proxy import Proxy, way_through
from engine_parts import Sink, adt, code_of, port, running, send, write_site
from process_parts import Process, free_port
from reload_parts import ADT, Sender, applied, arrived, text, write

from router import reload
from router.brokers.base import BrokerDown
from router.engine import Engine


@pytest.fixture
async def through(amqp_vhost: str) -> AsyncIterator[tuple[str, Proxy]]:
    url, proxy = await way_through(amqp_vhost)
    yield url, proxy
    await proxy.stop()


def away(proxy: Proxy) -> None:
    proxy.refusing = True
    proxy.cut()


async def until(said: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not said():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.mark.rabbitmq
async def test_while_the_broker_is_away_nothing_changes(
    tmp_path: Path, through: tuple[str, Proxy], sink: Sink
) -> None:
    url, proxy = through
    site = write_site(tmp_path, {ADT: text(ADT, 0, lis=sink.port)})
    async with running(site, broker=url) as engine:
        digest = engine.site.digest
        write(site, ADT, text(ADT, 0, lis=sink.port, emr=sink.port))
        away(proxy)
        await until(lambda: not engine.broker.open)
        with pytest.raises(BrokerDown):
            await engine.reload.apply()
        assert engine.site.digest == digest
        proxy.refusing = False
        await until(lambda: engine.broker.open)
        await applied(engine)
        assert [code_of(answer) for answer in await send(port(engine), adt("1"))] == ["AA"]
        await sink.wait_for(2)


@pytest.mark.rabbitmq
async def test_a_broker_that_goes_in_the_middle_is_waited_for(
    tmp_path: Path, through: tuple[str, Proxy], sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the channels are exchanged there is no way back: it goes on when the broker is there again."""
    url, proxy = through
    site = write_site(tmp_path, {ADT: text(ADT, 0, "order: {by: $PID-3.1, lanes: 2}\n", lis=sink.port)})
    async with running(site, broker=url) as engine:
        await send(port(engine), adt("1"))
        write(site, ADT, text(ADT, 0, "order: {by: $PID-3.1, lanes: 3}\n", lis=sink.port, emr=sink.port))
        exchange = Engine.exchange

        def and_gone(*given: object) -> None:
            exchange(*given)  # type: ignore[arg-type]
            away(proxy)

        monkeypatch.setattr(Engine, "exchange", and_gone)
        applying = asyncio.create_task(engine.reload.apply())
        await until(lambda: not engine.broker.open)
        assert not applying.done()
        proxy.refusing = False
        assert (await asyncio.wait_for(applying, 60)).applied
        await until(lambda: engine.broker.open)
        assert [code_of(answer) for answer in await send(port(engine), adt("2"))] == ["AA"]
        await sink.wait_for(3)
    assert list(dict.fromkeys(sink.ids())) == ["1", "2"]


async def test_a_kill_at_any_moment_of_a_reload_loses_nothing(
    tmp_path: Path, broker: str, sink: Sink
) -> None:
    """Each time another number of lanes, and the engine is killed while they are exchanged, or just after."""
    seed = random.randrange(1_000_000)
    print("seed", seed)  # shown when it fails
    chance = random.Random(seed)
    door = free_port()

    def lanes(count: int) -> str:
        return text(ADT, door, f"order: {{by: $PID-3.1, lanes: {count}}}\n", lis=sink.port)

    site = write_site(tmp_path, {ADT: lanes(1)})
    process = Process(site, broker)
    async with Sender(door, "A") as sender:
        for count in (2, 3, 1, 2):
            await sender.some(10)
            write(site, ADT, lanes(count))
            process.hang_up()
            await asyncio.sleep(chance.uniform(0, 0.8))
            process.kill()
            process = Process(site, broker)
        await sender.some(10)
    await arrived(sink, sender)
    assert await asyncio.to_thread(process.terminate) == 0
    firsts = [id for id in dict.fromkeys(sink.ids()) if id in sender.accepted]
    assert firsts == sender.accepted, "all are one patient's: never one before another"


async def test_a_change_that_a_stop_overtakes_begins_no_more_deliveries(
    tmp_path: Path, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would be cut short with the process, and sent again by the next."""
    monkeypatch.setattr(reload, "_IDLE_WITHIN_S", 0.1)
    site = write_site(tmp_path, {ADT: text(ADT, 0, lis=sink.port)})
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def waits(self: reload.Reload, works: object) -> None:
        reached.set()
        await go_on.wait()

    monkeypatch.setattr(reload.Reload, "_order", waits)
    async with running(site) as engine:
        write(site, ADT, text(ADT, 0, lis=sink.port, emr=sink.port))
        applying = asyncio.create_task(engine.reload.apply())
        await reached.wait()
        stop_doors = engine.doors.close

        async def and_on() -> None:
            await stop_doors()
            go_on.set()
            await asyncio.wait_for(applying, 20)

        monkeypatch.setattr(engine.doors, "close", and_on)
    assert [outlet.way for outlet in engine.outlets] == [(ADT, "lis")]
