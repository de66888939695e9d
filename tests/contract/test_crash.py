"""kill -9 while messages are on their way: what was answered with AA arrives, and what comes twice is few."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

from engine_parts import END, START, Sink, adt, code_of, write_site
from process_parts import WAIT_S, Process, connect, free_port

SENDERS = 8
IN_FLIGHT = 8 + 160 + SENDERS  # a destination's `parallel`, what it holds ahead, what the senders wait for


async def _send_until_cut(port: int, ids: Iterator[str], said_yes: set[str]) -> None:
    """One sender, one message at a time, until the engine is gone."""
    reader, writer = await connect(port)
    try:
        for control_id in ids:
            writer.write(START + adt(control_id) + END)
            answer = (await reader.readuntil(END))[1:-2]
            if code_of(answer) == "AA":
                said_yes.add(control_id)
    except (asyncio.IncompleteReadError, OSError):
        pass
    finally:
        writer.close()


async def test_kill_9_loses_nothing_that_was_accepted(tmp_path: Path, broker: str) -> None:
    sink = await Sink(slow_s=0.03).start()  # slower than the senders: much is waiting at each kill
    door = free_port()
    text = (
        f"channel: adt\nfrom: {{mllp: {{host: 127.0.0.1, port: {door}}}}}\nformat: hl7v2\n"
        f"to:\n  lis: {{send: {{mllp: {{host: 127.0.0.1, port: {sink.port}}}}}}}\n"
    )
    site = write_site(tmp_path, {"adt": text})
    said_yes: set[str] = set()
    for round_ in range(2):
        engine = Process(site, broker)
        target = len(said_yes) + 150
        ids = (f"K{round_}-{n}" for n in range(100_000))
        senders = [asyncio.create_task(_send_until_cut(door, ids, said_yes)) for _ in range(SENDERS)]
        async with asyncio.timeout(WAIT_S):
            while len(said_yes) < target:  # noqa: ASYNC110
                await asyncio.sleep(0.01)  # the senders' count is the only sign
        engine.kill()
        await asyncio.gather(*senders)
    assert not said_yes <= set(sink.ids()), "nothing was waiting: the test proves nothing"
    last = Process(site, broker)
    _, writer = await connect(door)
    writer.close()
    async with asyncio.timeout(WAIT_S):
        while not said_yes <= set(sink.ids()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert await asyncio.to_thread(last.terminate) == 0  # the sink must go on answering meanwhile
    got = sink.ids()
    await sink.stop()
    assert said_yes <= set(got)
    assert len(got) - len(set(got)) <= 2 * IN_FLIGHT
