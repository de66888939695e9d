"""The MLLP source: what a sender gets, over each limit too, and that the others notice nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import structlog
from endpoint_parts import FakeEngine, Peer, adt, until

from config import registry
from endpoints.base import Ground
from endpoints.hl7.source import MllpSource
from schemas.message import Reply

Open = Callable[..., Awaitable[MllpSource]]


@pytest.fixture
async def source() -> AsyncIterator[Open]:
    opened: list[MllpSource] = []

    async def open(engine: FakeEngine, **options: Any) -> MllpSource:
        made = registry.sources.get("mllp")
        opened.append(
            made(made.Options(host="127.0.0.1", port=0, **options), Ground("his", "hl7v2", now=lambda: 0.0))
        )
        await opened[-1].start(engine.deliver)
        return opened[-1]

    yield open
    for one in opened:
        await one.stop()


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply("accepted", id="1"), "AA"),
        (Reply("refused", code="JL-M001", text="empty"), "AR"),
        (Reply("failed", code="JL-B001", text="no broker"), "AE"),
        (Reply("pending", id="1"), "AA"),
    ],
)
async def test_each_reply_has_its_code_and_names_the_senders_message(
    source: Open, reply: Reply, code: str
) -> None:
    peer = await Peer.connect((await source(FakeEngine(reply))).port)
    assert await peer.ask(adt("C1")) == (code, "C1")
    await peer.close()


async def test_a_refusal_says_why_and_where(source: Open) -> None:
    engine = FakeEngine(Reply("refused", code="JL-M031", text="the birth date is no date", path="PID-7"))
    peer = await Peer.connect((await source(engine)).port)
    peer.write(adt("C1"))
    msh, msa, err = (await peer.frame()).decode().rstrip("\r").split("\r")
    assert msa == "MSA|AR|C1|JL-M031 the birth date is no date"
    assert "PID^1^7" in err
    assert "JL-M031" in err
    assert msh.split("|")[2:6] == ["LIS", "B", "HIS", "A"]
    await peer.close()


async def test_a_pending_message_is_not_to_be_sent_again(source: Open) -> None:
    peer = await Peer.connect((await source(FakeEngine(Reply("pending", id="0199")))).port)
    peer.write(adt("C1"))
    answer = (await peer.frame()).decode()
    assert "pending 0199" in answer
    assert "do not send it again 已收下，尚无结果，请勿重发" in answer
    await peer.close()


async def test_a_destinations_answer_goes_out_as_it_is(source: Open) -> None:
    answer = "MSH|^~\\&|LIS\rMSA|AA|C1\rQAK|1".encode("gb18030")
    peer = await Peer.connect((await source(FakeEngine(Reply("answered", body=answer, format="hl7v2")))).port)
    peer.write(adt("C1"))
    assert await peer.frame() == answer
    await peer.close()


async def test_a_message_that_cannot_be_read_is_answered_with_its_own_id(source: Open) -> None:
    peer = await Peer.connect(
        (await source(FakeEngine(Reply("refused", code="JL-M006", text="no segment")))).port
    )
    assert await peer.ask(adt("C1", "\x01 not a segment\r")) == ("AR", "C1")
    assert await peer.ask(b"nothing like HL7") == ("AR", "")
    await peer.close()


@pytest.mark.parametrize(
    ("asked", "state", "code"),
    [("AL", "accepted", "CA"), ("AL", "refused", "CR"), ("ER", "failed", "CE"), ("SU", "accepted", "CA")],
)
async def test_an_enhanced_sender_gets_an_accept_acknowledgement(
    source: Open, asked: str, state: Any, code: str
) -> None:
    peer = await Peer.connect((await source(FakeEngine(Reply(state)))).port)
    assert await peer.ask(adt("C1", header_end=f"|||{asked}")) == (code, "C1")
    await peer.close()


@pytest.mark.parametrize(("asked", "state"), [("NE", "refused"), ("ER", "accepted"), ("SU", "failed")])
async def test_an_enhanced_sender_gets_no_more_than_it_asked_for(
    source: Open, asked: str, state: Any
) -> None:
    engine = FakeEngine(lambda message: Reply(state if b"C1" in message.body else "accepted"))
    peer = await Peer.connect((await source(engine)).port)
    peer.write(adt("C1", header_end=f"|||{asked}"))
    assert await peer.ask(adt("C2")) == ("AA", "C2")
    await peer.close()


async def test_nothing_is_answered_where_the_channel_says_so(source: Open) -> None:
    engine = FakeEngine()
    opened = await source(engine, acknowledge=False)
    peer = await Peer.connect(opened.port)
    peer.write(adt("C1"), adt("C2"))
    await engine.has(2)
    await opened.stop()
    assert await peer.closed()
    await peer.close()


async def test_answers_leave_in_the_order_of_the_messages(source: Open) -> None:
    engine = FakeEngine(held=True)
    peer = await Peer.connect((await source(engine)).port)
    peer.write(adt("C1"), adt("C2"), adt("C3"))
    await engine.has(3)
    for future in reversed(engine.open):
        future.set_result(Reply("accepted"))
        await asyncio.sleep(0)
    assert [await peer.msa() for _ in range(3)] == [("AA", "C1"), ("AA", "C2"), ("AA", "C3")]
    await peer.close()


async def test_an_engine_that_breaks_is_answered_as_our_failure(source: Open) -> None:
    engine = FakeEngine(held=True)
    peer = await Peer.connect((await source(engine)).port)
    peer.write(adt("C1"), adt("C2"))
    await engine.has(2)
    engine.open[0].set_exception(RuntimeError("a bug"))
    engine.open[1].cancel()
    assert [await peer.msa(), await peer.msa()] == [("AE", "C1"), ("AE", "C2")]
    await peer.close()


async def test_the_message_says_who_sent_it_and_in_which_charset(source: Open) -> None:
    engine = FakeEngine()
    peer = await Peer.connect((await source(engine, charset="GB18030")).port)
    await peer.ask(adt("C1"))
    host, port = peer.writer.get_extra_info("sockname")
    assert (engine.got[0].source, engine.got[0].charset) == (f"mllp {host}:{port}", "GB18030")
    assert engine.got[0].body == adt("C1")
    await peer.close()


async def test_a_message_too_large_is_refused_and_the_connection_goes_on(source: Open) -> None:
    engine = FakeEngine()
    port = (await source(engine, max_size="10KB")).port
    peer, other = await Peer.connect(port), await Peer.connect(port)
    peer.write(adt("C1", "NTE|1||" + "x" * 3_000_000))
    assert await peer.msa() == ("AR", "C1")
    assert await other.ask(adt("C2")) == ("AA", "C2")
    assert await peer.ask(adt("C3")) == ("AA", "C3")
    assert len(engine.got) == 2
    await peer.close()
    await other.close()


async def test_a_message_too_large_that_never_ends_is_answered_once(source: Open) -> None:
    peer = await Peer.connect((await source(FakeEngine(), max_size="1KB")).port)
    peer.writer.write(b"\x0b" + adt("C1", "x" * 2000))
    peer.writer.write_eof()
    assert await peer.msa() == ("AR", "C1")
    assert await peer.closed()
    await peer.close()


async def test_a_frame_cut_by_the_next_is_refused_and_the_next_accepted(source: Open) -> None:
    peer = await Peer.connect((await source(FakeEngine())).port)
    peer.writer.write(b"\x0b" + adt("C1")[:-20])
    peer.write(adt("C2"))
    assert [await peer.msa(), await peer.msa()] == [("AR", "C1"), ("AA", "C2")]
    await peer.close()


async def test_a_frame_without_its_last_byte_is_answered_all_the_same(source: Open) -> None:
    peer = await Peer.connect((await source(FakeEngine())).port)
    peer.writer.write(b"\x0b" + adt("C1") + b"\x1c")
    assert await peer.msa() == ("AA", "C1")
    await peer.close()


async def test_a_sender_that_has_closed_its_half_is_still_answered(source: Open) -> None:
    engine = FakeEngine(held=True)
    peer = await Peer.connect((await source(engine)).port)
    peer.write(adt("C1"))
    peer.writer.write(b"\x0b" + adt("C2")[:-20])
    peer.writer.write_eof()
    await engine.has(1)
    engine.open[0].set_result(Reply("accepted"))
    assert [await peer.msa(), await peer.msa()] == [("AA", "C1"), ("AR", "C2")]
    assert await peer.closed()
    await peer.close()


async def test_bytes_between_frames_are_skipped_and_told_once_without_their_content(source: Open) -> None:
    peer = await Peer.connect((await source(FakeEngine())).port)
    with structlog.testing.capture_logs() as logs:
        peer.writer.write(b"\r\n\r\n \0")
        assert await peer.ask(adt("C1")) == ("AA", "C1")
        for number in range(3):
            peer.writer.write(b"secret")
            await peer.writer.drain()
            assert await peer.ask(adt(f"D{number}")) == ("AA", f"D{number}")
    assert [event["event"] for event in logs].count("mllp.bytes_between_frames") <= 1
    assert "secret" not in str(logs)
    await peer.close()


async def test_a_peer_that_does_not_speak_mllp_is_closed_without_an_answer(source: Open) -> None:
    port = (await source(FakeEngine(), max_stray="1KB")).port
    peer, other = await Peer.connect(port), await Peer.connect(port)
    peer.writer.write(b"GET / HTTP/1.1\r\n" * 100)
    assert await peer.closed()
    assert await other.ask(adt("C1")) == ("AA", "C1")
    await peer.close()
    await other.close()


async def test_a_connection_over_the_limit_is_closed_and_the_others_stay(source: Open) -> None:
    opened = await source(FakeEngine(), connections=2)
    first, second = await Peer.connect(opened.port), await Peer.connect(opened.port)
    assert await first.ask(adt("C1")) == ("AA", "C1")
    assert await second.ask(adt("C2")) == ("AA", "C2")
    third = await Peer.connect(opened.port)
    assert await third.closed()
    assert await first.ask(adt("C3")) == ("AA", "C3")
    await second.close()
    await third.close()
    await first.ask(adt("C4"))  # the engine has seen the second go
    fourth = await Peer.connect(opened.port)
    assert await fourth.ask(adt("C5")) == ("AA", "C5")
    await first.close()
    await fourth.close()


async def test_no_more_messages_of_a_connection_are_taken_than_may_wait(source: Open) -> None:
    engine = FakeEngine(held=True)
    port = (await source(engine, in_flight=3)).port
    peer, other = await Peer.connect(port), await Peer.connect(port)
    peer.write(*[adt(f"C{n}") for n in range(10)])
    await engine.has(3)
    other.write(adt("D1"))
    await engine.has(4)
    assert [b"D1" in message.body for message in engine.got] == [False, False, False, True]
    engine.held = False
    for future in engine.open:
        future.set_result(Reply("accepted"))
    assert [(await peer.msa())[1] for _ in range(10)] == [f"C{n}" for n in range(10)]
    await peer.close()
    await other.close()


async def test_an_idle_connection_is_closed_but_not_one_that_waits_for_us(source: Open) -> None:
    engine = FakeEngine(held=True)
    port = (await source(engine, idle="200ms")).port
    waiting, silent = await Peer.connect(port), await Peer.connect(port)
    waiting.write(adt("C1"))
    await engine.has(1)
    assert await silent.closed()
    engine.open[0].set_result(Reply("accepted"))
    assert await waiting.msa() == ("AA", "C1")
    await waiting.close()
    await silent.close()


async def test_a_frame_that_does_not_end_in_time_is_refused_and_its_connection_closed(source: Open) -> None:
    port = (await source(FakeEngine(), frame_within="200ms")).port
    slow, other = await Peer.connect(port), await Peer.connect(port)
    slow.writer.write(b"\x0b" + adt("C1"))
    assert await slow.msa() == ("AR", "C1")
    assert await slow.closed()
    assert await other.ask(adt("C2")) == ("AA", "C2")
    await slow.close()
    await other.close()


async def test_a_sender_that_does_not_read_its_answers_is_cut_off_and_the_others_are_served(
    source: Open,
) -> None:
    engine = FakeEngine(Reply("answered", body=b"x" * 1_000_000))
    opened = await source(engine, frame_within="200ms")
    deaf, other = await Peer.connect(opened.port, receive_buffer=4096), await Peer.connect(opened.port)
    deaf.writer.transport.pause_reading()  # type: ignore[attr-defined]
    deaf.write(*[adt(f"C{n}") for n in range(90)])
    await engine.has(1)
    await until(lambda: any(line.full_since for line in opened.lines))
    assert len(engine.got) < 90
    other.write(adt("D1"))
    assert len(await other.frame()) == 1_000_000
    await until(lambda: not any(line.full_since for line in opened.lines))
    assert len(opened.lines) == 1
    await other.close()
    deaf.writer.transport.abort()


async def test_a_paused_source_takes_nothing_until_it_resumes(source: Open) -> None:
    engine = FakeEngine()
    opened = await source(engine)
    before = await Peer.connect(opened.port)
    await before.ask(adt("C1"))
    opened.pause()
    after = await Peer.connect(opened.port)
    before.write(adt("C2"))
    after.write(adt("C3"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(engine.has(2), 0.1)
    opened.resume()
    assert [await before.msa(), await after.msa()] == [("AA", "C2"), ("AA", "C3")]
    await before.close()
    await after.close()


async def test_a_stop_gives_the_answers_that_are_owed_and_takes_nothing_new(source: Open) -> None:
    engine = FakeEngine(held=True)
    opened = await source(engine)
    peer = await Peer.connect(opened.port)
    peer.write(adt("C1"))
    await engine.has(1)
    stopping = asyncio.create_task(opened.stop())
    await asyncio.sleep(0)
    peer.write(adt("C2"))
    engine.open[0].set_result(Reply("accepted"))
    assert await peer.msa() == ("AA", "C1")
    await stopping
    assert await peer.closed()
    assert len(engine.got) == 1
    with pytest.raises(ConnectionError):
        await Peer.connect(opened.port)
    await peer.close()


async def test_a_stop_does_not_wait_for_ever(source: Open) -> None:
    engine = FakeEngine(held=True)
    opened = await source(engine, stop_within="50ms")
    peer = await Peer.connect(opened.port)
    peer.write(adt("C1"))
    await engine.has(1)
    await asyncio.wait_for(opened.stop(), 10)
    assert await peer.closed()
    await peer.close()


async def test_a_port_in_use_is_an_os_error(source: Open) -> None:
    opened = await source(FakeEngine())
    other = MllpSource(MllpSource.Options(host="127.0.0.1", port=opened.port), Ground("other"))
    with pytest.raises(OSError, match="in use"):
        await other.start(FakeEngine().deliver)


@pytest.mark.parametrize("reply", [Reply("accepted", id="1"), Reply("refused", code="JL-M003", text="cut")])
@pytest.mark.parametrize("body", [b"MSH", b"MSH\rPID|1", b"FHS", b"BHS\r", b"MSH|", b"MSH|^~\\&"])
async def test_a_header_of_nothing_is_answered_and_the_connection_goes_on(
    source: Open, body: bytes, reply: Reply
) -> None:
    """Also where the channel's format took it: MLLP carries other formats too."""
    peer = await Peer.connect((await source(FakeEngine(reply))).port)
    for one in (body, adt("2")):
        assert (await peer.ask(one))[0] == ("AA" if reply.state == "accepted" else "AR")
    await peer.close()
