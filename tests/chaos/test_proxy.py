"""The relay cuts where it was told to, to the byte."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from proxy import Cut, Frames, Proxy

from router.brokers.rabbitmq_frames import Publish, ack

GREETING = b"AMQP\0\0\x09\x01"
PUBLISH = Publish(1, "jl", ("jl.adt.lis", "jl.journal"), 131_072).frames(b"x" * 100)
CONFIRM = ack(1, 7, True)


class Server:
    """Keeps what it gets and says what it is told."""

    def __init__(self) -> None:
        self.got = b""
        self.writers: list[asyncio.StreamWriter] = []
        self.came = asyncio.Event()
        self.ended = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.writers.append(writer)
        self.came.set()
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1000):
                self.got += data
        self.ended.set()


_open: list[asyncio.StreamWriter] = []


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, Proxy]]:
    made = Server()
    listening = await asyncio.start_server(made, "127.0.0.1", 0)
    proxy = Proxy(listening.sockets[0].getsockname()[1], amqp=True)
    await proxy.open()
    yield made, proxy
    await proxy.close()
    listening.close()
    for writer in (*_open, *made.writers):
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    _open.clear()


async def _told(proxy: Proxy, *parts: bytes) -> asyncio.StreamReader:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    _open.append(writer)
    for part in parts:
        writer.write(part)
    return reader


async def _rest(reader: asyncio.StreamReader) -> bytes:
    got = b""
    with contextlib.suppress(ConnectionError):
        while data := await asyncio.wait_for(reader.read(1000), 10):
            got += data
    return got


def test_frames_are_found_and_named_wherever_the_stream_is_cut() -> None:
    stream = GREETING + PUBLISH + ack(2, 3, False) + PUBLISH
    for size in (1, 7, 8, 9, 50, len(stream)):
        frames = Frames(from_engine=True)
        pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
        found = [each for piece in pieces for each in frames.feed(piece)]
        assert b"".join(frame for frame, _ in found) == stream
        assert [event for _, event in found if event] == ["publish", "ack", "publish"]


def test_an_acknowledgement_of_the_broker_is_a_confirm() -> None:
    assert [event for _, event in Frames(from_engine=False).feed(CONFIRM)] == ["confirm"]


@pytest.mark.parametrize(
    ("where", "arrives"), [("before", 0), ("after", len(CONFIRM)), ("within", len(CONFIRM) // 2)]
)
async def test_a_cut_at_a_confirm(server: tuple[Server, Proxy], where: str, arrives: int) -> None:
    peer, proxy = server
    cutting = asyncio.create_task(proxy.cut_at(Cut("confirm", where, nth=2), 10))
    reader = await _told(proxy, GREETING, PUBLISH)
    await peer.came.wait()
    peer.writer.write(CONFIRM)
    peer.writer.write(CONFIRM)
    assert await cutting
    assert len(await _rest(reader)) == len(CONFIRM) + arrives
    await asyncio.wait_for(peer.ended.wait(), 10)
    assert peer.got == GREETING + PUBLISH, "what went the other way before has arrived"


async def test_a_cut_in_mid_publish(server: tuple[Server, Proxy]) -> None:
    peer, proxy = server
    cutting = asyncio.create_task(proxy.cut_at(Cut("publish", "within"), 10))
    await asyncio.sleep(0)
    await _told(proxy, GREETING, PUBLISH)
    assert await cutting
    await asyncio.wait_for(peer.ended.wait(), 10)
    assert 0 < len(peer.got) - len(GREETING) < len(PUBLISH)
    assert (GREETING + PUBLISH).startswith(peer.got)


async def test_a_cut_that_nothing_comes_to_is_taken_back(server: tuple[Server, Proxy]) -> None:
    peer, proxy = server
    assert not await proxy.cut_at(Cut("confirm", "before"), 0.01)
    reader = await _told(proxy, GREETING)
    await peer.came.wait()
    peer.writer.write(CONFIRM)
    assert await asyncio.wait_for(reader.readexactly(len(CONFIRM)), 10) == CONFIRM


async def test_who_is_refused_is_cut_and_later_let_through(server: tuple[Server, Proxy]) -> None:
    peer, proxy = server
    reader = await _told(proxy, GREETING)
    await peer.came.wait()
    with proxy.refusing():
        assert await _rest(reader) == b""
        refused = await _told(proxy)
        assert await _rest(refused) == b""
    peer.came.clear()
    await _told(proxy, GREETING)
    await asyncio.wait_for(peer.came.wait(), 10)


async def test_silence_keeps_what_was_said_until_it_ends(server: tuple[Server, Proxy]) -> None:
    peer, proxy = server
    reader = await _told(proxy, GREETING)
    await peer.came.wait()
    with proxy.silent():
        peer.writer.write(CONFIRM)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readexactly(1), 0.2)
    assert await asyncio.wait_for(reader.readexactly(len(CONFIRM)), 10) == CONFIRM
