"""The MLLP destination: what each kind of receiver makes of a delivery."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from endpoint_parts import Peer, adt, until

from config import registry
from config.errors import Refused, Unreachable
from endpoints.base import Ground
from endpoints.hl7.destination import MllpDestination
from endpoints.hl7.framing import Mllp, framed
from endpoints.wire.destination import Outbound
from endpoints.wire.framing import Frame
from schemas.message import Message

Script = Callable[[Peer, bytes], Awaitable[None]]
Open = Callable[..., Awaitable[tuple[MllpDestination, "Receiver"]]]


def msa(code: str, control_id: str, text: str = "") -> bytes:
    return f"MSH|^~\\&|LIS\rMSA|{code}|{control_id}|{text}\r".encode()


class Receiver:
    """Listens and does with every frame what the script says."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.got: list[bytes] = []
        self.peers: list[Peer] = []
        self.busy = self.most_busy = 0

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        self._server.close()
        for peer in self.peers:
            await peer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        self.peers.append(peer)
        try:
            while body := await peer.frame():
                self.got.append(body)
                self.busy += 1
                self.most_busy = max(self.busy, self.most_busy)
                await self.script(peer, body)
                self.busy -= 1
        except (ConnectionError, TimeoutError):
            pass


class StoppedLoop:
    """A loop whose time the test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Callable[..., None], Any]] = []

    def time(self) -> float:
        return self.now

    def create_future(self) -> asyncio.Future[bytes]:
        return asyncio.get_running_loop().create_future()

    def call_later(self, delay_s: float, call: Callable[..., None], given: Any) -> object:
        self.timers.append((self.now + delay_s, call, given))
        return call

    def at(self, now: float) -> None:
        self.now = now
        due = [timer for timer in self.timers if timer[0] <= now]
        self.timers = [timer for timer in self.timers if timer[0] > now]
        for _, call, given in due:
            call(given)


class SilentTransport:
    def write(self, data: bytes) -> None: ...


@pytest.fixture
async def pair() -> AsyncIterator[Open]:
    opened: list[Any] = []

    async def open(script: Script, **options: Any) -> tuple[MllpDestination, Receiver]:
        receiver = Receiver(script)
        port = await receiver.start()
        made = registry.destinations.get("mllp")
        destination: MllpDestination = made(
            made.Options(host="127.0.0.1", port=port, **options), Ground("his.lis")
        )
        await destination.start()
        opened.extend([destination, receiver])
        return destination, receiver

    yield open
    for one in opened:
        await one.stop()


def answering(code: str, text: str = "") -> Script:
    async def answer(peer: Peer, body: bytes) -> None:
        peer.write(msa(code, body.split(b"|")[9].decode(), text))

    return answer


def message(control_id: str = "C1") -> Message:
    return Message(adt(control_id))


@pytest.mark.parametrize("code", ["AA", "CA"])
async def test_a_yes_is_a_receipt_with_the_answer(pair: Open, code: str) -> None:
    destination, receiver = await pair(answering(code))
    receipt = await destination.send(message())
    assert (receipt.code, receipt.answer) == (code, msa(code, "C1"))
    assert receiver.got == [adt("C1")]


@pytest.mark.parametrize(("code", "retry"), [("AE", True), ("CE", True), ("AR", False), ("CR", False)])
async def test_a_no_says_whether_another_try_can_help(pair: Open, code: str, retry: bool) -> None:
    destination, receiver = await pair(answering(code, "no such ward"))
    with pytest.raises(Refused, match=f"{code} no such ward") as caught:
        await destination.send(message())
    assert (caught.value.retry, caught.value.answer) == (retry, msa(code, "C1", "no such ward"))
    with pytest.raises(Refused):
        await destination.send(message("C2"))
    assert len(receiver.peers) == 1


async def test_connections_stay_open_and_are_no_more_than_allowed(pair: Open) -> None:
    both = asyncio.Barrier(2)

    async def answer(peer: Peer, body: bytes) -> None:
        await both.wait()
        await answering("AA")(peer, body)

    destination, receiver = await pair(answer, connections=2)
    await asyncio.gather(*(destination.send(message(f"C{n}")) for n in range(10)))
    assert (len(receiver.peers), receiver.most_busy, len(receiver.got)) == (2, 2, 10)


async def test_nobody_listening_means_the_receiver_cannot_have_it(pair: Open) -> None:
    destination, receiver = await pair(answering("AA"))
    await receiver.stop()
    with pytest.raises(Unreachable, match="JL-E110") as caught:
        await destination.send(message())
    assert not caught.value.maybe_done


async def test_silence_means_the_receiver_may_have_it_and_a_late_answer_is_never_taken_for_another(
    pair: Open,
) -> None:
    late = asyncio.Event()

    async def answer(peer: Peer, body: bytes) -> None:
        if b"C1" in body:
            await late.wait()
            peer.write(b"MSH|^~\\&|LIS\rMSA|AR|\r")  # names no message: only its connection says whose it is
        else:
            await answering("AA")(peer, body)

    destination, receiver = await pair(answer, timeout="100ms")
    with pytest.raises(Unreachable, match="JL-E111") as caught:
        await destination.send(message("C1"))
    assert caught.value.maybe_done
    late.set()
    assert (await destination.send(message("C2"))).code == "AA"
    assert len(receiver.peers) == 2


async def test_each_message_of_a_connection_has_its_whole_time() -> None:
    clock = StoppedLoop()
    line = Outbound(Mllp(), 10_000)
    line.loop = clock  # type: ignore[assignment]
    line.transport = SilentTransport()  # type: ignore[assignment]
    first = line.ask(b"MSH|1", 30.0)
    line.received([Frame(msa("AA", "1"))])
    clock.at(20.0)
    second = line.ask(b"MSH|2", 30.0)
    clock.at(49.0)
    assert first.done()
    assert not second.done()
    clock.at(50.0)
    with pytest.raises(Unreachable, match="JL-E111"):
        second.result()


async def test_a_connection_lost_after_writing_means_the_receiver_may_have_it(pair: Open) -> None:
    async def hang_up(peer: Peer, body: bytes) -> None:
        peer.writer.close()

    destination, receiver = await pair(hang_up)
    with pytest.raises(Unreachable, match="JL-E112") as caught:
        await destination.send(message())
    assert caught.value.maybe_done
    assert len(receiver.got) == 1


@pytest.mark.parametrize("unasked", [b"", framed(msa("AA", "C0")), b"hello"], ids=["end", "answer", "noise"])
async def test_a_connection_that_went_bad_while_idle_is_replaced_before_anything_is_written(
    pair: Open, unasked: bytes
) -> None:
    destination, receiver = await pair(answering("AA"))
    await destination.send(message("C1"))
    if unasked:
        receiver.peers[0].writer.write(unasked)
        await receiver.peers[0].writer.drain()
    else:
        await receiver.peers[0].close()
    assert (await destination.send(message("C2"))).code == "AA"
    assert (len(receiver.peers), len(receiver.got)) == (2, 2)


async def test_a_connection_idle_for_too_long_is_not_used_again(pair: Open) -> None:
    destination, receiver = await pair(answering("AA"), idle="0s")
    await destination.send(message("C1"))
    await asyncio.sleep(0)
    await destination.send(message("C2"))
    assert len(receiver.peers) == 2


async def test_an_answer_to_another_message_is_not_taken(pair: Open) -> None:
    async def wrong(peer: Peer, body: bytes) -> None:
        peer.write(msa("AA", "OTHER"))

    destination, _ = await pair(wrong)
    with pytest.raises(Unreachable, match="JL-E114") as caught:
        await destination.send(message())
    assert caught.value.maybe_done


async def test_an_answer_that_names_no_message_is_taken(pair: Open) -> None:
    async def short(peer: Peer, body: bytes) -> None:
        peer.write(b"MSH|^~\\&|LIS\rMSA|AA\r")

    destination, _ = await pair(short)
    assert (await destination.send(message())).code == "AA"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n<html>" + b"x" * 5000,
        framed(b"<html/>"),
        framed(b"\x06"),
        framed(msa("ZZ", "C1")),
        framed(b"x" * 2000),
    ],
    ids=["html", "framed html", "a bare byte", "an unknown code", "too large"],
)
async def test_an_answer_that_is_none_means_the_receiver_may_have_it(pair: Open, answer: bytes) -> None:
    async def garbage(peer: Peer, body: bytes) -> None:
        peer.writer.write(answer)

    destination, receiver = await pair(garbage, max_answer="1KB")
    with pytest.raises(Unreachable, match=r"JL-E11[23]") as caught:
        await destination.send(message())
    assert caught.value.maybe_done
    await until(lambda: receiver.peers[0].reader.at_eof() or receiver.peers[0].reader.exception() is not None)


async def test_a_receiver_that_never_answers_can_be_told_so(pair: Open) -> None:
    async def silent(peer: Peer, body: bytes) -> None:
        pass

    destination, receiver = await pair(silent, expect_answer=False)
    assert (await destination.send(message("C1"))).code == "sent"
    assert (await destination.send(message("C2"))).code == "sent"
    await until(lambda: receiver.got == [adt("C1"), adt("C2")])
    assert len(receiver.peers) == 1


async def test_a_message_that_cannot_be_framed_is_refused(pair: Open) -> None:
    destination, receiver = await pair(answering("AA"))
    with pytest.raises(Refused, match="0x1C") as caught:
        await destination.send(Message(adt("C1", "NTE|1||a\x1cb\r")))
    assert not caught.value.retry
    with pytest.raises(Refused, match="0x0B"):
        await destination.send(Message(adt("C1", "NTE|1||a\x0b" + adt("C2").decode())))
    assert receiver.got == []
    await destination.send(Message(adt("C3", "NTE|1||a vertical\x0btab\r")))
    assert len(receiver.got) == 1


async def test_a_cancelled_delivery_leaves_no_connection_behind(pair: Open) -> None:
    async def silent(peer: Peer, body: bytes) -> None:
        pass

    destination, receiver = await pair(silent, connections=1)
    sending = asyncio.create_task(destination.send(message("C1")))
    await until(lambda: len(receiver.got) == 1)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    receiver.script = answering("AA")
    assert (await destination.send(message("C2"))).code == "AA"
    assert len(receiver.peers) == 2
