"""A queue that is nearly full pauses its channel's door, and opens it again once it has drained."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from engine_parts import Sink, adt, code_of, running, send, write_site

from channels.loader import load_site
from config.settings import load_settings
from router.brokers.base import Depth
from router.pressure import Pressure

CHANNEL = """\
channel: {name}
from: {{mllp: {{port: 0}}}}
format: hl7v2
limit: {{messages: {limit}}}
to:
  lis:
    send: {{mllp: {{host: 127.0.0.1, port: {port}, timeout: 5s}}}}
    retry: {{first: 100ms, max: 100ms}}
"""


def test_between_pausing_and_going_on_lies_a_gap(tmp_path: Path) -> None:
    site = write_site(tmp_path, {"adt": CHANNEL.format(name="adt", port=1, limit=20)})
    pressure = Pressure(load_site(load_settings(site, {})).channels)
    assert pressure.queues == ["jl.adt.lis"]

    def judged(waiting: int) -> tuple[list[str], list[str]]:
        return pressure.judge({"jl.adt.lis": Depth(waiting)})

    assert judged(17) == ([], [])
    assert judged(18) == (["adt"], [])
    assert pressure.paused == {"adt": "jl.adt.lis"}
    assert judged(15) == ([], [])
    assert judged(14) == ([], ["adt"])
    assert judged(17) == ([], [])
    assert pressure.paused == {}


async def test_a_channel_waits_for_its_receiver_and_the_others_go_on(
    tmp_path: Path, sink: Sink, broker: str
) -> None:
    other = await Sink().start()
    channels = {
        "adt": CHANNEL.format(name="adt", port=sink.port, limit=20),
        "more": CHANNEL.format(name="more", port=other.port, limit=1000),
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
