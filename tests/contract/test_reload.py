"""What runs is exchanged under load: nothing accepted is lost, nobody waits long, the others notice nothing."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from engine_parts import END, START, Sink, adt, code_of, free_port, port, running, send, settled, write_site

from router.api import health
from router.engine import Engine
from router.plan import Plan
from router.search import Query

ADT, ORDERS = "adt", "orders"


@pytest.fixture(params=["embedded", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
def broker(request: pytest.FixtureRequest) -> str:
    return "embedded" if request.param == "embedded" else request.getfixturevalue("amqp_vhost")


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    made = await Sink().start()
    yield made
    await made.stop()


@pytest.fixture
async def other() -> AsyncIterator[Sink]:
    made = await Sink().start()
    yield made
    await made.stop()


def text(name: str, port: int, more: str = "", **destinations: int) -> str:
    """A channel file. `more` stands before its destinations: name to port."""
    to = "".join(
        f"  {to}: {{send: {{mllp: {{host: 127.0.0.1, port: {at}, timeout: 5s}}}}}}\n"
        for to, at in destinations.items()
    )
    return f"channel: {name}\nfrom: {{mllp: {{port: {port}}}}}\nformat: hl7v2\n{more}to:\n{to}"


def write(site: Path, name: str, content: str) -> None:
    (site / "channels" / f"{name}.yaml").write_text(content)


class Sender:
    """Sends one message after the other, and again what was not accepted.

    `refused_s` is the longest time that it found no door, `cuts` how often it lost its connection.
    """

    def __init__(self, port: int, mark: str) -> None:
        self.port = port
        self.mark = mark
        self.accepted: list[str] = []
        self.cuts = 0
        self.refused_s = 0.0
        self._go_on = True

    async def __aenter__(self) -> Sender:
        self._task = asyncio.create_task(self._send())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._go_on = False
        await self._task

    async def some(self, count: int) -> None:
        """Waits until so many more are accepted."""
        target = len(self.accepted) + count
        async with asyncio.timeout(60):
            while len(self.accepted) < target and not self._task.done():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        while self._go_on:
            reader, writer = await self._connect(loop.time())
            try:
                while self._go_on:
                    id = f"{self.mark}{len(self.accepted)}"
                    writer.write(START + adt(id) + END)
                    answer = await asyncio.wait_for(reader.readuntil(END), 30)
                    if code_of(answer[1:-2]) == "AA":
                        self.accepted.append(id)
            except (OSError, asyncio.IncompleteReadError):
                self.cuts += 1
            finally:
                writer.close()

    async def _connect(self, since: float) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while True:
            with contextlib.suppress(OSError):
                streams = await asyncio.open_connection("127.0.0.1", self.port)
                self.refused_s = max(self.refused_s, asyncio.get_running_loop().time() - since)
                return streams
            await asyncio.sleep(0.005)


async def applied(engine: Engine, *, drain: bool = False) -> Plan:
    plan = await engine.reload.apply(drain=drain)
    assert plan.applied, "\n".join(map(str, plan.findings))
    return plan


async def arrived(sink: Sink, *senders: Sender) -> None:
    """Waits until the sink has all that these had accepted."""
    sent = {id for sender in senders for id in sender.accepted}
    async with asyncio.timeout(60):
        while not sent <= set(sink.ids()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def nothing_waits(engine: Engine) -> None:
    async with asyncio.timeout(20):
        queues = [queue for outlet in engine.outlets for queue in outlet.queues]
        while any((await engine.queues.waiting(queues)).values()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def changes(plan: Plan) -> dict[str, str]:
    return {change.channel: change.change for change in plan.channels}


def queues(plan: Plan) -> dict[str, str]:
    return {queue.queue: queue.change for queue in plan.queues}


async def test_under_steady_load_five_reloads_lose_nothing_and_the_other_channel_notices_none(
    tmp_path: Path, broker: str, sink: Sink, other: Sink
) -> None:
    site = write_site(tmp_path, {ADT: text(ADT, 0, lis=sink.port), ORDERS: text(ORDERS, 0, lis=other.port)})
    async with running(site, broker=broker) as engine:
        ports = port(engine, ADT), port(engine, ORDERS)
        async with Sender(ports[0], "A") as changed, Sender(ports[1], "B") as same:
            for index in ("$PID-3.1", "$PID-5", "$PV1-19.1", "$PID-3.1", "$PID-8"):
                await asyncio.gather(changed.some(20), same.some(20))
                write(site, ADT, text(ADT, 0, f"index: {{patient: {index}}}\n", lis=sink.port))
                assert changes(await applied(engine)) == {ADT: "changed", ORDERS: "same"}
            await asyncio.gather(changed.some(20), same.some(20))
        await arrived(sink, changed)
        await arrived(other, same)
    assert (changed.cuts, same.cuts) == (0, 0), "no door had a reason to close"
    assert Counter(sink.ids()) == Counter(changed.accepted)
    assert Counter(other.ids()) == Counter(same.accepted)


async def test_a_door_that_changes_is_shut_for_less_than_a_second(
    tmp_path: Path, broker: str, sink: Sink, other: Sink
) -> None:
    door = free_port()
    site = write_site(
        tmp_path, {ADT: text(ADT, door, lis=sink.port), ORDERS: text(ORDERS, 0, lis=other.port)}
    )
    async with running(site, broker=broker) as engine:
        async with Sender(door, "A") as changed, Sender(port(engine, ORDERS), "B") as same:
            for charset in ("GB18030", "UTF-8", "GBK"):
                await asyncio.gather(changed.some(20), same.some(20))
                content = text(ADT, door, lis=sink.port).replace(
                    f"port: {door}", f"port: {door}, charset: {charset}"
                )
                write(site, ADT, content)
                await applied(engine)
            await asyncio.gather(changed.some(20), same.some(20))
        await arrived(sink, changed)
        await arrived(other, same)
    assert changed.cuts >= 3, "each time its connection was closed"
    assert same.cuts == 0
    assert changed.refused_s < 1.0
    assert set(changed.accepted) <= set(sink.ids()), "what was accepted, and perhaps what lost its answer"
    assert Counter(other.ids()) == Counter(same.accepted)


async def test_a_mistake_in_any_file_changes_nothing(tmp_path: Path, broker: str, sink: Sink) -> None:
    site = write_site(tmp_path, {ADT: text(ADT, 0, lis=sink.port), ORDERS: text(ORDERS, 0, lis=sink.port)})
    async with running(site, broker=broker) as engine:
        doors, digest = (port(engine, ADT), port(engine, ORDERS)), engine.site.digest
        write(site, ADT, text(ADT, 0, lis=sink.port, emr=1))
        write(site, ORDERS, text(ORDERS, 0, lis=sink.port).replace("hl7v2", "hl7v3"))
        async with Sender(doors[0], "A") as sender:
            await sender.some(5)
            plan = await engine.reload.apply()
            await sender.some(5)
        assert (plan.applied, plan.refused) == (False, True)
        said = [str(finding) for finding in plan.findings if finding.severity == "error"]
        assert said == [
            "channels/orders.yaml:3:9: JL-C017: no format is called 'hl7v3'; did you mean 'hl7v2'?"
        ]
        assert engine.site.digest == digest
        assert (port(engine, ADT), port(engine, ORDERS)) == doors
        assert sender.cuts == 0
        assert await engine.broker.look("jl.adt.emr") is None, "no queue was made either"
        await arrived(sink, sender)
    assert Counter(sink.ids()) == Counter(sender.accepted)


async def test_a_part_that_cannot_begin_changes_nothing_either(
    tmp_path: Path, broker: str, sink: Sink, other: Sink
) -> None:
    site = write_site(tmp_path, {ADT: text(ADT, 0, lis=sink.port), ORDERS: text(ORDERS, 0, lis=sink.port)})
    async with running(site, broker=broker) as engine:
        doors = port(engine, ADT), port(engine, ORDERS)
        async with Sender(doors[0], "A") as one, Sender(doors[1], "B") as two:
            await asyncio.gather(one.some(5), two.some(5))
            write(site, ADT, text(ADT, 0, "index: {patient: $PID-3.1}\n", lis=sink.port, emr=1))
            write(site, ORDERS, text(ORDERS, other.port, lis=sink.port))  # somebody else listens there
            plan = await engine.reload.apply()
            assert not plan.applied
            (finding,) = (finding for finding in plan.findings if finding.severity == "error")
            assert (finding.file, finding.code) == ("channels/orders.yaml", "JL-R003")
            assert "address already in use" in finding.message.lower()
            await asyncio.gather(one.some(5), two.some(5))
            ca = "send: {http: {url: 'https://127.0.0.1:1/', ca_file: /nowhere.pem}}"
            write(site, ORDERS, text(ORDERS, 0, lis=sink.port) + f"  emr: {{{ca}}}\n")
            assert not (await engine.reload.apply()).applied
            await asyncio.gather(one.some(5), two.some(5))
        assert (one.cuts, two.cuts) == (0, 0)
        assert (port(engine, ADT), port(engine, ORDERS)) == doors
        assert await engine.broker.look("jl.adt.emr") is None
        await arrived(sink, one, two)
    assert Counter(sink.ids()) == Counter([*one.accepted, *two.accepted])


async def test_a_channel_moves_to_another_port_and_two_change_places(
    tmp_path: Path, broker: str, sink: Sink
) -> None:
    here, there, new = free_port(), free_port(), free_port()
    site = write_site(
        tmp_path, {ADT: text(ADT, here, lis=sink.port), ORDERS: text(ORDERS, there, lis=sink.port)}
    )
    async with running(site, broker=broker) as engine:
        write(site, ADT, text(ADT, new, lis=sink.port))
        await applied(engine)
        assert port(engine, ADT) == new
        with pytest.raises(OSError, match="Connect call failed"):
            await send(here, adt("X"))
        assert [code_of(answer) for answer in await send(new, adt("M1"))] == ["AA"]
        write(site, ADT, text(ADT, there, lis=sink.port))
        write(site, ORDERS, text(ORDERS, new, lis=sink.port))
        await applied(engine)
        assert (port(engine, ADT), port(engine, ORDERS)) == (there, new)
        await send(there, adt("M2"))
        await settled(engine, "sent", 2)
        assert {found.channel for found in engine.store.search(Query(), 10).found} == {ADT}
    assert sorted(sink.ids()) == ["M1", "M2"]


async def test_a_destination_comes_and_goes_and_so_do_channels(
    tmp_path: Path, broker: str, sink: Sink, other: Sink
) -> None:
    site = write_site(tmp_path, {ADT: text(ADT, 0, lis=sink.port)})
    async with running(site, broker=broker) as engine:
        await send(port(engine), adt("1"))
        write(site, ADT, text(ADT, 0, lis=sink.port, emr=other.port))
        write(site, ORDERS, text(ORDERS, 0, lis=other.port))
        plan = await applied(engine)
        assert changes(plan) == {ADT: "changed", ORDERS: "added"}
        assert queues(plan) == {"jl.adt.emr": "made", "jl.orders.lis": "made"}
        await send(port(engine), adt("2"))
        await send(port(engine, ORDERS), adt("3"))
        await sink.wait_for(2)
        await other.wait_for(2)
        await nothing_waits(engine)
        write(site, ADT, text(ADT, 0, emr=other.port))
        (site / "channels" / "orders.yaml").unlink()
        plan = await applied(engine)
        assert queues(plan) == {"jl.adt.lis": "dropped", "jl.orders.lis": "dropped"}
        await send(port(engine), adt("4"))
        await other.wait_for(3)
        async with asyncio.timeout(20):
            for gone in ("jl.adt.lis", "jl.orders.lis"):
                while await engine.broker.look(gone) is not None:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        assert [(w.channel, w.destination) for w in engine.gauges.waiting()] == [("adt", "emr")]
    assert (sink.ids(), sorted(other.ids())) == (["1", "2"], ["2", "3", "4"])


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
        await settled(engine)
    assert Counter(other.ids()) == Counter(sender.accepted)
    assert set(sender.accepted[:10]) | set(sender.accepted[-5:]) <= set(sink.ids())


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


async def test_old_channels_leave_nothing_behind(tmp_path: Path, sink: Sink) -> None:
    site = write_site(tmp_path, {ADT: text(ADT, 0, lis=sink.port)})
    async with running(site) as engine:
        old = []
        for number in range(6):
            write(site, ADT, text(ADT, 0, f"title: number {number}\n", lis=sink.port))
            await applied(engine)
            await send(port(engine), adt(f"{number}"))
            old.append(weakref.ref(engine.outlets[0]))
        await sink.wait_for(6)
        gc.collect()
        assert [ref() is None for ref in old] == [True] * 5 + [False]


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


async def test_no_channel_at_all_is_no_change(tmp_path: Path, sink: Sink) -> None:
    site = write_site(tmp_path, {ADT: text(ADT, 0, lis=sink.port)})
    async with running(site) as engine:
        (site / "channels" / "adt.yaml").unlink()
        plan = await engine.reload.apply(drain=True)
        assert [finding.code for finding in plan.findings] == ["JL-R008"]
        assert [code_of(answer) for answer in await send(port(engine), adt("1"))] == ["AA"]
