"""Kind `tcp`, both sides: what a sender hears, and what each answer of a receiver means."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from endpoint_parts import FakeEngine

from config import registry
from config.errors import Refused, Unreachable
from endpoints.base import Ground
from endpoints.tcp import TcpDestination, TcpSource
from schemas.message import Message, Reply

Open = Callable[..., Awaitable[int]]
STX = {"begin": "\x02", "end": "\x03"}


@pytest.fixture
async def source() -> AsyncIterator[Open]:
    opened: list[TcpSource] = []

    async def open(engine: FakeEngine, **options: Any) -> int:
        made = registry.sources.get("tcp")
        opened.append(made(made.Options(host="127.0.0.1", port=0, **options), Ground("lis", "json")))
        await opened[-1].start(engine.deliver)
        return opened[-1].port

    yield open
    for one in opened:
        await one.stop()


async def asked(port: int, sent: bytes, until: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    heard = await asyncio.wait_for(reader.readuntil(until), 10)
    writer.close()
    await writer.wait_closed()
    return heard


@pytest.mark.parametrize(
    ("reply", "heard"),
    [
        (Reply("accepted", id="1"), b"\x02\x06\x03"),
        (Reply("pending", id="1"), b"\x02\x06\x03"),
        (Reply("refused", code="JL-M020", text="no JSON"), b"\x02\x15\x03"),
        (Reply("failed", code="JL-B001", text="no broker"), b"\x02\x15\x03"),
        (Reply("answered", body=b'{"ok":1}', format="json"), b'\x02{"ok":1}\x03'),
        (Reply("answered"), b"\x02\x06\x03"),
    ],
)
async def test_each_reply_has_its_answer(source: Open, reply: Reply, heard: bytes) -> None:
    engine = FakeEngine(reply)
    assert await asked(await source(engine, framing=STX), b"\x02{}\x03", b"\x03") == heard
    assert engine.got[0].body == b"{}"


async def test_answers_are_the_sites_own_and_framed_by_length(source: Open) -> None:
    port = await source(FakeEngine(), framing={"length": 2}, answers={"accepted": "OK"})
    assert await asked(port, b"\0\2{}", b"OK") == b"\0\2OK"


@pytest.mark.parametrize(
    ("framing", "sent", "body", "kept"),
    [
        ({"end": "\n"}, b"a\n", b"one\ntwo", b"\x06\n"),
        ({"length": 2, "kind": "digits"}, b"01a", b"x" * 100, b"01\x06"),
    ],
)
async def test_an_answer_that_has_no_frame_is_not_taken_for_two_and_holds_nobody_up(
    source: Open, framing: dict[str, Any], sent: bytes, body: bytes, kept: bytes
) -> None:
    engine = FakeEngine(lambda _: Reply("answered", body=body if len(engine.got) < 2 else b"ok"))
    port = await source(engine, framing=framing)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent * 2)
    writer.write_eof()
    heard = await asyncio.wait_for(reader.read(), 10)
    assert heard == kept + (b"ok\n" if "end" in framing else b"02ok")
    writer.close()
    await writer.wait_closed()


async def test_what_is_too_large_or_no_frame_is_refused_and_the_others_go_on(source: Open) -> None:
    engine = FakeEngine()
    port = await source(engine, framing=STX, max_size="10B", max_stray="10B")
    heard = await asked(port, b"\x02" + b"a" * 50 + b"\x03\x02{}\x03", b"\x06\x03")
    assert heard == b"\x02\x15\x03\x02\x06\x03"
    assert [message.fault_code for message in engine.refused] == ["JL-E101"]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()
    await writer.wait_closed()


@pytest.fixture
async def receiver() -> AsyncIterator[Callable[..., Awaitable[TcpDestination]]]:
    """A destination, and behind it a receiver that says the same to every line, or nothing."""
    servers: list[asyncio.Server] = []
    opened: list[TcpDestination] = []
    writers: list[asyncio.StreamWriter] = []

    async def open(says: bytes, **options: Any) -> TcpDestination:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)
            with suppress(ConnectionError):
                while await reader.readline():
                    writer.write(says)

        servers.append(await asyncio.start_server(serve, "127.0.0.1", 0))
        port = servers[-1].sockets[0].getsockname()[1]
        made = registry.destinations.get("tcp")
        opened.append(made(made.Options(host="127.0.0.1", port=port, **options), Ground("gate.lis")))
        return opened[-1]

    yield open
    for one in opened:
        await one.stop()
    for server in servers:
        server.close()
    for writer in writers:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def test_a_yes_is_what_the_site_says(receiver: Any) -> None:
    yes = await receiver(b"\x06 thanks\n", yes=["\x06"])
    assert (await yes.send(Message(b"{}", "t"))).answer == b"\x06 thanks"
    anything = await receiver(b"whatever\n")
    assert (await anything.send(Message(b"{}", "t"))).code == "yes"
    nothing = await receiver(b"", expect_answer=False)
    assert (await nothing.send(Message(b"{}", "t"))).code == "sent"


async def test_a_no_is_tried_again_and_what_is_neither_may_have_been_kept(receiver: Any) -> None:
    with pytest.raises(Refused, match="said no") as refused:
        await (await receiver(b"\x15\n")).send(Message(b"{}", "t"))
    assert refused.value.retry
    with pytest.raises(Unreachable, match="neither") as unknown:
        await (await receiver(b"Zhang San\n", yes=["OK"])).send(Message(b"{}", "t"))
    assert unknown.value.maybe_done
    assert "Zhang" not in unknown.value.text
    with pytest.raises(Unreachable, match="no answer within"):
        await (await receiver(b"", timeout="100ms")).send(Message(b"{}", "t"))


async def test_a_message_that_has_no_frame_leaves_a_connection_that_waits_for_nothing(receiver: Any) -> None:
    one = await receiver(b"\x06\n", framing={"length": 1})
    with pytest.raises(Refused, match="300 bytes"):
        await one.send(Message(b"a" * 300, "t"))
    assert [line.asked for line in one._free] == [None]


async def test_a_message_that_would_be_two_is_refused(receiver: Any) -> None:
    with pytest.raises(Refused, match="ends a message"):
        await (await receiver(b"\x06\n")).send(Message(b"a\nb", "t"))
