"""The MLLP source: what a message's sender hears is an HL7 v2 acknowledgement."""

from __future__ import annotations

from typing import ClassVar

from endpoints.base import Ground, Options, Told
from endpoints.hl7.answers import CODES, Answers, head
from endpoints.hl7.framing import Mllp
from endpoints.wire.source import WireOptions, WireSource
from schemas.hl7.ack import read_ack
from schemas.message import Message, Reply


class SourceOptions(WireOptions):
    """`from: {mllp: {port: 2575}}`."""


class MllpSource(WireSource):
    """Listens, and answers each message when the engine has replied."""

    Options: ClassVar[type[Options]] = SourceOptions
    kind = "mllp"
    codes = CODES
    answers_in = "hl7v2"

    def __init__(self, options: SourceOptions, ground: Ground) -> None:
        super().__init__(options, ground, Mllp())
        self._answers = Answers(options.charset, ground.now)

    def head(self, body: bytes) -> bytes:
        return head(body)

    def written(self, head: bytes, reply: Reply) -> bytes:
        return self._answers.write(head, reply)

    def told(self, message: Message, reply: Reply) -> Told:
        body = self.answer(head(message.body), reply)
        return Told(read_ack(body, self.options.charset).code, body, "hl7v2") if body else Told("")
