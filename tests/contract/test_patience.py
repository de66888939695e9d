"""Nobody sleeps on an unacknowledged delivery: not for a wait that the receiver asks for, not behind one that hangs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engine_parts import Sink, adt, channel, port, running, send, settled, write_site

from config.registry import destinations
from endpoints.base import Ground, Options
from router import attempt
from router.board import Mode
from router.brokers.base import BrokerDown, Consumer, Delivered, Depth
from router.brokers.embedded import EmbeddedBroker
from router.engine import Engine
from router.search import Query
from schemas.message import Message, Receipt

ORDER = "order: {by: $PID-3.1, lanes: 1}\n"


class Busy:
    """An HTTP receiver that says once: not now, come again in two seconds."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        (length,) = [
            int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line
        ]
        await reader.readexactly(length)
        self.asked.append(time.monotonic())
        status = b"503 Busy\r\nRetry-After: 2" if len(self.asked) == 1 else b"200 OK"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()


@destinations.register("hanging")
class Hanging:
    """A site's own kind, without a limit of time. The first message never ends."""

    class Options(Options):
        pass

    def __init__(self, options: Any, ground: Ground) -> None:
        self.tries = 0

    async def start(self) -> None:
        return None

    async def stop(self) -> None:
        return None

    async def send(self, message: Message) -> Receipt:
        self.tries += 1
        if self.tries == 1:
            await asyncio.Event().wait()
        return Receipt("OK")


async def depth(engine: Engine) -> Depth:
    (queue,) = engine.outlets[0].queues
    return (await engine.broker.depth([queue]))[queue]


@pytest.mark.parametrize("order", ["", ORDER])
async def test_a_receiver_that_names_its_time_is_asked_then_and_nothing_is_held_until_then(
    tmp_path: Path, broker: str, order: str
) -> None:
    receiver = Busy()
    text = (
        f"channel: adt\nfrom: {{mllp: {{port: 0}}}}\nformat: hl7v2\n{order}"
        f"to:\n  lis:\n    send: {{http: {{url: 'http://127.0.0.1:{await receiver.start()}/'}}}}\n"
        "    retry: {first: 100ms}\n"
    )
    async with running(write_site(tmp_path, {"adt": text}), broker=broker) as engine:
        await send(port(engine), adt("B1"))
        async with asyncio.timeout(30):
            while not receiver.asked or (await depth(engine)).held:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert len(receiver.asked) == 1, "given back before the next try"
        await settled(engine)
        assert len(receiver.asked) == 2
        assert receiver.asked[1] - receiver.asked[0] >= 2
    await receiver.stop()


@pytest.mark.parametrize(
    ("timeout", "order", "prefetch"),
    [("1s", "", 168), ("10m", "", 8), ("5m", "", 24), ("1s", ORDER, 32), ("5m", ORDER, 3), ("19m", ORDER, 1)],
)
async def test_what_is_taken_in_hand_can_be_sent_in_time_however_slow_the_receiver(
    tmp_path: Path, timeout: str, order: str, prefetch: int
) -> None:
    to = f"to: {{lis: {{send: {{mllp: {{host: 127.0.0.1, port: 9, timeout: {timeout}, connect_within: 1s}}}}}}}}\n"
    text = f"channel: adt\nfrom: {{mllp: {{port: 0}}}}\nformat: hl7v2\n{order}{to}"
    async with running(write_site(tmp_path, {"adt": text})) as engine:
        assert isinstance(engine.broker, EmbeddedBroker)
        async with asyncio.timeout(20):
            while not (consumers := engine.broker._queues[engine.outlets[0].queues[0]].consumers):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert [consumer.prefetch for consumer in consumers] == [prefetch]


async def test_a_kind_that_has_no_limit_of_its_own_is_given_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "LONGEST_SEND_S", 0.3)
    text = (
        "channel: adt\nfrom: {mllp: {port: 0}}\nformat: hl7v2\n"
        "to: {lis: {send: {hanging: {}}, retry: {first: 100ms}}}\n"
    )
    async with running(write_site(tmp_path, {"adt": text})) as engine:
        await send(port(engine), adt("H1"))
        await settled(engine, "sent")
        (found,) = engine.store.search(Query(), 1).found
        assert [(t.outcome, t.code) for t in engine.store.show(found.id).tries] == [
            ("retry", "JL-D902"),
            ("sent", "OK"),
        ]


@pytest.mark.parametrize("order", ["", ORDER])
async def test_a_queue_whose_delivery_stumbles_is_delivered_all_the_same(tmp_path: Path, order: str) -> None:
    sink = await Sink().start()
    async with running(write_site(tmp_path, channel(sink, order))) as engine:
        way = ("adt", "lis")
        await engine.board.say(Mode(*way, "paused", 1))
        consume, stumbled = engine.broker.consume, []

        async def once(queue: str, on_delivery: Callable[[Delivered], None], prefetch: int) -> Consumer:
            if not stumbled:
                stumbled.append(queue)
                raise BrokerDown("JL-B002", "nobody knows why")
            return await consume(queue, on_delivery, prefetch)

        engine.broker.consume = once  # type: ignore[method-assign]
        await send(port(engine), adt("S1"))
        await engine.board.say(Mode(*way, "running", 2))
        await sink.wait_for(1)
        assert stumbled
    await sink.stop()
