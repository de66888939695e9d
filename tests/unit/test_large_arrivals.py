"""Bodies over 1 MB as they come in: to a file and not to memory, and what their senders hear when that fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from blob_parts import MB, blobs_in, body_of, files_in, whole
from endpoint_parts import FakeEngine, Peer, adt, until

from config import registry
from config.settings import LimitSettings
from endpoints.base import Ground, Source
from endpoints.hl7.framing import framed
from endpoints.web import WebServer
from schemas.message import Reply

FULL = 10**18  # bytes to be left free: no disk has them


class Sources:
    """Opens sources that spool into `blobs`."""

    def __init__(self, folder: Path, web: WebServer) -> None:
        self.folder = folder
        self.web = web
        self.blobs = blobs_in(folder / "blobs")
        self.opened: list[Source] = []

    async def open(self, kind: str, engine: FakeEngine, **options: Any) -> Any:
        made = registry.sources.get(kind)
        ground = Ground("his", "hl7v2", self.web, str(self.folder), spool=self.blobs.spool)
        source = made(made.Options(**options), ground)
        await source.start(engine.deliver)
        self.opened.append(source)
        return source

    @property
    def left(self) -> list[Path]:
        return files_in(self.folder / "blobs")


@pytest.fixture
async def sources(tmp_path: Path) -> AsyncIterator[Sources]:
    web = WebServer("127.0.0.1", 0, LimitSettings(body="100MB"))
    await web.start()
    made = Sources(tmp_path, web)
    yield made
    for source in made.opened:
        await source.stop()
    await web.stop()


def large(control_id: str, size: int = 3 * MB) -> bytes:
    return adt(control_id, "OBX|1|ED|||" + body_of(size).decode() + "\r")


async def test_a_large_mllp_message_keeps_its_place_among_the_others(sources: Sources) -> None:
    engine = FakeEngine()
    peer = await Peer.connect((await sources.open("mllp", engine, port=0, host="127.0.0.1")).port)
    sent = [adt("A"), large("B"), large("C", MB + 10), adt("D"), large("E")]
    peer.write(*sent)
    assert [await peer.msa() for _ in sent] == [("AA", name) for name in "ABCDE"]
    assert [message.body or whole(message.blob) for message in engine.got] == sent
    assert [message.blob is None for message in engine.got] == [True, False, False, True, False]
    await peer.close()


async def test_nothing_overtakes_a_large_mllp_message_while_the_engine_reads_it(sources: Sources) -> None:
    engine = FakeEngine(held=True)
    peer = await Peer.connect((await sources.open("mllp", engine, port=0, host="127.0.0.1")).port)
    peer.write(adt("A"), large("B"), adt("C"), adt("D"))
    await engine.has(2)
    await asyncio.sleep(0.2)  # enough for C, were it taken; too short makes this weaker, not wrong
    assert len(engine.got) == 2
    engine.open[1].set_result(Reply("accepted"))
    await engine.has(4)
    for future in (engine.open[0], *engine.open[2:]):
        future.set_result(Reply("accepted"))
    assert [await peer.msa() for _ in range(4)] == [("AA", name) for name in "ABCD"]
    await peer.close()


async def test_a_message_over_the_limit_is_refused_and_leaves_nothing(sources: Sources) -> None:
    engine = FakeEngine()
    source = await sources.open("mllp", engine, port=0, host="127.0.0.1", max_size="2MB")
    peer = await Peer.connect(source.port)
    assert await peer.ask(large("B")) == ("AR", "B")
    assert await peer.ask(adt("C")) == ("AA", "C")
    assert [(m.fault_code, m.body[:20]) for m in engine.refused] == [("JL-E101", large("B")[:20])]
    assert sources.left == []
    await peer.close()


async def test_a_sender_is_told_of_a_full_disk_and_may_go_on(sources: Sources) -> None:
    engine = FakeEngine()
    peer = await Peer.connect((await sources.open("mllp", engine, port=0, host="127.0.0.1")).port)
    sources.blobs.free = FULL
    assert await peer.ask(large("B")) == ("AE", "B")
    assert await peer.ask(adt("C")) == ("AA", "C")
    sources.blobs.free = 0
    assert await peer.ask(large("D")) == ("AA", "D")
    assert [len(files) for files in (sources.left, engine.got)] == [1, 2]
    await peer.close()


@pytest.mark.parametrize("ending", [b"\x0b" + adt("NEXT") + b"\x1c\r", b""])
async def test_a_large_message_that_is_cut_is_refused_and_leaves_nothing(
    sources: Sources, ending: bytes
) -> None:
    engine = FakeEngine()
    peer = await Peer.connect((await sources.open("mllp", engine, port=0, host="127.0.0.1")).port)
    peer.writer.write(framed(large("CUT"))[: 2 * MB] + ending)
    peer.writer.write_eof()
    assert await peer.msa() == ("AR", "CUT")
    assert await peer.msa() == (("AA", "NEXT") if ending else ("", ""))
    assert [(m.fault_code, m.body[:9]) for m in engine.refused] == [("JL-E102", b"MSH|^~\\&|")]
    assert sources.left == []
    await peer.close()


async def test_a_sender_that_goes_away_leaves_nothing(sources: Sources) -> None:
    engine = FakeEngine()
    peer = await Peer.connect((await sources.open("mllp", engine, port=0, host="127.0.0.1")).port)
    peer.writer.write(framed(large("GONE"))[: 2 * MB])
    await until(lambda: bool(sources.left))
    peer.writer.transport.abort()
    await until(lambda: not sources.left)
    assert engine.got == []


async def http(sources: Sources, content: Any) -> httpx2.Response:
    async with httpx2.AsyncClient(trust_env=False, timeout=10) as client:
        return await client.post(f"http://127.0.0.1:{sources.web.port}/large", content=content)


async def test_a_large_http_body_goes_to_a_file_also_without_a_length(sources: Sources) -> None:
    engine = FakeEngine()
    await sources.open("http", engine, path="/large")
    sent = large("B")

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(sent), 100_000):
            yield sent[at : at + 100_000]

    assert [(await http(sources, content)).status_code for content in (sent, pieces())] == [202, 202]
    assert [whole(message.blob) for message in engine.got] == [sent, sent]


async def test_http_refuses_what_is_too_large_and_says_when_there_is_no_room(sources: Sources) -> None:
    engine = FakeEngine()
    await sources.open("http", engine, path="/large", max_size="2MB")
    sent = large("B")

    async def pieces() -> AsyncIterator[bytes]:
        yield sent

    assert (await http(sources, pieces())).status_code == 413
    sources.blobs.free = FULL
    answer = await http(sources, sent[: MB + 10])
    assert (answer.status_code, answer.json()["code"]) == (503, "JL-L001")
    assert answer.headers["retry-after"] == "5"
    assert (sources.left, engine.got) == ([], [])


async def test_an_http_client_that_goes_away_leaves_nothing(sources: Sources) -> None:
    engine = FakeEngine()
    await sources.open("http", engine, path="/large")
    _, writer = await asyncio.open_connection("127.0.0.1", sources.web.port)
    writer.write(b"POST /large HTTP/1.1\r\nhost: x\r\ncontent-length: 3000000\r\n\r\n" + body_of(2 * MB))
    await until(lambda: bool(sources.left))
    writer.transport.abort()
    await until(lambda: not sources.left)
    assert engine.got == []


async def test_a_large_file_stays_where_it_is_until_there_is_room(sources: Sources) -> None:
    engine = FakeEngine()
    sources.blobs.free = FULL
    (sources.folder / "in").mkdir()
    (sources.folder / "in" / "a.hl7").write_bytes(large("A"))
    (sources.folder / "in" / "b.hl7").write_bytes(large("B", 5 * MB))
    await sources.open("file", engine, folder="in", poll="10ms", settle="0s", max_size="4MB")
    await asyncio.sleep(0.2)
    assert engine.got == []
    assert (sources.folder / "in" / "a.hl7").exists()
    sources.blobs.free = 0
    await until(lambda: bool(engine.got and engine.refused))
    assert whole(engine.got[0].blob) == large("A")
    assert [(m.fault_code, m.blob, len(m.body)) for m in engine.refused] == [("JL-E301", None, 4096)]
    assert len(sources.left) == 1
