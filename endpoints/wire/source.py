"""The side that listens, and answers each message when the engine has replied.

An asyncio protocol with callbacks: a message costs no task and no stream.
"""

from __future__ import annotations

import asyncio
import functools
from abc import ABC, abstractmethod
from collections import deque
from typing import Any, ClassVar

import structlog
from pydantic import Field

from config.tls import ServerTls, peer_of
from config.units import Seconds, Size
from endpoints.base import Deliver, Ground, Options, not_kept
from endpoints.secure import Gate, listening
from endpoints.wire.framing import Frame, Framing, framed
from endpoints.wire.large import Large
from endpoints.wire.line import Line
from schemas.message import LARGE, NOTHING, Blob, Message, Reply

log = structlog.get_logger()


class WireOptions(Options):
    """What every kind that listens for frames has."""

    port: int = Field(ge=0, le=65535)
    host: str = Field("0.0.0.0", description="the address to listen on")
    charset: str = Field("", description="what messages are written in that do not say so themselves")
    acknowledge: bool = Field(True, description="false: nothing is ever answered")
    max_size: Size = Field(100_000_000, description="of a message; a larger one is refused at once")
    connections: int = Field(1000, ge=1, description="at once; a further one is closed")
    in_flight: int = Field(100, ge=1, description="messages of one connection that wait for their answers")
    frame_within: Seconds = Field(
        60.0,
        description="from the first byte of a message to its last, or of an answer; a large one: for each MB",
    )
    idle: Seconds = Field(600.0, description="a connection that is silent for so long is closed; 0s is never")
    max_stray: Size = Field(
        64_000, description="bytes outside frames, in a row, before the connection is closed"
    )
    stop_within: Seconds = Field(10.0, description="how long a stop waits for the answers still owed")
    tls: ServerTls | None = Field(None, description="without it, what is sent can be read on the way")


class _Owed:
    """An answer that a sender waits for. `answer` is None until it is known."""

    __slots__ = ("answer", "future", "head")

    def __init__(self, head: bytes) -> None:
        self.head = head
        self.answer: bytes | None = None
        self.future: asyncio.Future[Reply] | None = None


class Inbound(Line):
    """A sender's connection."""

    def __init__(self, source: WireSource) -> None:
        piece = LARGE if source.ground.spool else 0
        super().__init__(source.framing.framer(source.options.max_size, piece))
        self.source = source
        self.options: WireOptions = source.options
        self.kind = source.kind
        self.log: Any = log
        self.name = ""
        self.waiting: deque[Frame] = deque()  # read, not handed over yet
        self.owed: deque[_Owed] = deque()  # in the order of the messages
        self.large: Large | None = None  # the message whose pieces come
        self.spooling: asyncio.Task[None] | None = None  # one of them on its way to the disk
        self.first: asyncio.Future[Reply] | None = (
            None  # a large one's: reading it takes time, and nothing overtakes
        )
        self.opened_at = 0.0  # when the frame began that is still open
        self.full_since = 0.0  # when the sender stopped reading its answers
        self.reading = True
        self.ended = False  # the sender has sent its last byte
        self.headers = NOTHING  # of each message: whose certificate the sender has shown
        self.stray_seen = False
        self.gone = self.loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        host, port = transport.get_extra_info("peername")[:2]
        self.name = f"{self.kind} {host}:{port}"
        self.log = log.bind(channel=self.source.ground.name, peer=self.name)
        if (peer := peer_of(transport.get_extra_info("ssl_object"))) is not None:
            self.headers = {"tls.subject": peer.subject}
        if not self.source.admit(self):
            self.reading = False
            self.transport.pause_reading()
            self.transport.close()
        elif self.source.paused:
            self._steer()

    def received(self, frames: list[Frame]) -> None:
        if frames or not self.framer.open:
            self.opened_at = 0.0
        if self.framer.open and not self.opened_at:
            self.opened_at = self.last_read
        if self.framer.stray:
            self._stray()
        self.waiting.extend(frames)
        self._take()

    def eof_received(self) -> bool:
        self.ended = True
        frames = self.framer.flush()
        if rest := self.framer.rest():
            frames.append(Frame(rest, "cut"))
        self.waiting.extend(frames)
        self._take()
        if self.transport.get_extra_info("ssl_object") is not None:
            return False  # TLS has no halves: what is not answered yet can no longer be
        return bool(self.owed or self.waiting or self.large)  # True keeps our half open for the answers

    def pause_writing(self) -> None:
        self.full_since = self.loop.time()
        self._steer()

    def resume_writing(self) -> None:
        self.full_since = 0.0
        self._take()

    def connection_lost(self, error: Exception | None) -> None:
        self.source.lines.discard(self)
        self.waiting.clear()
        self.gone.set_result(None)
        self._give_up_large()
        if self.owed:
            self.log.warning(f"{self.kind}.answers_lost", count=len(self.owed))

    # Taking messages

    def _ready(self) -> bool:
        free = len(self.owed) < self.options.in_flight and not self.full_since
        idle = self.spooling is None and not self.source.paused
        turn = self.first is None or self.first.done()
        return free and idle and turn and not self.transport.is_closing()

    def _take(self) -> None:
        while self.waiting and self._ready():
            frame = self.waiting.popleft()
            if frame.more or self.large is not None:
                self._gather(frame)
                break
            owed = _Owed(self.source.head(frame.body))
            self.owed.append(owed)
            self._hand_over(owed, frame)
        self._steer()

    def _gather(self, frame: Frame) -> None:
        """A piece of a large message to its spool, or its fault. Nothing is read meanwhile."""
        if self.large is None:
            assert self.source.ground.spool, "frames come in pieces only where there is a spool"
            self.large = Large(self.source.ground.spool())
        self.spooling = self.loop.create_task(self.large.take(frame))
        self.spooling.add_done_callback(lambda _: self._gathered(frame))

    def _gathered(self, frame: Frame) -> None:
        self.spooling = None
        if not frame.more:
            self._end_large(frame)
        elif self.transport.is_closing():
            self._give_up_large()
        self._take()

    def _end_large(self, frame: Frame) -> None:
        """Its last piece is on disk; or it has a fault, or could not be kept."""
        large, self.large = self.large, None
        assert large is not None
        owed = _Owed(self.source.head(large.head))
        self.owed.append(owed)
        if large.problem is not None and not frame.fault:
            self.log.warning(
                f"{self.kind}.large_not_kept", code=large.problem.code, reason=large.problem.text
            )
            self._answer(owed, not_kept(large.problem))
        else:
            self._hand_over(owed, Frame(large.head if frame.fault else b"", frame.fault), large.blob)

    def _give_up_large(self) -> None:
        if self.large is not None and self.spooling is None:
            self.spooling = self.loop.create_task(self.large.drop())
            self.large = None

    def _hand_over(self, owed: _Owed, frame: Frame, blob: Blob | None = None) -> None:
        code, text = self._fault(frame.fault) if frame.fault else ("", "")
        message = Message(
            frame.body,
            self.name,
            self.headers,
            charset=self.options.charset,
            fault=text,
            fault_code=code,
            blob=blob,
        )
        owed.future = future = self.source.deliver(message)
        self.first = future if blob is not None else None
        if future.done():
            self._settle(owed, future)
        else:
            future.add_done_callback(functools.partial(self._replied, owed))

    def _replied(self, owed: _Owed, future: asyncio.Future[Reply]) -> None:
        self._settle(owed, future)
        if self.waiting or not self.reading:
            self._take()

    def _settle(self, owed: _Owed, future: asyncio.Future[Reply]) -> None:
        error = asyncio.CancelledError() if future.cancelled() else future.exception()
        if error is None:
            self._answer(owed, future.result())
        else:
            self.log.error(f"{self.kind}.deliver_failed", error=type(error).__name__)
            self._answer(owed, Reply("failed", code="JL-E100", text="the engine failed, nothing was kept"))

    def _answer(self, owed: _Owed, reply: Reply) -> None:
        owed.answer = self.source.answer(owed.head, reply)
        out = []
        while self.owed and (known := self.owed[0].answer) is not None:
            self.owed.popleft()
            if known:
                out.append(framed(self.source.framing, known))
        if out and not self.transport.is_closing():
            self.transport.write(b"".join(out))
        if self.ended:
            self._close_when_answered()

    def _steer(self) -> None:
        """Reads while there is room for what may come, and not otherwise."""
        ready = self._ready()
        if ready == self.reading or self.ended or self.transport.is_closing():
            return
        self.reading = ready
        if ready:
            now = self.loop.time()  # time that we did not read is not the sender's
            self.last_read, self.opened_at = now, now if self.opened_at else 0.0
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()

    # Limits

    def _fault(self, fault: str) -> tuple[str, str]:
        """Code and text of a frame's fault: the engine refuses the message, and files what there is of it."""
        self.log.warning(f"{self.kind}.frame_{fault}")
        if fault == "too_large":
            return "JL-E101", f"the message is larger than {self.options.max_size} bytes"
        if fault == "too_slow":
            return "JL-E103", f"the message did not end within {self.options.frame_within:g} s"
        return "JL-E102", "the message is cut: its end did not come"

    def _stray(self) -> None:
        if not self.stray_seen:
            self.stray_seen = True
            self.log.warning(f"{self.kind}.bytes_between_frames", bytes=self.framer.stray)
        if self.framer.stray > self.options.max_stray:
            self.log.warning(f"{self.kind}.not_framed", bytes=self.framer.stray)
            self._end()

    def _end(self) -> None:
        """Reads no more; closes once every answer is out."""
        self.ended = True
        self.transport.pause_reading()
        self._close_when_answered()

    def _close_when_answered(self) -> None:
        if not self.owed and not self.waiting and self.large is None:
            self.transport.close()

    def check(self, now: float) -> None:
        """Ends a connection that is idle or stuck."""
        within, idle = self.options.frame_within, self.options.idle
        if self.full_since and now - self.full_since > within:
            self.log.warning(f"{self.kind}.answers_not_read")
            self.transport.abort()
        elif not self.reading or self.ended:
            return
        elif self.opened_at and now - self.opened_at > within:
            if rest := self.framer.rest():
                self.waiting.append(Frame(rest, "too_slow"))
                self._take()
            self._end()
        elif idle and not self.owed and now - self.last_read > idle:
            self.log.info(f"{self.kind}.idle_closed")
            self._end()


class WireSource(ABC):
    """Listens, and answers each message when the engine has replied."""

    kind: ClassVar[str]

    def __init__(self, options: Any, ground: Ground, framing: Framing) -> None:
        self.options = options
        self.ground = ground
        self.framing = framing
        self.paused = False
        self.port = options.port  # the real one, once started
        self.lines: set[Inbound] = set()
        self.deliver: Deliver
        self._server: asyncio.Server | Gate | None = None
        self._sweep: asyncio.TimerHandle | None = None

    def head(self, body: bytes) -> bytes:
        """What is kept of a message so that it can be answered."""
        return b""

    @abstractmethod
    def written(self, head: bytes, reply: Reply) -> bytes:
        """The answer in the sender's language; b'' where it wants none."""

    def answer(self, head: bytes, reply: Reply) -> bytes:
        if reply.silent or not self.options.acknowledge:
            return b""
        return self.written(head, reply)

    async def start(self, deliver: Deliver) -> None:
        self.deliver = deliver
        loop = asyncio.get_running_loop()
        listen = functools.partial(Inbound, self)
        host, port, tls = self.options.host, self.options.port, self.options.tls
        if tls is None:
            self._server = await loop.create_server(listen, host, port, backlog=1024)
        else:
            self._server = Gate(tls, self.ground.base_dir, self.ground.name, self.options.connections)
            self._server.open(listening(host, port), listen)
        self.port = self._server.sockets[0].getsockname()[1]
        self._check_lines()

    def pause(self) -> None:
        self.paused = True
        for line in self.lines:
            line._steer()

    def resume(self) -> None:
        self.paused = False
        for line in tuple(self.lines):
            line._take()

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.pause()

    async def stop(self) -> None:
        self.close()
        if self._server is None:
            return
        futures = [owed.future for line in self.lines for owed in line.owed if owed.future]
        if futures:
            await asyncio.wait(futures, timeout=self.options.stop_within)
        if self._sweep:
            self._sweep.cancel()
        lines = tuple(self.lines)
        for line in lines:
            line.transport.close()
        if lines:
            await asyncio.wait([line.gone for line in lines], timeout=1.0)
        for line in tuple(self.lines):
            line.transport.abort()

    def admit(self, line: Inbound) -> bool:
        if len(self.lines) >= self.options.connections:
            line.log.warning(f"{self.kind}.too_many_connections", limit=self.options.connections)
            return False
        self.lines.add(line)
        return True

    def _check_lines(self) -> None:
        loop = asyncio.get_running_loop()
        for line in tuple(self.lines):
            line.check(loop.time())
        often = min(1.0, self.options.frame_within / 4, self.options.idle / 4 or 1.0)
        self._sweep = loop.call_later(often, self._check_lines)
