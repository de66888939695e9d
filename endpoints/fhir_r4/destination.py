"""The FHIR destination: a client of a FHIR server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from config.tls import ClientTls
from endpoints.base import Ground, Options
from endpoints.fhir_r4.judge import receipt_of, yes
from endpoints.fhir_r4.request import Match, Sends, Wanted, wanted
from endpoints.rest.sending import Answer, Sending, SendOptions
from schemas.message import Message, Receipt

_APART = 50_000  # bytes that are read in a thread


class DestinationOptions(SendOptions):
    """`send: {fhir: {url: "https://emr.hospital.local/fhir", interaction: transaction}}`."""

    operation_field: ClassVar[str] = "interaction"

    url: str = Field(pattern=r"^https?://[^/\s?#]+[^\s?#]*$", description="the base of the FHIR server")
    interaction: Sends = Field(
        "body", description="what is asked of it; `body`: what the message is, or how it came in"
    )
    match: Match = Field(
        "",
        description="`identifier`: created only where none has it, or updated where one has it (conditional)",
    )
    prefer: Literal["", "minimal", "representation", "OperationOutcome"] = Field(
        "", description="what its answer shall hold; without it, what who sent the message wished"
    )

    @model_validator(mode="after")
    def _fits(self) -> DestinationOptions:
        if self.tls != ClientTls() and not self.url.startswith("https:"):
            raise ValueError("tls needs an https url")
        if self.match and self.interaction not in ("create", "update"):
            raise ValueError("`match` is of one resource: write interaction: create, or update")
        return self


class FhirDestination:
    """Sends each message as one request, always with the same `Idempotency-Key`: the message's id."""

    Options: ClassVar[type[Options]] = DestinationOptions
    answers_in = "fhir"
    codes = frozenset(map(str, range(200, 600)))

    def __init__(self, options: DestinationOptions, ground: Ground) -> None:
        self.options = options
        self._base = options.url.rstrip("/")
        self._way = Sending(options, ground)

    async def start(self) -> None:
        await self._way.prepare()

    async def stop(self) -> None:
        await self._way.close()

    async def send(self, message: Message) -> Receipt:
        apart = len(message.body) > _APART
        asked = await asyncio.to_thread(self._wanted, message) if apart else self._wanted(message)
        headers = dict(asked.headers)
        if message.id and asked.method != "GET":
            headers["idempotency-key"] = message.id
        if prefer := self._prefer(message):
            headers["prefer"] = prefer
        url = f"{self._base}/{asked.url}" if asked.url and asked.url[0] != "?" else self._base + asked.url
        body = b"" if asked.kind == "question" else message.body
        answer = await self._way.ask(asked.method, url, headers, body)
        apart = len(answer.body) > _APART
        return await asyncio.to_thread(self._judge, answer, asked) if apart else self._judge(answer, asked)

    def heard(self, message: Message, code: str, answer: bytes, headers: Mapping[str, str]) -> Receipt:
        """Where a test says yes and no more, the party answers as one that did it."""
        asked, status = self._wanted(message), int(code or 200)
        if len(answer) > self.options.max_answer:
            raise self._way.too_large(status)
        if 200 <= status < 300 and not answer:
            answer = yes(asked)
        return self._judge(Answer(status, "", headers, answer), asked)

    def _wanted(self, message: Message) -> Wanted:
        return wanted(message, self.options.interaction, self.options.match)

    def _judge(self, answer: Answer, asked: Wanted) -> Receipt:
        receipt = receipt_of(answer, asked, self._base)
        if receipt is None:
            raise self._way.no(*answer)
        return receipt

    def _prefer(self, message: Message) -> str:
        return (
            f"return={self.options.prefer}" if self.options.prefer else message.headers.get("fhir.prefer", "")
        )
