"""`insurance.sign_in`: 签到 (9001) where there is none today. `{"opter": "...", "dev_no": "..."}`, both optional."""

from __future__ import annotations

from typing import TYPE_CHECKING

from endpoints.insurance.operations.base import body_of, operation, receipt
from schemas.message import Message, Receipt

if TYPE_CHECKING:
    from endpoints.insurance.party import Party


@operation("sign_in")
async def sign_in(party: Party, message: Message) -> Receipt:
    """`{"outcome": "OK", "sign_no": "..."}`; '' where this centre wants no sign-in."""
    who = party.who(body_of(message, party.options.max_input))
    return receipt("OK", {"outcome": "OK", "sign_no": await party.signed_in(who)})
