"""A party as files, catalogues and the day's account need it: calls that may be asked again, and files as they come."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from config.errors import Unreachable
from endpoints.insurance.files import Answer, Take
from endpoints.insurance.party import Party, Request


class PartyCentre:
    """Meets `files.Centre`. Each call is a new one: nothing here settles or cancels."""

    def __init__(self, party: Party, fields: Mapping[str, str] | None = None) -> None:
        """`fields` are of the envelope: opter, opter_name."""
        self._party, self._fields = party, fields or {}

    @property
    def fixmedins_code(self) -> str:
        return self._party.system

    async def call(self, infno: str, input: Mapping[str, Any]) -> Answer:
        made = await self._party.ask(infno, input, "", self._fields)
        return Answer(made.outcome, made.output, made.infcode, made.text)

    async def fetch(self, infno: str, input: Mapping[str, Any], take: Take) -> Answer:
        wrong: list[Exception] = []  # with our disk, or with the size: not with the centre

        async def taking(piece: bytes) -> None:
            try:
                await take(piece)
            except Exception as error:
                wrong.append(error)
                raise

        request = Request(self._party.named(infno), input, uuid.uuid4().hex, self._fields, take=taking)
        try:
            made = await self._party.request(request)
        except Unreachable:
            if wrong:
                raise wrong[0] from None
            raise
        return Answer(made.outcome, made.output, made.infcode, made.text)
