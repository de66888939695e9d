"""What a settlement asks about a transaction that it asked for before, by the key that it was asked under.

A settlement's calls have the headers `key`, `direction` (do, undo, probe, reverse) and `about` (of a probe: do, undo).
The records know what was sent, so that nothing of it is said again: the undoing transaction's input is made of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from endpoints.insurance.operations.base import receipt
from endpoints.insurance.records import Exchange, latest
from endpoints.insurance.resolving import Probed, Reversed, undoing_of
from schemas.message import Message, Receipt

if TYPE_CHECKING:
    from endpoints.insurance.party import Party

_OUTCOMES = {"DONE": "OK", "NOT_DONE": "ABSENT", "CANNOT_SAY": "UNKNOWN"}
# A query that shows nothing says so for good: the party waits for its lag before it believes one.
_NEVER = {"outcome": "ABSENT", "final": True}


def asks_about(headers: Mapping[str, str]) -> bool:
    """Whether a message is about an earlier one."""
    return headers.get("direction", "do") != "do"


async def about(party: Party, message: Message) -> Receipt:
    """Raises Refused and Unreachable as the party does."""
    headers = message.headers
    exchange = latest(await party.records.of_key(party.system, headers.get("key", "")))
    if exchange is None:  # it never left
        return receipt("ABSENT", _NEVER)
    if headers["direction"] == "undo":
        return _reversed(await party.reverse(exchange, "undo"))
    if headers["direction"] == "reverse":
        refused = exchange.state == "REJECTED"  # then there is nothing to ask the centre for
        return _reversed(await party.reverse(exchange, "" if refused else "2601"))
    if headers.get("about") == "undo":
        return await _undone(party, exchange)
    return _probed(await party.probe(exchange))


async def _undone(party: Party, exchange: Exchange) -> Receipt:
    """Whether it was undone."""
    undoing = await undoing_of(party, exchange)
    if exchange.state == "REVERSED":
        return receipt("OK", {"outcome": "OK", "msgid": exchange.reversed_by})
    if undoing is None:
        return receipt("ABSENT", _NEVER)
    probed = await party.probe(undoing)
    if probed.verdict == "DONE":
        await party.records.undone(exchange.msgid, undoing.msgid)
    return _probed(probed)


def _probed(found: Probed) -> Receipt:
    outcome = _OUTCOMES[found.verdict]
    tree: dict[str, Any] = {**found.tree(), "outcome": outcome, "final": outcome == "ABSENT"}
    return receipt(outcome, tree)


def _reversed(made: Reversed) -> Receipt:
    return receipt(made.outcome, made.tree())
