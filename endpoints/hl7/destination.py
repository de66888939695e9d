"""The MLLP destination: sends over a few connections that stay open, one message at a time on each."""

from __future__ import annotations

import asyncio
import functools
import select
import ssl
from collections.abc import Callable
from typing import Any, ClassVar

from pydantic import Field

from config.errors import Refused, Unreachable
from config.tls import ClientTls, client_context, refusal
from config.units import Seconds, Size
from endpoints.base import HEAD_SIZE, Ground, Options
from endpoints.hl7.answers import control_id
from endpoints.hl7.framing import END, Frame, framed
from endpoints.hl7.line import Line
from endpoints.secure import SHUTDOWN_S
from schemas.hl7.ack import read_ack
from schemas.message import Message, Receipt

_BUSY_S = 0.1
_STAYS_OPEN = 3  # answers after which a receiver is known not to close after each


class DestinationOptions(Options):
    """`send: {mllp: {host: lis, port: 2576}}`."""

    host: str
    port: int = Field(ge=1, le=65535)
    charset: str = Field("", description="what answers are written in that do not say so in MSH-18")
    timeout: Seconds = Field(30.0, description="from the message to its answer")
    connect_within: Seconds = 10.0
    connections: int = Field(16, ge=1, description="at once; further messages wait for one")
    idle: Seconds = Field(60.0, description="a connection that nobody used for so long is not used again")
    expect_answer: bool = Field(True, description="false: written is delivered")
    max_answer: Size = Field(10_000_000, description="of an answer")
    tls: ClientTls | None = Field(None, description="without it, what is sent can be read on the way")


class _Outbound(Line):
    """A connection to a receiver, with one message at a time."""

    def __init__(self, max_answer: int) -> None:
        super().__init__(max_answer)
        self.asked: asyncio.Future[bytes] | None = None
        self.answers = 0
        self._patience: asyncio.TimerHandle | None = None

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
        """Sends a message; the Future ends in its answer or in Unreachable."""
        self.asked = self.loop.create_future()
        self._patience = self.loop.call_later(within_s, self._give_up, within_s)
        self.transport.write(framed(body))
        return self.asked

    def _give_up(self, within_s: float) -> None:
        if self.asked and not self.asked.done():
            text = f"no answer within {within_s:g} s"
            self.asked.set_exception(Unreachable("JL-E111", text, maybe_done=True))

    def received(self, frames: list[Frame]) -> None:
        asked, self.asked = self.asked, None if frames else self.asked
        if frames and self._patience:
            self._patience.cancel()
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
        if self._patience:
            self._patience.cancel()
        if self.asked and not self.asked.done():
            why = "the receiver closed the connection before it answered"
            if isinstance(error, ssl.SSLError):
                why = f"the receiver ended TLS: {refusal(error)}"
            if self.framer.stray:
                why = "the receiver answered with something that is not MLLP"
            self.asked.set_exception(Unreachable("JL-E112", why, maybe_done=True))


class MllpDestination:
    """Sends over a few connections that stay open, one message at a time on each."""

    Options: ClassVar[type[Options]] = DestinationOptions

    def __init__(self, options: DestinationOptions, ground: Ground) -> None:
        self.options = options
        self.ground = ground
        self._free: list[_Outbound] = []
        self._room = asyncio.Semaphore(options.connections)
        self._context: ssl.SSLContext | None = None

    async def start(self) -> None:
        """Nothing to do: a connection is made when there is something to send."""

    async def send(self, message: Message) -> Receipt:
        if END in message.body:
            raise Refused("JL-E115", "the message holds the byte 0x1C, which ends a message in MLLP")
        async with self._room:
            line = self._take_free() or await self._connect()
            try:
                receipt = self._judge(await self._ask(line, message.body), message)
            except Refused:
                self._free.append(line)
                raise
            except BaseException:
                line.transport.abort()
                raise
            self._free.append(line)
            return receipt

    async def stop(self) -> None:
        for line in self._free:
            line.transport.close()
        self._free.clear()

    def _take_free(self) -> _Outbound | None:
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

    async def _connect(self) -> _Outbound:
        host, port = self.options.host, self.options.port
        secure = self._secure()
        make: Callable[[], Any] = functools.partial(_Outbound, self.options.max_answer)
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
        made: _Outbound = line
        return made

    async def _ask(self, line: _Outbound, body: bytes) -> bytes:
        if self.options.expect_answer:
            return await line.ask(body, self.options.timeout)
        line.transport.write(framed(body))
        return b""

    def _judge(self, answer: bytes, message: Message) -> Receipt:
        if not self.options.expect_answer:
            return Receipt("sent")
        code, answers_to, text = read_ack(answer, self.options.charset)
        sent = control_id(message.body, message.charset)
        if answers_to and sent and answers_to != sent:
            raise Unreachable("JL-E114", "the answer is to another message (MSA-2)", maybe_done=True)
        if code in ("AA", "CA"):
            return Receipt(code, answer, "hl7v2")
        if code in ("AE", "CE", "AR", "CR"):
            raise Refused("JL-E120", f"{code} {text}".strip(), retry=code[1] == "E", answer=answer)
        raise Unreachable("JL-E113", "an answer without a known code in MSA-1", maybe_done=True)
