"""What a status says (PS3.7 annex C, PS3.4 B.2.3): ours to senders, and receivers' to us."""

from __future__ import annotations

from config.errors import Refused
from schemas.message import Receipt, Reply

SUCCESS, NO_RESOURCES, NOT_UNDERSTOOD = 0x0000, 0xA700, 0xC000
PROCESSING_FAILURE, RESOURCE_LIMITATION = 0x0110, 0x0213
NO_SUCH_INSTANCE, INVALID_VALUE, DUPLICATE, UNKNOWN = 0x0117, 0x0106, 0x0111, 0x0112
PENDING, CANCELLED, NOT_A_QUESTION, CANNOT_ANSWER = 0xFF00, 0xFE00, 0xA900, 0xC001
# What may be another one later: out of resources, a failure while processing, a resource limitation.
_LATER = {PROCESSING_FAILURE, RESOURCE_LIMITATION}
CODES = frozenset(("0000", "B000", "B006", "B007", "0110", "0122", "0124", "0213", "A700", "A900", "C000"))


def status_of(reply: Reply, service: str) -> int:
    """An image that was not kept is `out of resources`: the device sends it again."""
    store = service == "store"
    if reply.state == "failed":
        return NO_RESOURCES if store else RESOURCE_LIMITATION
    if reply.state == "refused":
        return NOT_UNDERSTOOD if store else PROCESSING_FAILURE
    return SUCCESS


def receipt_of(status: int) -> Receipt:
    """Warnings (B000 and so on) are a yes: the image is kept. Raises Refused."""
    code = f"{status:04X}"
    if status == SUCCESS or status >> 12 == 0xB or status in (0x0001, 0x0107, 0x0116):
        return Receipt(code)
    retry = status in _LATER or status >> 8 == 0xA7
    raise Refused("JL-E836", f"the receiver's status is {code}", retry=retry)
