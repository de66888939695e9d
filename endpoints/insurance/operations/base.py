"""What can be asked of a centre besides its transactions, by name: `send: insurance.probe`.

An operation is a file of this folder: `probe.py` has

    @operation("probe")
    async def probe(party: Party, message: Message) -> Receipt: ...

and raises Refused and Unreachable as `Destination.send` does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from config.errors import BadMessage, Refused
from config.registry import Names
from schemas.json import Json
from schemas.message import Message, Receipt

if TYPE_CHECKING:
    from endpoints.insurance.party import Party

Operation = Callable[["Party", Message], Awaitable[Receipt]]

operations = Names("insurance operation", "endpoints.insurance.operations", ("base", "which"))
operation = operations.register

_JSON = Json()


def body_of(message: Message, limit: int) -> dict[str, Any]:
    """A message's JSON object. Raises Refused (JL-N001)."""
    if message.blob is not None or len(message.body) > limit:
        raise Refused("JL-N001", f"an input over {limit} bytes 报文过大")
    try:
        tree = _JSON.decode(message.body, message.charset)
    except BadMessage as error:
        raise Refused("JL-N001", error.text) from None
    if not isinstance(tree, dict):
        raise Refused("JL-N001", "an input is a JSON object 报文应为JSON对象")
    return tree


def receipt(code: str, tree: Any) -> Receipt:
    return Receipt(code, _JSON.encode(tree), "json")
