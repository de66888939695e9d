"""Bodies over 1 MB on their way out: piece by piece, as fast as the receiver reads, and what stops them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from blob_parts import FakeBlob
from endpoint_parts import adt

from config import registry
from config.errors import BadMessage, Refused, Unreachable
from endpoints.base import Ground
from endpoints.hl7.framing import framed
from schemas.message import Message

PIECE = 200_000
AA = framed(b"MSH|^~\\&|LIS\rMSA|AA|C1\r")
AR = framed(b"MSH|^~\\&|LIS\rMSA|AR|C1|too large\r")
Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Listen = Callable[[Peer], Awaitable[int]]


@pytest.fixture
async def listen() -> AsyncIterator[Listen]:
    """Receivers that do as they are told, each on a port of its own."""
    servers: list[asyncio.Server] = []
    over = asyncio.Event()

    async def open(peer: Peer) -> int:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError):
                await peer(reader, writer)
            await over.wait()
            writer.close()

        servers.append(await asyncio.start_server(serve, "127.0.0.1", 0, limit=4_000_000))
        port: int = servers[-1].sockets[0].getsockname()[1]
        return port

    yield open
    over.set()
    for server in servers:
        server.close()


def destination(kind: str, base: Path = Path(), **options: Any) -> Any:
    made = registry.destinations.get(kind)
    return made(made.Options(**options), Ground("his.lis", "hl7v2", base_dir=str(base)))


def message(*pieces: bytes, **more: Any) -> Message:
    return Message(b"", id="a1", blob=FakeBlob(adt("C1"), *pieces, **more))


PIECES = [bytes([65 + n]) * PIECE for n in range(10)]


async def test_mllp_sends_all_pieces_in_one_frame_and_the_connection_is_used_again(listen: Listen) -> None:
    got: list[bytes] = []

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            got.append(await reader.readuntil(b"\x1c\r"))
            writer.write(AA)

    lis = destination("mllp", host="127.0.0.1", port=await listen(peer))
    for _ in range(2):
        assert (await lis.send(message(*PIECES))).code == "AA"
    assert got == [framed(adt("C1") + b"".join(PIECES))] * 2
    await lis.stop()


async def test_a_receiver_that_refuses_at_the_beginning_is_not_sent_the_rest(listen: Listen) -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(100)
        writer.write(AR)

    read: list[int] = []
    lis = destination("mllp", host="127.0.0.1", port=await listen(peer))
    with pytest.raises(Refused, match=r"JL-E120.*too large") as refused:
        await lis.send(message(*PIECES * 50, during=read.append))
    assert not refused.value.retry
    assert len(read) < 400
    await lis.stop()


async def test_a_yes_before_the_end_is_none(listen: Listen) -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(100)
        writer.write(AA)

    lis = destination("mllp", host="127.0.0.1", port=await listen(peer))
    with pytest.raises(Unreachable, match="JL-E113"):
        await lis.send(message(*PIECES * 50))
    await lis.stop()


async def test_mllp_gives_up_on_a_receiver_that_does_not_read(listen: Listen) -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(100)

    lis = destination("mllp", host="127.0.0.1", port=await listen(peer), timeout="200ms")
    with pytest.raises(Unreachable, match="JL-E111"):
        await lis.send(message(*PIECES * 50))
    await lis.stop()


@pytest.mark.parametrize("answered", [True, False])
async def test_mllp_notices_a_receiver_that_goes_away(listen: Listen, answered: bool) -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(100)
        writer.transport.abort()

    lis = destination("mllp", host="127.0.0.1", port=await listen(peer), expect_answer=answered)
    with pytest.raises(Unreachable, match="JL-E112"):
        await lis.send(message(*PIECES * 50))
    await lis.stop()


@pytest.mark.parametrize(
    "pieces", [(b"x\x1cy",), (b"x\x0bMSH|^~",), (b"x\x0bM", b"SH|^~"), (b"\x0b", b"M", b"SH")]
)
async def test_bytes_that_would_end_the_frame_or_begin_another_stop_it_in_its_midst(
    listen: Listen, pieces: tuple[bytes, ...]
) -> None:
    got: list[bytes] = []

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(100_000):
                got.append(piece)

    lis = destination("mllp", host="127.0.0.1", port=await listen(peer))
    with pytest.raises(Refused, match="JL-E115"):
        await lis.send(message(*PIECES, *pieces, *PIECES))
    assert b"\x1c" not in b"".join(got)
    assert b"SH" not in b"".join(got)[10:]
    await lis.stop()


def gone(number: int) -> None:
    """The body's file ends in the midst: found out, or the share is away."""
    if number == 5:
        raise BadMessage("JL-L003", "a large body's file was changed")


async def test_what_is_wrong_with_the_body_is_not_blamed_on_the_receiver(
    listen: Listen, tmp_path: Path
) -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(100_000):
            pass

    port = await listen(peer)
    ways = {
        "mllp": {"host": "127.0.0.1", "port": port},
        "http": {"url": f"http://127.0.0.1:{port}/"},
        "file": {"folder": "out"},
    }
    for kind, options in ways.items():
        way = destination(kind, tmp_path, **options)
        await way.start()
        with pytest.raises(BadMessage, match="JL-L003"):
            await way.send(message(*PIECES, during=gone))
        await way.stop()
    assert list((tmp_path / "out").iterdir()) == []


async def test_http_says_the_length_and_counts_its_time_from_the_last_piece(listen: Listen) -> None:
    length = len(adt("C1")) + 10 * PIECE
    got: list[bytes] = []

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.readuntil(b"\r\n\r\n"))
        await reader.readexactly(length)
        writer.write(b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n")

    url = f"http://127.0.0.1:{await listen(peer)}/"
    way = destination("http", url=url, timeout="1s", connect_within="100ms")
    await way.start()
    slowly = message(*PIECES, during=lambda number: time.sleep(0.15))
    assert (await way.send(slowly)).code == "201"
    assert b"content-length: %d\r\n" % length in got[0].lower()
    await way.stop()


async def test_a_file_holds_all_pieces(tmp_path: Path) -> None:
    way = destination("file", tmp_path, folder="out")
    await way.send(message(*PIECES))
    assert (tmp_path / "out" / "a1").read_bytes() == adt("C1") + b"".join(PIECES)
