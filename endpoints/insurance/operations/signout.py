"""`insurance.signout`: 9002 (签退) at the end of a day. The next transaction signs in again by itself.

A message is `{}` for the operator that systems.yaml names, or `{"opter": "0001", "dev_no": "W3"}`; a timer's will do.
"""

from __future__ import annotations

from endpoints.insurance.operations.base import body_of, operation, receipt
from endpoints.insurance.party import Party
from schemas.message import Message, Receipt


@operation("signout")
async def signout(party: Party, message: Message) -> Receipt:
    """The answer of 9002; where nobody is signed in, OK without a msgid. Raises as `Party.ask`."""
    asked = body_of(message, party.options.max_input)
    opter = str(asked.get("opter") or party.options.opter)
    device = str(asked.get("dev_no") or party.options.dev_no)
    answer = await party.signed_out((opter, device), f"{message.id} 9002")
    if answer is None:
        return receipt("OK", {"outcome": "OK", "infno": "9002", "msgid": "", "output": None})
    return receipt(answer.outcome, answer.tree())
