"""Any bytes framed on a TCP connection: kind `tcp`. As MLLP, with the framing and the answers that are said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import structlog
from pydantic import BaseModel, ConfigDict, Field

from config import registry
from config.errors import Refused, Unreachable
from config.units import Size
from endpoints.base import Ground, Options, Told
from endpoints.wire.cuts import FramingText, Mark, framing_of
from endpoints.wire.destination import WireDestination, WireTarget
from endpoints.wire.source import WireOptions, WireSource
from schemas.message import Message, Receipt, Reply

log = structlog.get_logger()

_LINES = FramingText(end="\n")
_SHOWN = 40  # bytes of an answer that nobody knows, in a reason


class AnswersText(BaseModel):
    """What a sender hears where no destination answers. Empty: nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    accepted: Mark = Field(default="\x06", description="it is kept; ACK as it stands")
    refused: Mark = Field(default="\x15", description="the message is at fault; NAK as it stands")
    failed: Mark = Field(
        default="\x15", description="the engine is at fault, send it again; NAK as it stands"
    )


class SourceOptions(WireOptions):
    """`from: {tcp: {port: 7000, framing: {begin: "\\x02", end: "\\x03"}}}`."""

    framing: FramingText = Field(
        _LINES, description='`{end: "\\n"}`, `{begin: ..., end: ...}` or `{length: 4}`'
    )
    answers: AnswersText = Field(AnswersText(), description="what a sender hears, framed as its messages are")
    max_size: Size = Field(10_000_000, description="of a message; a larger one is refused at once")


class DestinationOptions(WireTarget):
    """`send: {tcp: {host: gate, port: 7000, framing: {length: 4}, yes: ["\\x06"]}}`."""

    framing: FramingText = Field(
        _LINES, description='`{end: "\\n"}`, `{begin: ..., end: ...}` or `{length: 4}`'
    )
    yes: tuple[Mark, ...] = Field(
        (), description="answers that begin so are a yes; without it, every answer is"
    )
    no: tuple[Mark, ...] = Field(("\x15",), description="answers that begin so are a no, tried again")
    max_answer: Size = Field(1_000_000, description="of an answer")


@registry.source("tcp")
class TcpSource(WireSource):
    """Listens, and answers each message as `answers` says, or with what a destination answered."""

    Options: ClassVar[type[Options]] = SourceOptions
    kind = "tcp"
    codes = frozenset(("accepted", "refused", "failed", "answered", ""))
    answers_in = ""

    def __init__(self, options: SourceOptions, ground: Ground) -> None:
        super().__init__(options, ground, framing_of(options.framing))

    def written(self, head: bytes, reply: Reply) -> bytes:
        if reply.state == "answered" and reply.body and self._fits(reply):
            return reply.body
        answers: AnswersText = self.options.answers
        known = {"refused": answers.refused, "failed": answers.failed}
        return known.get(reply.state, answers.accepted).encode("latin-1")

    def _fits(self, reply: Reply) -> bool:
        """Whether an answer can be framed here. Who sent the message else hears that it is kept."""
        try:
            self.framing.check(reply.body)
            self.framing.edges(len(reply.body))
        except Refused as error:
            log.error("tcp.answer_not_framed", channel=self.ground.name, message=reply.id, reason=error.text)
            return False
        return True

    def told(self, message: Message, reply: Reply) -> Told:
        body = self.answer(b"", reply)
        return Told(reply.state if body else "", body, reply.format if reply.state == "answered" else "")


@registry.destination("tcp")
class TcpDestination(WireDestination):
    """Sends, and takes the answer for a yes or a no as `yes` and `no` say."""

    Options: ClassVar[type[Options]] = DestinationOptions
    streams = False
    codes = frozenset(("yes", "no"))

    def __init__(self, options: DestinationOptions, ground: Ground) -> None:
        super().__init__(options, ground, framing_of(options.framing))
        self._yes = tuple(mark.encode("latin-1") for mark in options.yes)
        self._no = tuple(mark.encode("latin-1") for mark in options.no)

    def heard(self, message: Message, code: str, answer: bytes, headers: Mapping[str, str]) -> Receipt:
        self.framing.check(message.body)
        words = self._no if code == "no" else self._yes
        return self._judged(answer or (words[0] if words else b"yes"), message.body, message.charset)

    def judged(self, answer: bytes, body: bytes, charset: str) -> Receipt:
        if answer.startswith(self._no):
            raise Refused("JL-E120", f"the receiver said no ({_shown(answer)})", retry=True, answer=answer)
        if self._yes and not answer.startswith(self._yes):
            raise Unreachable("JL-E113", f"neither a yes nor a no ({_shown(answer)})", maybe_done=True)
        return Receipt("yes", answer)


def _shown(answer: bytes) -> str:
    """Its length and first control characters alone: what it says may be a patient's."""
    begin = bytes(byte for byte in answer[:_SHOWN] if byte < 32 or byte == 127)[:4]
    return f"{len(answer)} bytes" + (f", {begin!r}" if begin else "")
