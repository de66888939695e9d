"""What a settlement asks about a call that it made before, by the key that it was made under.

A settlement's calls have the headers `key`, `direction` (do, undo, probe, reverse) and `about` (of a probe: do, undo).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from config.errors import BadMessage, Refused
from endpoints.insurance.mobile.probing import Probe
from endpoints.insurance.mobile.reversing import Reverse
from endpoints.insurance.records import Exchange, Records
from schemas.json import Json
from schemas.message import Message, Receipt

if TYPE_CHECKING:
    from endpoints.insurance.mobile.destination import NhsaMobile

_JSON = Json()
# It never left: that is for good.
_ABSENT = Receipt("ABSENT", b'{"outcome":"ABSENT","final":true}', "json")


def asks_about(headers: Mapping[str, str]) -> bool:
    """Whether a message is about an earlier one."""
    return headers.get("direction", "do") != "do"


async def about(party: NhsaMobile, records: Records, message: Message) -> Receipt:
    """Raises Unreachable."""
    headers, given = message.headers, _data(message.body)
    made = await records.of_key(party.system, headers.get("key", ""))
    left = [one for one in made if not one.never_left]
    if not left:
        return _ABSENT
    exchange, reverse = left[-1], Reverse(party, records)
    try:
        if headers["direction"] in ("undo", "reverse"):
            # The fees of an order that somebody else has had paid (WeChat): its insurance part is refunded.
            return await reverse.of(exchange, given, refunds=headers.get("param.code") == "MP-6203")
        if headers.get("about") != "undo":
            return await Probe(party, records).of(exchange, given)
        return await _undone(party, records, exchange, given)
    except Refused as error:  # it cannot be asked: that says nothing of what became of it
        tree = {"outcome": "UNKNOWN", "msgid": exchange.msgid, "infcode": error.code, "err_msg": error.text}
        return Receipt("UNKNOWN", _JSON.encode(tree), "json")


async def _undone(
    party: NhsaMobile, records: Records, exchange: Exchange, given: Mapping[str, Any]
) -> Receipt:
    """Whether it was undone."""
    if exchange.state == "REVERSED":
        return Receipt("OK", _JSON.encode({"outcome": "OK", "msgid": exchange.reversed_by}), "json")
    undoing = await Reverse(party, records).undoing_of(exchange)
    if undoing is None:
        return _ABSENT
    told = await Probe(party, records).of(undoing, given)
    if told.code == "OK":
        await records.undone(exchange.msgid, undoing.msgid)
    return told


def _data(body: bytes) -> Mapping[str, Any]:
    """What the step says besides, in `data` or as it is."""
    try:
        tree = _JSON.decode(body) if body else {}
    except BadMessage:
        return {}
    inner = tree.get("data", tree) if isinstance(tree, dict) else {}
    return inner if isinstance(inner, dict) else {}
