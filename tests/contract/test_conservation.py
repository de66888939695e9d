"""A delivery that is in no queue and has no end is named, and nothing else is: on both brokers."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import httpx2
import pika
import pytest
from engine_parts import Sink, adt, channel, field, port, running, send, settled, write_site

from router.api import TOKEN_FILE
from router.board import Mode
from router.clock import now_ms
from router.conservation import Missing
from router.engine import Engine
from router.replay import Replayer, ReplayRequest
from router.search import Query

QUEUE = "jl.adt.lis"
WAY = ("adt", "lis")


async def looks(engine: Engine, count: int = 2) -> tuple[Missing, ...]:
    """What so many looks in a row come to; everything is old enough."""
    watch = engine.conservation
    watch.settle_ms = -60_000
    for _ in range(count):
        assert await engine.journal.caught_up()
        await watch.look()
    return watch.missing


async def pause(engine: Engine) -> None:
    await engine.board.say(Mode(*WAY, "paused", now_ms()))


def purge(broker: str, site: Path, which: str = "") -> None:
    """What nobody does who knows what he is doing. `which` of them: SQL, the rest of a question for their keys."""
    if broker != "embedded":
        with pika.BlockingConnection(pika.URLParameters(broker)) as connection:
            connection.channel().queue_purge(QUEUE)
        return
    with sqlite3.connect(site / "var" / "broker.db") as file:
        mine = f"SELECT key FROM item WHERE key >> 40 = (SELECT no FROM queue WHERE name = ?) {which}"
        assert file.execute(f"DELETE FROM item WHERE key IN ({mine})", (QUEUE,)).rowcount
    file.close()


def ids(engine: Engine) -> list[str]:
    """Of all messages, oldest first."""
    return [m.id for m in reversed(engine.store.search(Query(), 100).found)]


async def shown(engine: Engine) -> tuple[dict[str, str], str]:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{engine.web.port}") as client:
        ready = (await client.get("/health/ready")).json()
        figures = (await client.get("/metrics")).text
    return ready["missing"], figures


async def test_what_somebody_took_out_of_a_queue_is_named_until_it_is_replayed(
    tmp_path: Path, broker: str, sink: Sink, capsys: pytest.CaptureFixture[str]
) -> None:
    site = write_site(tmp_path, channel(sink))
    async with running(site, broker=broker) as engine:
        await send(port(engine), adt("OK"))
        await settled(engine)
        await pause(engine)
        await send(port(engine), adt("A"), adt("B"), adt("C"))
        assert await looks(engine) == ()
    purge(broker, tmp_path)
    async with running(site, broker=broker) as engine:
        assert await looks(engine, 1) == (), "one look is none"
        lost = tuple(ids(engine)[1:])
        (missing,) = await looks(engine, 1)
        assert missing == Missing("adt", "lis", 3, lost, exact=True)
        health, figures = await shown(engine)
        assert health == {"adt/lis": f"3 missing 缺失: {' '.join(lost)}"}
        assert 'jingluo_missing{channel="adt",destination="lis"} 3.0' in figures
        said = capsys.readouterr()
        assert (said.out + said.err).count("delivery.missing") == 1
        assert all(id in said.out + said.err for id in lost)
        await looks(engine)
        said = capsys.readouterr()
        assert "delivery.missing" not in said.out + said.err, "it is said once"
        await engine.board.say(Mode(*WAY, "running", now_ms()))
        replayer = Replayer(engine.store, engine.resend, now_ms)
        await replayer.replay(ReplayRequest(ids=lost[:1]))
        await sink.wait_for(2)
        assert [one.ids for one in await looks(engine)] == [lost[1:]]
        await replayer.replay(ReplayRequest(ids=lost[1:]))
        await sink.wait_for(4)
        assert await looks(engine) == ()
        health, figures = await shown(engine)
        assert health == {}
        assert "jingluo_missing{" not in figures


async def test_where_the_broker_shows_its_queues_the_very_message_is_named(
    tmp_path: Path, sink: Sink
) -> None:
    site = write_site(tmp_path, channel(sink))
    async with running(site) as engine:
        await pause(engine)
        await send(port(engine), *[adt(f"M{n}") for n in range(5)])
    purge("embedded", tmp_path, "ORDER BY key LIMIT 1 OFFSET 2")
    async with running(site) as engine:
        (missing,) = await looks(engine)
        assert missing == Missing("adt", "lis", 1, (ids(engine)[2],), exact=True)


@pytest.mark.rabbitmq
async def test_where_it_does_not_the_alarm_says_how_many_and_which_they_are_among(
    tmp_path: Path, sink: Sink, amqp_vhost: str
) -> None:
    async with running(write_site(tmp_path, channel(sink)), broker=amqp_vhost) as engine:
        await pause(engine)
        await send(port(engine), adt("A"), adt("B"), adt("C"))
        purge(amqp_vhost, tmp_path)
        await send(port(engine), adt("D"), adt("E"))
        (missing,) = await looks(engine)
        assert missing == Missing("adt", "lis", 3, tuple(ids(engine)), exact=False)
        await engine.board.say(Mode(*WAY, "running", now_ms()))
        await sink.wait_for(2)
        await settled(engine, "sent", 2)
        (missing,) = await looks(engine, 3)
        assert missing == Missing("adt", "lis", 3, tuple(ids(engine)[:3]), exact=True)


async def test_what_waits_for_whatever_reason_is_not_missing(tmp_path: Path, broker: str) -> None:
    answers = {"now": "AE"}
    sink = await Sink(lambda message: answers["now"]).start()
    retry = "    retry: {first: 30s, for: 1h}\n"
    site = write_site(tmp_path, channel(sink, branch=retry))
    async with running(site, broker=broker) as engine:
        await send(port(engine), adt("A"), adt("B"), b"no HL7")
        await settled(engine, "retrying", 2)
        assert await looks(engine, 3) == (), "it waits for its next try"
        await pause(engine)
        await send(port(engine), adt("C"), adt("D"))
        assert await looks(engine, 3) == (), "it is paused"
    async with running(site, broker=broker) as engine:
        assert await looks(engine, 3) == (), "also after a restart"
        answers["now"] = "AA"
        await engine.board.say(Mode(*WAY, "running", now_ms()))
        await sink.wait_for(4)
        assert await looks(engine, 3) == ()
    await sink.stop()


async def test_a_held_lane_and_a_slow_receiver_are_no_alarm(tmp_path: Path, broker: str) -> None:
    sink = await Sink(lambda message: None if field(message, "MSH", 10) == "SLOW" else "AR").start()
    hold = "    retry: {first: 100ms, then: hold}\n"
    order = "order: {by: $PID-3.1, lanes: 2}\n"
    files = channel(sink, order, hold)
    files["adt"] = files["adt"].replace("timeout: 2s", "timeout: 600s")
    async with running(write_site(tmp_path, files, settings="stop_within: 1s\n"), broker=broker) as engine:
        await send(port(engine), adt("BAD", patient="P1"), *[adt(f"B{n}", patient="P1") for n in range(3)])
        async with asyncio.timeout(30):
            while not engine.board.held:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert await looks(engine, 3) == ()
        slow = [adt("SLOW", patient=f"P{n}") for n in range(8)]  # some of them in the other lane
        await send(port(engine), *slow)
        async with asyncio.timeout(30):
            while "SLOW" not in sink.ids():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert await looks(engine, 3) == ()
    await sink.stop()


async def test_a_journal_that_is_behind_makes_no_alarm(tmp_path: Path, broker: str, sink: Sink) -> None:
    async with running(write_site(tmp_path, channel(sink)), broker=broker) as engine:
        await pause(engine)
        await send(port(engine), adt("A"))
        await looks(engine, 1)
        engine.journal.ok = False  # as while its database is away
        watch = engine.conservation
        await watch.look()
        assert watch.missing == ()
        engine.journal.ok = True
        assert await looks(engine, 3) == ()


@pytest.mark.rabbitmq
async def test_beside_other_processes_only_what_stays_untried_for_long_is_an_alarm(
    tmp_path: Path, sink: Sink, amqp_vhost: str
) -> None:
    site = write_site(tmp_path, channel(sink))
    async with (
        running(site, broker=amqp_vhost, roles="journal") as engine,
        running(site, broker=amqp_vhost, roles="delivery,intake") as others,
    ):
        await pause(engine)
        async with asyncio.timeout(30):
            while others.board.state(WAY) != "paused":  # noqa: ASYNC110  # it hears it in its own time
                await asyncio.sleep(0.05)
        await send(port(others), adt("A"), adt("B"))
        assert await looks(engine, 3) == ()
        purge(amqp_vhost, tmp_path)
        assert await looks(engine, 10) == ()
        (missing,) = await looks(engine, 25)
        assert missing == Missing("adt", "lis", 2, tuple(ids(engine)), exact=True)


async def test_what_waits_for_a_destination_that_is_gone_is_not_missing(
    tmp_path: Path, broker: str, sink: Sink
) -> None:
    site = write_site(tmp_path, channel(sink))
    async with running(site, broker=broker) as engine:
        await pause(engine)
        await send(port(engine), adt("N1"), adt("N2"))
        assert await looks(engine) == ()
    (site / "channels" / "adt.yaml").unlink()
    write_site(tmp_path, channel(sink, name="orders"))
    async with running(site, broker=broker) as engine:
        assert engine.unattended == {QUEUE: 2}
        assert await looks(engine) == ()
        await engine.board.say(Mode(*WAY, "running", now_ms()))  # for the next test on this broker


async def test_what_is_missing_can_be_made_a_dead_letter(tmp_path: Path, broker: str, sink: Sink) -> None:
    site = write_site(tmp_path, channel(sink))
    async with running(site, broker=broker) as engine:
        await pause(engine)
        await send(port(engine), adt("A"), adt("B"))
    purge(broker, tmp_path)
    async with running(site, broker=broker) as engine:
        await looks(engine)
        one, other = ids(engine)
        token = (engine.settings.var / TOKEN_FILE).read_text()
        skip = f"http://127.0.0.1:{engine.web.port}/api/destinations/adt/lis/skip"
        async with httpx2.AsyncClient(headers={"authorization": f"Bearer {token}"}) as client:
            assert (await client.post(skip, json={"id": "0000"})).status_code == 409
            assert (await client.post(skip, json={"id": one})).status_code == 200
        assert [missing.ids for missing in await looks(engine)] == [(other,)]
        (group,) = engine.store.dead().groups
        assert (group.code, group.count, group.example) == ("JL-J017", 1, one)
        assert 'jingluo_dead_total{channel="adt",destination="lis"} 1.0' in engine.metrics.render().decode()
        (lis,) = [line for line in engine.store.counts() if line.destination]
        assert (lis.accepted, lis.dead, lis.waiting) == (2, 1, 1)
