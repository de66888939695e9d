"""`insurance.reverse`: undoes an earlier message: `{"msgid": "..."}`, or `{"key": "..."}`; `by`: 2601 or undo."""

from __future__ import annotations

from typing import TYPE_CHECKING

from config.errors import Refused
from endpoints.insurance.operations.base import body_of, operation, receipt
from endpoints.insurance.operations.which import meant
from schemas.message import Message, Receipt

if TYPE_CHECKING:
    from endpoints.insurance.party import Party


@operation("reverse")
async def reverse(party: Party, message: Message) -> Receipt:
    """`{"outcome": "OK|REJECTED|UNKNOWN", "msgid", "infno", "state", "text", "by": <the answer of what undid it>}`."""
    tree = body_of(message, party.options.max_input)
    by = tree.get("by", "")
    if by not in ("", "2601", "undo"):
        raise Refused("JL-N001", "by: 2601 or undo")
    made = await party.reverse(await meant(party, tree), by)
    return receipt(made.outcome, made.tree())
