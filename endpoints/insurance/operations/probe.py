"""`insurance.probe`: whether an earlier message was done. `{"msgid": "..."}`, or `{"key": "..."}` of who asked it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from endpoints.insurance.operations.base import body_of, operation, receipt
from endpoints.insurance.operations.which import meant
from schemas.message import Message, Receipt

if TYPE_CHECKING:
    from endpoints.insurance.party import Party


@operation("probe")
async def probe(party: Party, message: Message) -> Receipt:
    """`{"verdict": "DONE|NOT_DONE|CANNOT_SAY", "msgid", "infno", "state", "text", "links", "evidence", "output"}`."""
    exchange = await meant(party, body_of(message, party.options.max_input))
    found = await party.probe(exchange)
    return receipt(found.verdict, found.tree())
