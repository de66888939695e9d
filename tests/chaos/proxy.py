"""What stands between the engine and a server: a relay on loopback that can cut, refuse, fall silent.

With `amqp` it knows where frames begin and end, and what four of them are: a publish and an acknowledgement from the
engine, a delivery and a confirm from the broker. So it can cut a connection exactly before, within or after one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from struct import Struct

_GREETING = b"AMQP"
_FRAME = Struct(">BHI")  # kind, channel, length of what follows; then the octet 0xCE
_AROUND = 8
# By who sends it: class and method of basic.publish, ack, deliver, and ack or nack again.
_EVENTS = {
    True: {b"\0\x3c\0\x28": "publish", b"\0\x3c\0\x50": "ack"},
    False: {b"\0\x3c\0\x3c": "delivery", b"\0\x3c\0\x50": "confirm", b"\0\x3c\0\x78": "confirm"},
}
_FLUSH_S = 0.05


class Cut:
    """To come: at the `nth` `event`, `where` is before, within or after it. `done` once it happened."""

    def __init__(self, event: str, where: str, nth: int = 1) -> None:
        self.event, self.where = event, where
        self.left = nth
        self.done = asyncio.Event()


class Frames:
    """Cuts one direction of an AMQP connection into frames."""

    def __init__(self, from_engine: bool) -> None:
        self._known = _EVENTS[from_engine]
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[bytes, str]]:
        """What is whole, with its name where it has one."""
        data = self._rest + data
        at = 0
        if data.startswith(_GREETING) and len(data) >= _AROUND:
            yield data[:_AROUND], ""
            at = _AROUND
        while len(data) - at >= _FRAME.size:
            end = at + _AROUND + _FRAME.unpack_from(data, at)[2]
            if end > len(data) or data.startswith(_GREETING, at):
                break
            yield data[at:end], self._known.get(data[at + 7 : at + 11], "") if data[at] == 1 else ""
            at = end
        self._rest = data[at:]


class Proxy:
    """Relays from `port` to `target`, a port of loopback."""

    def __init__(self, target: int, amqp: bool = False) -> None:
        self._target = target
        self._amqp = amqp
        self._writers: set[asyncio.StreamWriter] = set()
        self._meetings: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._refuses = False
        self._cut: Cut | None = None
        self.port = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._come, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        self._server.close()
        self._flows.set()
        self.hang_up()
        await asyncio.gather(*self._meetings, return_exceptions=True)

    def hang_up(self) -> None:
        """Every connection is cut now."""
        for writer in self._writers:
            writer.transport.abort()

    @contextlib.contextmanager
    def refusing(self) -> Iterator[None]:
        """Nobody is there: what is open is cut, what comes is cut at once."""
        self._refuses = True
        self.hang_up()
        try:
            yield
        finally:
            self._refuses = False

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        """Connections stand, and not a byte goes through, either way."""
        self._flows.clear()
        try:
            yield
        finally:
            self._flows.set()

    async def cut_at(self, cut: Cut, within_s: float) -> bool:
        """Whether it came to that cut in this time."""
        self._cut = cut
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(cut.done.wait(), within_s)
        self._cut = None
        return cut.done.is_set()

    def _come(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        meeting = asyncio.create_task(self._meet(reader, writer))
        self._meetings.add(meeting)
        meeting.add_done_callback(self._meetings.discard)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.transport.abort()
            return
        try:
            there = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        both = (writer, there[1])
        self._writers.update(both)
        pumps = [
            asyncio.create_task(self._pump(reader, there[1], from_engine=True)),
            asyncio.create_task(self._pump(there[0], writer, from_engine=False)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await asyncio.sleep(_FLUSH_S)  # what was written last shall arrive
            self._writers.difference_update(both)
            for pump in pumps:
                pump.cancel()
            for side in both:
                side.transport.abort()
                with contextlib.suppress(OSError):
                    await side.wait_closed()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, from_engine: bool
    ) -> None:
        """One direction, until its end or a cut."""
        frames = Frames(from_engine)
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                await self._flows.wait()
                if writer.transport.is_closing():
                    return
                if not self._amqp:
                    writer.write(data)
                    await writer.drain()
                    continue
                for frame, event in frames.feed(data):
                    where = self._comes(event)
                    if where == "before" or writer.transport.is_closing():
                        return
                    writer.write(frame[: len(frame) // 2] if where == "within" else frame)
                    if where:
                        return
                await writer.drain()

    def _comes(self, event: str) -> str:
        """Where to cut at this event; empty: not now."""
        cut = self._cut
        if cut is None or not event or event != cut.event or cut.done.is_set():
            return ""
        cut.left -= 1
        if cut.left:
            return ""
        cut.done.set()
        return cut.where
