"""The MLLP destination: what a receiver says is an HL7 v2 acknowledgement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from config.errors import Refused, Unreachable
from endpoints.base import Ground, Options
from endpoints.hl7.answers import CODES, control_id, head
from endpoints.hl7.framing import Mllp
from endpoints.wire.destination import WireDestination, WireTarget
from schemas.hl7.ack import ack, read_ack
from schemas.message import Message, Receipt


class DestinationOptions(WireTarget):
    """`send: {mllp: {host: lis, port: 2576}}`."""


class MllpDestination(WireDestination):
    """Sends over a few connections that stay open, one message at a time on each."""

    Options: ClassVar[type[Options]] = DestinationOptions
    answers_in = "hl7v2"
    codes = CODES

    def __init__(self, options: DestinationOptions, ground: Ground) -> None:
        super().__init__(options, ground, Mllp())

    def heard(self, message: Message, code: str, answer: bytes, headers: Mapping[str, str]) -> Receipt:
        self.framing.check(message.body)
        said = answer or ack(head(message.body), code or "AA", time="", control_id="TEST")
        return self._judged(said, message.body, message.charset)

    def judged(self, answer: bytes, body: bytes, charset: str) -> Receipt:
        code, answers_to, text = read_ack(answer, self.options.charset)
        sent = control_id(body, charset)
        if answers_to and sent and answers_to != sent:
            raise Unreachable("JL-E114", "the answer is to another message (MSA-2)", maybe_done=True)
        if code in ("AA", "CA"):
            return Receipt(code, answer, "hl7v2")
        if code in ("AE", "CE", "AR", "CR"):
            raise Refused("JL-E120", f"{code} {text}".strip(), retry=code[1] == "E", answer=answer)
        raise Unreachable("JL-E113", "an answer without a known code in MSA-1", maybe_done=True)
