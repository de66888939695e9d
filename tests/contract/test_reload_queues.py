"""What becomes of queues when channels change: emptied first, taken over, given back, never lost from sight."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from engine_parts import Sink, adt, code_of, port, running, send, settled, write_site
from process_parts import free_port
from reload_parts import ADT, Sender, applied, arrived, holds, queues, text, write

from router.api import health


async def test_what_waits_keeps_a_destination_until_the_operator_says_drain(
    tmp_path: Path, broker: str, sink: Sink, other: Sink
) -> None:
    sink.answer = lambda message: "AE"
    retry = ", retry: {first: 100ms, max: 100ms}"
    before = text(ADT, 0, lis=sink.port, emr=other.port).replace("5s}}", f"5s}}}}{retry}")
    site = write_site(tmp_path, {ADT: before})
    async with running(site, broker=broker) as engine:
        await send(port(engine), adt("1"), adt("2"))
        await sink.wait_for(2)
        write(site, ADT, text(ADT, 0, emr=other.port))
        plan = await engine.reload.apply()
        assert [(finding.code, finding.file) for finding in plan.findings] == [
            ("JL-R001", "channels/adt.yaml")
        ]
        assert not plan.applied
        plan = await applied(engine, drain=True)
        assert queues(plan) == {"jl.adt.lis": "drained"}
        assert health(engine)["emptying"] == ["adt/lis"]
        assert [code_of(answer) for answer in await send(port(engine), adt("3"))] == ["AA"]
        sink.answer = lambda message: "AA"
        async with asyncio.timeout(30):
            while await engine.broker.look("jl.adt.lis") is not None:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await settled(engine)
        assert health(engine)["emptying"] == []
        assert {count.dead for count in engine.store.counts()} == {0}
    assert set(sink.ids()) == {"1", "2"}
    assert sorted(other.ids()) == ["1", "2", "3"]


async def test_an_older_folder_is_applied_like_any_other_also_while_it_empties(
    tmp_path: Path, broker: str, sink: Sink, other: Sink
) -> None:
    older = text(ADT, 0, lis=sink.port, emr=other.port)
    site = write_site(tmp_path, {ADT: older})
    async with running(site, broker=broker) as engine:
        digest = engine.site.digest
        sink.slow_s = 0.2
        async with Sender(port(engine), "A") as sender:
            await sender.some(10)
            write(site, ADT, text(ADT, 0, emr=other.port))
            await applied(engine, drain=True)
            await sender.some(10)
            write(site, ADT, older)
            await applied(engine)
            await sender.some(10)
        assert engine.site.digest == health(engine)["digest"] == digest
        assert sender.cuts == 0
        sink.slow_s = 0
        await arrived(other, sender)
        await holds(sink, [*sender.accepted[:10], *sender.accepted[-5:]])
    assert Counter(other.ids()) == Counter(sender.accepted)


async def test_other_lanes_begin_behind_what_waits(tmp_path: Path, broker: str, sink: Sink) -> None:
    def lanes(count: int) -> str:
        return text(ADT, 0, f"order: {{by: $PID-3.1, lanes: {count}}}\n", lis=sink.port)

    sink.slow_s = 0.02
    site = write_site(tmp_path, {ADT: lanes(3)})
    async with running(site, broker=broker) as engine:
        async with Sender(port(engine), "A") as sender:
            for count in (4, 1, 3):
                await sender.some(10)
                write(site, ADT, lanes(count))
                await applied(engine)
            await sender.some(10)
        assert sender.cuts == 0
        await arrived(sink, sender)
    assert list(dict.fromkeys(sink.ids())) == sender.accepted, (
        "all are one patient's: never one before another"
    )


async def test_a_queue_that_lost_its_channel_while_nobody_ran_is_said_and_comes_back_with_it(
    tmp_path: Path, broker: str, sink: Sink
) -> None:
    gone = free_port()
    older = text(ADT, 0, lis=gone, emr=sink.port)
    site = write_site(tmp_path, {ADT: older})
    async with running(site, broker=broker) as engine:
        await send(port(engine), adt("1"))
        await sink.wait_for(1)
    write(site, ADT, text(ADT, 0, emr=sink.port))
    async with running(site, broker=broker) as engine:
        if health(engine)["unattended"]:
            assert health(engine)["unattended"] == {"jl.adt.lis": 1}
        else:  # on RabbitMQ it waits for its next try, and then comes into its queue
            assert broker != "embedded"
            async with asyncio.timeout(30):
                while not health(engine)["unattended"]:
                    await asyncio.sleep(0.2)
                    await engine.tidy()
        late = await Sink().start(gone)
        write(site, ADT, older)
        await applied(engine)
        await late.wait_for(1)
        assert health(engine)["unattended"] == {}
        await late.stop()


@pytest.mark.parametrize("order", ["", "order: {by: $PID-3.1, lanes: 2}\n"])
async def test_a_receiver_that_hangs_holds_up_no_change(
    tmp_path: Path, broker: str, sink: Sink, order: str
) -> None:
    """What hangs there is given up after `stop_within`, comes back, and goes where the channel sends it now."""
    silent = await Sink(lambda message: None).start()
    site = write_site(tmp_path, {ADT: text(ADT, 0, order, lis=silent.port).replace("5s", "10m")})
    async with running(site, broker=broker, stop_within="1s") as engine:
        await send(port(engine), adt("1"), adt("2"))
        await silent.wait_for(1)
        write(site, ADT, text(ADT, 0, order, lis=sink.port))
        await asyncio.wait_for(applied(engine), 60)
        await holds(sink, ["1", "2"])
    await silent.stop()
