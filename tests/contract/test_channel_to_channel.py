"""`send: {channel: ...}`: what one channel hands to another, on both brokers; over kills, reloads and processes."""

from __future__ import annotations

import asyncio
import contextlib
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import killer
import pytest
from engine_parts import Sink, adt, code_of, port, running, send, settled, write_site
from large_parts import Body, Receiver, by_mllp
from process_parts import WAIT_S, Process, connect, free_port

from channels.loader import load_site
from config.settings import load_settings
from router.board import Mode
from router.engine import Engine
from router.ids import child_id
from router.replay import Replayer, ReplayRequest
from router.search import Query
from router.store import StoreError, open_journal

ORDER = "order: {by: $PID-3.1, lanes: 2}\n"


def front(door: int = 0, more: str = "", branch: str = "") -> str:
    """Takes messages by MLLP and hands them to `orders`."""
    return (
        f"channel: adt\nfrom: {{mllp: {{port: {door}}}}}\nformat: hl7v2\n{more}"
        f"to:\n  lis:\n    send: {{channel: orders}}\n{branch}"
    )


def back(to: int | str, more: str = "", branch: str = "") -> str:
    """Takes them from there, and sends them to a port, or as `to` says."""
    send = f"{{mllp: {{host: 127.0.0.1, port: {to}, timeout: 2s}}}}" if isinstance(to, int) else to
    return (
        f"channel: orders\nfrom: {{channel: {{}}}}\nformat: hl7v2\nindex: {{patient: $PID-3.1}}\n{more}"
        f"to:\n  lis:\n    send: {send}\n{branch}"
    )


async def until(said: Callable[[], bool], within_s: float = 60) -> None:
    async with asyncio.timeout(within_s):
        while not said():  # noqa: ASYNC110  # nobody tells a test
            await asyncio.sleep(0.05)


def states(engine: Engine, channel: str) -> list[str]:
    """Of its messages, oldest first."""
    return [found.state for found in reversed(engine.store.search(Query(channel=channel)).found)]


async def test_a_message_goes_through_two_channels_and_both_know_each_other(
    tmp_path: Path, broker: str, sink: Sink
) -> None:
    rules = (
        "when: {$MSH-9.2: A01}\nduplicates: {by: $MSH-10}\nvalidate: {as: hl7v2/2.5, except: [PV1, EVN]}\n"
    )
    site = write_site(tmp_path, {"adt": front(), "orders": back(sink.port, rules)})
    async with running(site, broker=broker) as engine:
        sent = [
            adt("A1", patient="P7"),
            adt("A2", "A08"),
            adt("A1", patient="P7"),
            adt("A3").replace(b"P0001^^^HIS", b""),
        ]
        assert {code_of(answer) for answer in await send(port(engine), *sent)} == {"AA"}
        await sink.wait_for(1)
        await settled(engine)
        assert sink.ids() == ["A1"]
        assert sorted(states(engine, "orders")) == ["accepted", "duplicate", "filtered"]
        (child,) = engine.store.search(Query(text="P7", state="sent")).found
        story = engine.store.show(child.id)
        assert (story.source, story.parents) == ("channel adt", (child.parent,))
        assert child.id == child_id(child.parent, "adt.lis orders")
        assert engine.store.show(child.parent).children == (child.id,)
        # What the other channel refuses is a dead letter of the one that has it, and of nobody else.
        (dead,) = engine.store.search(Query(state="dead")).found
        (delivery,) = dead.deliveries
        assert (dead.channel, delivery.code, delivery.reason[:6]) == ("adt", "JL-V001", "PID-3:")
        replayer = Replayer(engine.store, engine.resend, lambda: dead.received_ms + 1)
        done = await replayer.replay(ReplayRequest(ids=(dead.id,), body=b64encode(adt("A4", patient="P8"))))
        assert done.failures == []
        await sink.wait_for(2)
        assert sink.ids() == ["A1", "A4"]
        await settled(engine)
        text = engine.metrics.render().decode()
        assert 'jingluo_accepted_total{channel="orders"} 2.0' in text
        assert 'jingluo_dead_total{channel="adt",destination="lis"} 1.0' in text


async def test_kill_9_between_the_publish_and_the_end_makes_the_same_message_again(
    tmp_path: Path, broker: str
) -> None:
    door, into = free_port(), tmp_path / "sent"
    plugins = killer.install(tmp_path / "plugins")
    target = back(f"{{killer: {{into: {into}, slow: 0.0}}}}")
    items = "  emr: {when: {$OBR: {exists: true}}, split: $OBR, send: {channel: orders}}\n"
    site = write_site(tmp_path, {"adt": front(door) + items, "orders": target})
    engine = Process(site, broker, plugins)
    _, writer = await connect(door)
    writer.close()
    ids = [f"N{n}" for n in range(20)]
    # The receiver takes it before what hands it over has acknowledged it, and dies at once.
    with contextlib.suppress(asyncio.IncompleteReadError, OSError):
        await send(door, *[adt(id) for id in ids], adt("ONCE") + b"OBR|1\rOBR|2\rOBR|3\r")
    await until(lambda: engine.died is not None)
    engine.start()
    store = open_journal(load_settings(site, {}))
    wanted = {*ids, "ONCE", "ONCE-1", "ONCE-2", "ONCE-3"}

    def delivered() -> bool:
        with contextlib.suppress(StoreError):
            sent = store.search(Query(channel="orders", state="sent"), 100).found
            return len(sent) == len(wanted) and not store.search(Query(state="waiting"), 1).found
        return False

    await until(delivered, 2 * WAIT_S)
    assert await asyncio.to_thread(engine.terminate) == 0
    notes = [line.split() for line in into.with_name("sent.ids").read_text().splitlines()]
    assert {name for name, _, _ in notes} == wanted
    assert len(notes) >= len(wanted) + 2, "what was under way came again, and was handed over once more"
    for one in wanted:
        mine = [(id, again) for name, id, again in notes if name == one]
        assert len({id for id, _ in mine}) == 1, "the same message each time"
        assert {again for _, again in mine[1:]} <= {"True"}
    children = store.search(Query(channel="orders"), 100).found
    assert len(children) == len(wanted)
    (parent,) = {
        child.parent for child in children if store.show(child.id).source.startswith("channel adt, item")
    }
    assert len(store.show(parent).children) == 4, "the whole, and its items"
    store.close()


async def test_a_key_keeps_its_order_through_two_channels_and_a_restart(tmp_path: Path, broker: str) -> None:
    sink = await Sink().start()
    tries = {"n": 0}

    def moody(message: bytes) -> str:
        tries["n"] += 1
        return "AE" if tries["n"] % 5 == 0 else "AA"

    sink.answer = moody
    retry = "    retry: {first: 100ms, factor: 1}\n"
    split = front(0, ORDER).replace("send: {channel", "split: $OBR\n    send: {channel")
    site = write_site(tmp_path, {"adt": split, "orders": back(sink.port, ORDER, retry)})
    sent = [f"P{patient}-{n:02}" for n in range(6) for patient in range(4)]
    wanted = [f"{id}-{item}" for id in sent for item in (1, 2)]
    for half in (sent[:12], sent[12:]):
        async with running(site, broker=broker) as engine:
            await send(port(engine), *[adt(id, patient=id[:2]) + b"OBR|1\rOBR|2\r" for id in half])
            await sink.wait_for(len(half))
    async with running(site, broker=broker) as engine:
        await until(lambda: set(sink.ids()) == set(wanted))
        await settled(engine)
    firsts = list(dict.fromkeys(sink.ids()))
    for patient in {id[:2] for id in sent}:
        mine = [id for id in wanted if id[:2] == patient]
        assert [id for id in firsts if id[:2] == patient] == mine
    await sink.stop()


async def test_a_receiver_that_hangs_is_felt_at_the_first_door(
    tmp_path: Path, broker: str, sink: Sink
) -> None:
    limits = [f"limit: {{messages: {count}}}\n" for count in (30, 20)]
    site = write_site(
        tmp_path,
        {"adt": front(0, limits[0]), "orders": back(sink.port, limits[1], "    retry: {first: 100ms}\n")},
    )
    async with running(site, broker=broker) as engine:
        await engine.board.say(Mode("orders", "lis", "paused", 0))
        sent: list[str] = []
        enough = asyncio.Event()
        sender = asyncio.create_task(send_until(enough, port(engine), sent))
        await until(lambda: set(engine.pressure.paused) == {"adt", "orders"})
        await asyncio.sleep(0.5)  # what was under way
        waiting = len(sent)
        await asyncio.sleep(1.5)  # a look or two
        assert len(sent) == waiting, "the door waits"
        tried = engine.metrics.render().decode()
        assert 'jingluo_dead_total{channel="adt",destination="lis"} 0.0' in tried
        enough.set()
        await engine.board.say(Mode("orders", "lis", "running", 0))
        await sender
        await until(lambda: set(sink.ids()) == set(sent))
        await settled(engine)
        await until(lambda: engine.pressure.paused == {})


async def send_until(enough: asyncio.Event, door: int, sent: list[str]) -> None:
    """One after the other, each until it is accepted; RabbitMQ is asked only every 5 s how much waits."""
    while not enough.is_set():
        id = f"B{len(sent)}"
        while code_of((await send(door, adt(id)))[0]) != "AA":  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        sent.append(id)


async def test_channels_that_go_are_emptied_one_after_the_other(
    tmp_path: Path, broker: str, sink: Sink
) -> None:
    sink.answer = lambda message: "AE"
    retry = "    retry: {first: 100ms, max: 100ms}\n"
    other = (
        front()
        .replace("channel: adt", "channel: other")
        .replace("{channel: orders}", "{file: {folder: out}}")
    )
    site = write_site(tmp_path, {"adt": front(), "orders": back(sink.port, branch=retry), "other": other})
    async with running(site, broker=broker) as engine:
        await engine.board.say(Mode("adt", "lis", "paused", 0))
        await send(port(engine), adt("1"), adt("2"))
        for name in ("adt", "orders"):
            (site / "channels" / f"{name}.yaml").rename(site / f"{name}.yaml")
        refused = await engine.reload.apply()
        assert [finding.code for finding in refused.findings] == ["JL-R001"]
        assert (await engine.reload.apply(drain=True)).applied
        await asyncio.sleep(0.5)
        assert await engine.broker.look("jl.orders.lis") is not None, "something may still come there"
        await engine.board.say(Mode("adt", "lis", "running", 0))
        await sink.wait_for(2)
        sink.answer = lambda message: "AA"
        async with asyncio.timeout(60):
            while await engine.broker.look("jl.orders.lis") is not None:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await settled(engine)
        assert await engine.broker.look("jl.adt.lis") is None
        assert set(sink.ids()) == {"1", "2"}
        assert {count.dead for count in engine.store.counts()} == {0}


async def test_what_waits_for_a_channel_with_mistakes_is_delivered_when_it_is_mended(
    tmp_path: Path, broker: str, sink: Sink
) -> None:
    site = write_site(tmp_path, {"adt": front(), "orders": back(sink.port)})
    file = site / "channels" / "orders.yaml"
    good = file.read_text()
    file.write_text(good.replace("format: hl7v2", "format: hl7v3"))
    settings = load_settings(site, {"JINGLUO_BROKER": broker})
    loaded = load_site(settings)
    assert [c.name for c in loaded.channels] == ["adt"], "the one that sends there runs"
    engine = Engine(settings, loaded)
    try:
        await engine.start()
        assert [code_of(a) for a in await send(port(engine), adt("1"))] == ["AA"]
        file.write_text(good)
        assert (await engine.reload.apply()).applied
        await sink.wait_for(1)
    finally:
        await engine.stop()


async def test_a_large_body_is_handed_over_as_a_reference(tmp_path: Path, broker: str) -> None:
    receiver = await Receiver().start()
    site = write_site(tmp_path, {"adt": front(), "orders": back(receiver.port)})
    body = Body("L1", 3_000_000)
    async with running(site, broker=broker) as engine:
        await by_mllp(port(engine), body)
        (got,) = await receiver.has(1)
        assert got.is_(body)
        await settled(engine)
        (child,) = engine.store.search(Query(channel="orders")).found
        blob = engine.store.show(child.id).blob
        assert blob is not None
        assert blob.name == child.parent, "the same file"
    await receiver.stop()


@pytest.mark.rabbitmq
async def test_roles_in_processes_of_their_own_hand_over_as_one_does(
    tmp_path: Path, sink: Sink, amqp_vhost: str
) -> None:
    site = write_site(tmp_path, {"adt": front(), "orders": back(sink.port, "duplicates: {by: $MSH-10}\n")})
    async with contextlib.AsyncExitStack() as stack:
        begin = lambda role: stack.enter_async_context(  # noqa: E731
            running(site, broker=amqp_vhost, roles=role, var=str(tmp_path / role))
        )
        journal, _, intake = await begin("journal"), await begin("delivery"), await begin("intake")
        await send(port(intake), *[adt(f"R{n}") for n in range(20)], adt("R3"))
        await until(lambda: len(sink.got) >= 20)
        await settled(journal)
        await until(lambda: states(journal, "orders").count("duplicate") == 1)
        assert sorted(sink.ids()) == sorted(f"R{n}" for n in range(20))
        ways = {(c.channel, c.destination): c for c in journal.store.counts()}
        assert (ways["adt", "lis"].delivered, ways["orders", "lis"].delivered) == (21, 20)
