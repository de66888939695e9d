"""`insurance.sign_out`: 签退 (9002). `{"opter": "...", "dev_no": "..."}`, both optional."""

from __future__ import annotations

from typing import TYPE_CHECKING

from endpoints.insurance.operations.base import body_of, operation, receipt
from schemas.message import Message, Receipt

if TYPE_CHECKING:
    from endpoints.insurance.party import Party


@operation("sign_out")
async def sign_out(party: Party, message: Message) -> Receipt:
    """The answer of 9002; OK without one where there was no sign-in today."""
    who = party.who(body_of(message, party.options.max_input))
    answer = await party.signed_out(who, message.id)
    if answer is None:
        return receipt("OK", {"outcome": "OK", "infno": "9002", "msgid": ""})
    return receipt(answer.outcome, answer.tree())
