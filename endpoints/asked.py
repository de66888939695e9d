"""What a party of settlements is asked: a JSON object in a message's body."""

from __future__ import annotations

from typing import Any

from config.errors import BadMessage, Refused
from schemas.json import Json
from schemas.message import Message

_JSON = Json()


def object_of(message: Message, limit: int, code: str, what: str) -> dict[str, Any]:
    """Empty where there is no body. Raises Refused with this code; `what` names the body in the text."""
    if message.blob is not None or len(message.body) > limit:
        raise Refused(code, f"over {limit} bytes 报文过大")
    try:
        tree = _JSON.decode(message.body, message.charset) if message.body else {}
    except BadMessage as error:
        raise Refused(code, error.text) from None
    if not isinstance(tree, dict):
        raise Refused(code, f"{what} is a JSON object 报文应为JSON对象")
    return tree
