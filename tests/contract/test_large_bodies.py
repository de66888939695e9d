"""100 MB through the engine: what arrives is what was sent, and the engine's memory hardly grows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from engine_parts import adt, code_of, send, write_site
from large_parts import LARGE_WAIT_S, Body, Received, Receiver, by_file, by_http, by_mllp, in_file
from process_parts import Process, connect, free_port

SIZE = 99_000_000
ROOM = 50_000_000  # bytes that the engine may grow by


@dataclass
class Place:
    """A running engine with three ways through it."""

    engine: Process
    folder: Path
    mllp: int
    http: int
    receiver: Receiver


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = await Receiver().start()
    yield made
    await made.stop()


@pytest.fixture
def place(tmp_path: Path, receiver: Receiver, broker: str) -> Iterator[Place]:
    mllp, http = free_port(), free_port()
    text = "channel: {name}\nfrom: {source}\nformat: hl7v2\nindex: {{patient: $PID-3.1}}\nto:\n  lis: {{send: {to}}}\n"
    address = f"host: 127.0.0.1, port: {receiver.port}"
    ways = {
        "adt": (f"{{mllp: {{host: 127.0.0.1, port: {mllp}}}}}", f"{{mllp: {{{address}}}}}"),
        "web": ("{http: {path: /large}}", f"{{http: {{url: 'http://127.0.0.1:{receiver.port}/'}}}}"),
        "drop": ("{file: {folder: in, poll: 100ms, settle: 100ms}}", "{file: {folder: out}}"),
    }
    channels = {name: text.format(name=name, source=way[0], to=way[1]) for name, way in ways.items()}
    site = write_site(tmp_path, channels)
    (site / "jingluo.yaml").write_text(f"http: {{host: 127.0.0.1, port: {http}}}\nblobs: {{free: 1MB}}\n")
    engine = Process(site, broker)
    yield Place(engine, site, mllp, http, receiver)
    assert engine.terminate() == 0


@pytest.mark.parametrize("broker", ["embedded"])
async def test_100_mb_pass_through_mllp_http_and_files_in_flat_memory(place: Place) -> None:
    before = await settled(place)
    sent = Body("MLLP", SIZE)
    assert code_of(await by_mllp(place.mllp, sent)) == "AA"
    assert (await place.receiver.has(2))[1].is_(sent)
    assert place.engine.memory("VmHWM") - before < ROOM
    sent = Body("HTTP", SIZE)
    assert b" 202 " in await by_http(place.http, "/large", sent)
    assert (await place.receiver.has(3))[2].is_(sent)
    assert place.engine.memory("VmHWM") - before < ROOM
    sent = Body("FILE", SIZE)
    await asyncio.to_thread(by_file, place.folder / "in", sent)
    assert (await asyncio.to_thread(written, place.folder / "out")).is_(sent)
    assert place.engine.memory("VmHWM") - before < ROOM


async def test_a_large_message_that_was_accepted_outlives_kill_9(
    place: Place, receiver: Receiver, tmp_path: Path
) -> None:
    before = await settled(place)
    await receiver.stop()
    sent = Body("KEPT", SIZE)
    assert code_of(await by_mllp(place.mllp, sent)) == "AA"
    assert place.engine.memory("VmHWM") - before < ROOM
    place.engine.kill()
    (kept,) = (tmp_path / "var" / "blobs").glob("*/*")
    assert b"KEPT" not in kept.read_bytes()[:100_000], "it is sealed"
    await receiver.start(receiver.port)
    place.engine.start()
    assert (await receiver.has(2))[1].is_(sent)
    saved = tmp_path / "saved"
    await asyncio.to_thread(place.engine.command, "messages", "show", kept.name, "--save", str(saved))
    assert (await asyncio.to_thread(in_file, saved)).is_(sent)


async def settled(place: Place) -> int:
    """The memory of an engine at work, bytes."""
    _, writer = await connect(place.mllp)
    writer.close()
    assert [code_of(answer) for answer in await send(place.mllp, adt("SMALL"))] == ["AA"]
    await place.receiver.has(1)
    place.engine.forget_peak()
    return place.engine.memory("VmRSS")


def written(folder: Path) -> Received:
    """The file that comes to stand there."""
    ends_at = time.monotonic() + LARGE_WAIT_S
    while not (found := [path for path in folder.glob("*") if not path.name.startswith(".")]):
        assert time.monotonic() < ends_at, "nothing was written"
        time.sleep(0.1)
    return in_file(found[0])
