"""A queue that is nearly full pauses its channel's door, and opens it again once it has drained."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx2
import pytest
from engine_parts import END, START, Sink, adt, code_of, running, send, write_site

from channels.loader import load_site
from channels.model import Channel
from config.settings import load_settings
from router.board import Mode
from router.brokers.base import Depth
from router.pressure import Pressure

CHANNEL = """\
channel: {name}
from: {{mllp: {{port: 0}}}}
format: hl7v2
limit: {{{limit}}}
to:
  lis:
    send: {{mllp: {{host: 127.0.0.1, port: {port}, timeout: 5s}}}}
    retry: {{first: 100ms, max: 100ms}}
"""


def channel_of(folder: Path, limit: str = "messages: 20") -> Channel:
    text = CHANNEL.format(name="adt", port=1, limit=limit)
    (made,) = load_site(load_settings(write_site(folder, {"adt": text}), {})).channels
    return made


class Senders:
    """Several at once, each sending again what was not accepted."""

    def __init__(self, port: int, messages: Sequence[bytes], count: int = 4) -> None:
        self.answers: Counter[str] = Counter()
        self._port = port
        self._tasks = [asyncio.create_task(self._send(messages[n::count])) for n in range(count)]

    @property
    def done(self) -> bool:
        return all(task.done() for task in self._tasks)

    async def all_taken(self, within_s: float) -> None:
        async with asyncio.timeout(within_s):
            await asyncio.gather(*self._tasks)

    async def _send(self, messages: Sequence[bytes]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        for message in messages:
            code = ""
            while code != "AA":
                writer.write(START + message + END)
                code = code_of((await reader.readuntil(END))[1:-2])
                self.answers[code] += 1
                await asyncio.sleep(0.05 if code != "AA" else 0)
        writer.close()


async def until(true: Callable[[], bool], within_s: float = 60) -> None:
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110  # nobody tells a test
            await asyncio.sleep(0.05)


def test_between_pausing_and_going_on_lies_a_gap(tmp_path: Path) -> None:
    site = write_site(tmp_path, {"adt": CHANNEL.format(name="adt", port=1, limit="messages: 20")})
    pressure = Pressure(load_site(load_settings(site, {})).channels)
    assert pressure.queues == ["jl.adt.lis", "jl.journal"]

    def judged(waiting: int) -> tuple[list[str], list[str]]:
        return pressure.judge({"jl.adt.lis": Depth(waiting)})

    assert judged(17) == ([], [])
    assert judged(18) == (["adt"], [])
    assert pressure.paused == {"adt": "jl.adt.lis"}
    assert judged(15) == ([], [])
    assert judged(14) == ([], ["adt"])
    assert judged(17) == ([], [])
    assert pressure.paused == {}


def test_a_queue_is_full_by_bytes_as_well(tmp_path: Path) -> None:
    pressure = Pressure([channel_of(tmp_path, "bytes: 1000B")])

    def judged(size: int) -> tuple[list[str], list[str]]:
        return pressure.judge({"jl.adt.lis": Depth(1, bytes=size)})

    assert [judged(size) for size in (899, 900, 701, 700)] == [
        ([], []),
        (["adt"], []),
        ([], []),
        ([], ["adt"]),
    ]


def test_a_refusal_pauses_until_a_part_has_gone_or_for_a_while(tmp_path: Path) -> None:
    pressure = Pressure([channel_of(tmp_path, "messages: 1000000")])

    def judged(waiting: int) -> tuple[list[str], list[str]]:
        return pressure.judge({"jl.adt.lis": Depth(waiting)})

    judged(50)
    pressure.refused("adt")
    assert pressure.paused == {"adt": "jl.adt.lis"}
    assert [judged(waiting) for waiting in (60, 43, 42)] == [([], []), ([], []), ([], ["adt"])]
    pressure.refused("adt")
    looks = [judged(60)[1] for _ in range(20)]
    assert looks.index(["adt"]) == 14, "whatever the queue says, a message is tried again"
    pressure.refused("another")
    assert pressure.paused == {}


def test_the_journals_queue_pauses_every_channel(tmp_path: Path) -> None:
    pressure = Pressure([channel_of(tmp_path)], lambda name: (1000, 900_000_000))

    def judged(waiting: int, size: int = 0) -> tuple[list[str], list[str]]:
        return pressure.judge({"jl.journal": Depth(waiting, bytes=size)})

    assert judged(20_000) == ([], []), "it holds more outcomes than messages"
    assert judged(900_000) == (["adt"], [])
    assert pressure.paused == {"adt": "jl.journal"}
    assert judged(700_000) == ([], ["adt"])
    assert judged(1000, 1_900_000_000) == (["adt"], [])


def test_where_the_broker_knows_no_bytes_they_are_estimated(tmp_path: Path) -> None:
    taken = (0, 0)
    pressure = Pressure([channel_of(tmp_path, "bytes: 1000KB")], lambda name: taken)

    def judged(waiting: int) -> tuple[list[str], list[str]]:
        return pressure.judge({"jl.adt.lis": Depth(waiting)})

    taken = (100, 100_000)
    assert [judged(waiting) for waiting in (899, 900)] == [([], []), (["adt"], [])]
    taken = (200, 110_000)
    assert [judged(waiting) for waiting in (900, 900)] == [([], ["adt"]), ([], [])], (
        "they have become smaller"
    )


async def test_a_channel_waits_for_its_receiver_and_the_others_go_on(
    tmp_path: Path, sink: Sink, broker: str
) -> None:
    other = await Sink().start()
    channels = {
        "adt": CHANNEL.format(name="adt", port=sink.port, limit="messages: 20"),
        "more": CHANNEL.format(name="more", port=other.port, limit="messages: 1000"),
    }
    stuck = True
    sink.answer = lambda message: None if stuck else "AA"
    async with running(write_site(tmp_path, channels), broker=broker) as engine:
        doors = {name: engine.doors.port(name) or 0 for name in channels}
        answers = await send(doors["adt"], *(adt(f"A{n}") for n in range(18)))
        assert {code_of(answer) for answer in answers} == {"AA"}
        async with asyncio.timeout(20):
            while "adt" not in engine.pressure.paused:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        late = asyncio.create_task(send(doors["adt"], adt("LATE")))
        assert [code_of(a) for a in await send(doors["more"], *(adt(f"M{n}") for n in range(30)))] == [
            "AA"
        ] * 30
        assert not late.done()
        assert 'jingluo_paused{channel="adt"} 1.0' in engine.metrics.render().decode()
        stuck = False
        await sink.stop()
        await sink.start(sink.port)
        async with asyncio.timeout(30):
            assert [code_of(answer) for answer in await late] == ["AA"]
            while not {"LATE", *(f"A{n}" for n in range(18))} <= set(sink.ids()):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    with contextlib.suppress(Exception):
        await other.stop()


async def test_a_queue_that_is_full_by_bytes_pauses_its_channel(
    tmp_path: Path, sink: Sink, broker: str
) -> None:
    text = CHANNEL.format(name="adt", port=sink.port, limit="bytes: 500KB")
    sent = [adt(f"B{n}") + b"ZZZ|" + b"x" * 1000 + b"\r" for n in range(3000)]
    async with running(write_site(tmp_path, {"adt": text}), broker=broker) as engine:
        await engine.board.say(Mode("adt", "lis", "paused", 0))
        senders = Senders(engine.doors.port("adt") or 0, sent)
        await until(lambda: "adt" in engine.pressure.paused)
        await asyncio.sleep(0.3)
        assert not senders.done
        assert senders.answers["AA"] >= 200
        async with httpx2.AsyncClient() as client:
            ready = (await client.get(f"http://127.0.0.1:{engine.web.port}/health/ready")).json()
        assert ready["channels"] == {"adt": "paused, jl.adt.lis is nearly full"}
        await engine.board.say(Mode("adt", "lis", "running", 0))
        await senders.all_taken(60)
        await until(lambda: set(sink.ids()) == {f"B{n}" for n in range(3000)})
        await until(lambda: engine.pressure.paused == {})


@pytest.mark.rabbitmq
async def test_the_door_of_one_process_waits_for_the_receiver_of_another(
    tmp_path: Path, sink: Sink, amqp_vhost: str
) -> None:
    text = CHANNEL.format(name="adt", port=sink.port, limit="messages: 300")
    await sink.stop()
    site = write_site(tmp_path, {"adt": text})
    async with (
        running(site, broker=amqp_vhost, roles="journal,delivery", var=str(tmp_path / "back")) as back,
        running(site, broker=amqp_vhost, roles="intake", var=str(tmp_path / "front")) as front,
    ):
        senders = Senders(front.doors.port("adt") or 0, [adt(f"R{n}") for n in range(4000)], count=8)
        before = -1
        async with asyncio.timeout(60):
            while "adt" not in front.pressure.paused or senders.answers["AA"] != before:
                before = senders.answers["AA"]
                assert await back.broker.delayed() <= 110, "only some wait where nobody counts them"
                await asyncio.sleep(2)
        assert 300 <= before < 4000
        assert 'jingluo_paused{channel="adt"} 1.0' in front.metrics.render().decode()
        await sink.start(sink.port)
        await senders.all_taken(90)
        await until(lambda: len(set(sink.ids())) == 4000)
        await until(lambda: front.pressure.paused == {})
