"""The side that sends: over a few connections that stay open, one message at a time on each."""

from __future__ import annotations

import asyncio
import functools
import math
import select
import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from config.errors import Refused, Unreachable
from config.tls import ClientTls, client_context, refusal
from config.units import Seconds, Size
from endpoints.base import HEAD_SIZE, Ground, Options, pieces_of
from endpoints.secure import SHUTDOWN_S
from endpoints.wire.framing import Frame, Framing, framed
from endpoints.wire.line import Line
from schemas.message import Blob, Message, Receipt

_BUSY_S = 0.1
_BEFORE = 4  # bytes of the last piece that a framing looks at with the next
_STAYS_OPEN = 3  # answers after which a receiver is known not to close after each


class WireTarget(Options):
    """What every kind that sends frames has."""

    host: str
    port: int = Field(ge=1, le=65535)
    charset: str = Field("", description="what answers are written in that do not say so themselves")
    timeout: Seconds = Field(
        30.0, description="from the message to its answer; of a large one, for each piece, and for the answer"
    )
    connect_within: Seconds = 10.0
    connections: int = Field(16, ge=1, description="at once; further messages wait for one")
    idle: Seconds = Field(60.0, description="a connection that nobody used for so long is not used again")
    expect_answer: bool = Field(True, description="false: written is delivered")
    max_answer: Size = Field(10_000_000, description="of an answer")
    tls: ClientTls | None = Field(None, description="without it, what is sent can be read on the way")


@dataclass(slots=True)
class _Heard:
    """What came of a large message: `whole` where all of it was sent before there was an answer."""

    head: bytes = b""
    answer: bytes = b""
    whole: bool = False


class Outbound(Line):
    """A connection to a receiver, with one message at a time."""

    def __init__(self, framing: Framing, max_answer: int) -> None:
        super().__init__(framing.framer(max_answer))
        self._framing = framing
        self.asked: asyncio.Future[bytes] | None = None
        self.answers = 0
        self._until = math.inf  # when there must be an answer
        self._clock: asyncio.TimerHandle | None = None
        self._room = asyncio.Event()
        self._room.set()

    def usable(self, idle_s: float) -> bool:
        """Whether a message may be written. Bytes or an end that wait to be read mean that it may not.

        The system is not asked (20 us) on a busy line that has stayed open over several answers.
        """
        silent_s = self.loop.time() - self.last_read
        if self.transport.is_closing() or silent_s > idle_s:
            return False
        if silent_s < _BUSY_S and self.answers >= _STAYS_OPEN:
            return True
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not poll.poll(0)

    def ask(self, body: bytes, within_s: float) -> asyncio.Future[bytes]:
        """Sends a message; the Future ends in its answer or in Unreachable. Raises Refused where it has no frame."""
        frame = framed(self._framing, body)
        self.asked = self.loop.create_future()
        self._wait(within_s)
        self.transport.write(frame)
        return self.asked

    async def ask_large(self, blob: Blob, within_s: float, answered: bool) -> _Heard:
        """Sends a message piece by piece, as fast as its receiver reads.

        A receiver may answer before the end, that it is too large: nothing more is sent then, and the connection
        is of no further use, as after every failure.
        """
        self.asked = asked = self.loop.create_future() if answered else None
        heard = _Heard()
        try:
            begin, end = self._framing.edges(blob.size)
            self.transport.write(begin)
            before = b""
            async for piece in pieces_of(blob):
                self._framing.check(piece, before)
                before = (before + piece)[-_BEFORE:]
                heard.head = heard.head or piece[:HEAD_SIZE]
                self.transport.write(piece)
                await self._read_away(within_s)
                if asked and asked.done():
                    heard.answer = await asked
                    return heard
            self.transport.write(end)
            heard.whole = True
        finally:
            if not heard.whole:
                self.asked = None
                self.transport.abort()
        if asked:
            self._wait(within_s)
            heard.answer = await asked
        return heard

    async def _read_away(self, within_s: float) -> None:
        """Until the receiver has read so much that more may be written."""
        try:
            async with asyncio.timeout(within_s):
                await self._room.wait()
        except TimeoutError:
            raise Unreachable("JL-E111", f"nothing was read within {within_s:g} s") from None
        if self.transport.is_closing() and not self.asked:
            raise Unreachable("JL-E112", "the receiver closed the connection in the midst of the message")

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def _wait(self, within_s: float) -> None:
        """One timer for many messages: setting and stopping one for each costs 5 us."""
        self._until = self.loop.time() + within_s
        if self._clock is None:
            self._clock = self.loop.call_later(within_s, self._look, within_s)

    def _look(self, within_s: float) -> None:
        self._clock = None
        if self._until == math.inf:
            return  # nothing is waited for
        left_s = self._until - self.loop.time()
        if left_s > 0:
            self._clock = self.loop.call_later(left_s, self._look, within_s)
        elif self.asked and not self.asked.done():
            text = f"no answer within {within_s:g} s"
            self.asked.set_exception(Unreachable("JL-E111", text, maybe_done=True))

    def received(self, frames: list[Frame]) -> None:
        asked = self.asked
        if frames:
            self.asked, self._until = None, math.inf
        if frames and asked and not asked.done():
            if frames[0].fault:
                asked.set_exception(
                    Unreachable("JL-E113", f"an answer that is {frames[0].fault}", maybe_done=True)
                )
            else:
                self.answers += 1
                asked.set_result(frames[0].body)
        if asked is None or len(frames) > 1 or self.framer.stray > HEAD_SIZE:
            self.transport.close()  # what nobody asked for would be taken for the next answer

    def connection_lost(self, error: Exception | None) -> None:
        if self._clock:
            self._clock.cancel()
        self._room.set()
        if self.asked and not self.asked.done():
            why = "the receiver closed the connection before it answered"
            if isinstance(error, ssl.SSLError):
                why = f"the receiver ended TLS: {refusal(error)}"
            if self.framer.stray:
                why = "the receiver answered with something that is no frame"
            self.asked.set_exception(Unreachable("JL-E112", why, maybe_done=True))


class WireDestination(ABC):
    """Sends over a few connections that stay open, one message at a time on each."""

    streams: ClassVar[bool] = True

    def __init__(self, options: Any, ground: Ground, framing: Framing) -> None:
        self.options = options
        self.ground = ground
        self.framing = framing
        self._free: list[Outbound] = []
        self._room = asyncio.Semaphore(options.connections)
        self._context: ssl.SSLContext | None = None

    @abstractmethod
    def judged(self, answer: bytes, body: bytes, charset: str) -> Receipt:
        """What an answer to `body` means. Raises Refused and Unreachable."""

    async def start(self) -> None:  # noqa: B027
        """Nothing to do: a connection is made when there is something to send."""

    async def send(self, message: Message) -> Receipt:
        if message.blob is None:
            self.framing.check(message.body)
        async with self._room:
            line = self._take_free() or await self._connect()
            try:
                if message.blob is None:
                    receipt = self._judged(await self._ask(line, message.body), message.body, message.charset)
                else:
                    receipt = await self._send_large(line, message.blob, message.charset)
            except Refused:
                self._free.append(line)
                raise
            except BaseException:
                line.transport.abort()
                raise
            self._free.append(line)
            return receipt

    async def _send_large(self, line: Outbound, blob: Blob, charset: str) -> Receipt:
        heard = await line.ask_large(blob, self.options.timeout, self.options.expect_answer)
        receipt = self._judged(heard.answer, heard.head, charset)
        if not heard.whole:
            raise Unreachable("JL-E113", "a yes before the message had ended")
        return receipt

    async def stop(self) -> None:
        for line in self._free:
            line.transport.close()
        self._free.clear()

    def _take_free(self) -> Outbound | None:
        while self._free:
            line = self._free.pop()
            if line.usable(self.options.idle):
                return line
            line.transport.abort()
        return None

    def _secure(self) -> dict[str, Any]:
        """What `create_connection` needs for TLS. Made when first needed: a file may be there by then."""
        if self.options.tls is None:
            return {}
        try:
            self._context = self._context or client_context(self.options.tls, self.ground.base_dir)
        except OSError as error:
            raise Unreachable("JL-E116", f"TLS: {error.strerror}") from None
        return {"ssl": self._context, "ssl_shutdown_timeout": SHUTDOWN_S}

    async def _connect(self) -> Outbound:
        host, port = self.options.host, self.options.port
        secure = self._secure()
        make: Callable[[], Any] = functools.partial(Outbound, self.framing, self.options.max_answer)
        try:
            async with asyncio.timeout(self.options.connect_within):
                _, line = await asyncio.get_running_loop().create_connection(make, host, port, **secure)
        except ssl.SSLError as error:
            raise Unreachable("JL-E116", f"{host}:{port}: TLS: {refusal(error)}") from None
        except (OSError, TimeoutError) as error:
            why = (
                getattr(error, "strerror", None) or f"no connection within {self.options.connect_within:g} s"
            )
            raise Unreachable("JL-E110", f"{host}:{port}: {why}") from None
        made: Outbound = line
        return made

    async def _ask(self, line: Outbound, body: bytes) -> bytes:
        if self.options.expect_answer:
            return await line.ask(body, self.options.timeout)
        line.transport.write(framed(self.framing, body))
        return b""

    def _judged(self, answer: bytes, body: bytes, charset: str) -> Receipt:
        return self.judged(answer, body, charset) if self.options.expect_answer else Receipt("sent")
