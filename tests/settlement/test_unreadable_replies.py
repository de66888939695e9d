"""What a settlement hears where a party did it, and the channel cannot map the party's answer."""

from __future__ import annotations

from typing import Any

from config.errors import BadMessage, Refused
from router.attempt import Outcome
from router.envelope import Attempt, Envelope
from router.replies import Replies
from router.settlement.calls import _told
from router.settlement.runner import Told
from schemas.message import Receipt

_NOBODY: Any = None


async def heard(receipt: Receipt | None, error: BadMessage | Refused) -> Told:
    replies = Replies(_NOBODY)
    waiting = replies.expect("1", 5)
    assert waiting is not None
    made = Envelope("1", "calls", 0, "", "json", "", "", b"", {}, {}, ("his",))
    outcome = "sent" if receipt else "dead"
    record = Attempt("1", "calls", "his", 1, 0, 0, outcome)
    replies.tried(made, Outcome(record, receipt, error=error))
    return _told(await waiting)


async def test_what_was_done_and_cannot_be_mapped_is_unknown_and_not_refused() -> None:
    told = await heard(Receipt("200", b"{}"), BadMessage("JL-M010", "nothing at $.receipt"))
    assert (told.outcome, told.final, told.code) == ("UNKNOWN", True, "JL-M010")


async def test_what_could_not_be_made_or_was_refused_is_a_no() -> None:
    assert (await heard(None, BadMessage("JL-M010", "nothing at $.total"))).outcome == "REJECTED"
    assert (await heard(None, Refused("JL-E224", "status 400"))).outcome == "REJECTED"
