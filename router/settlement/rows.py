"""What is known of a settlement: its row, every attempt on its behalf, and what people decided. Only ever added to.

All times are Unix milliseconds. Nothing here knows where rows are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

# Active: RUNNING forward, WAITING for somebody, COMPENSATING backward, CANCELLING because somebody wished it.
# Ended without or with effect: COMPLETED, COMPENSATED, REJECTED. SUSPENDED: a person must look.
State = Literal[
    "RUNNING", "WAITING", "COMPENSATING", "CANCELLING", "COMPLETED", "COMPENSATED", "REJECTED", "SUSPENDED"
]
ENDED = ("COMPLETED", "COMPENSATED", "REJECTED")

# A call that nobody heard the end of may be under way for so long: in its queue, or at the party's.
CALL_MS = 180_000

# do a step, undo it, probe what became of either, reverse one whose effect nobody knows.
Direction = Literal["do", "undo", "probe", "reverse"]

# OK done. REJECTED no, and nothing was done. PROCESSING it is under way at the party's. UNKNOWN nobody can say.
# UNSENT it never left. ABSENT (of a probe and a reverse): the party knows nothing of it.
Outcome = Literal["OK", "REJECTED", "PROCESSING", "UNKNOWN", "UNSENT", "ABSENT"]


class Place(Struct, frozen=True, order=True):
    """Which time of which step: `item` counts through `each`, from 0."""

    step: str
    item: int = 0


class Attempt(Struct, frozen=True):
    """One call, written before it leaves. Without an `outcome` it may have left, or not."""

    number: int  # within its settlement, from 1
    place: Place
    direction: Direction
    operation: str  # insurance.2207
    key: str  # what the party knows it by: of a probe or a reverse, that of the call it asks about
    began_ms: int
    outcome: Outcome | None = None
    ended_ms: int = 0
    # Of ABSENT: the party guarantees that it will not be found later either. Of UNKNOWN: it is not under way any more.
    final: bool = False
    reply: Any = None  # the party's answer as a tree
    code: str = ""
    text: str = ""
    about: Literal["", "do", "undo"] = ""  # of a probe and a reverse: which way it asks about


def over_ms(call: Attempt) -> int:
    """From when on a call is not under way any more, whoever heard what of it."""
    heard = call.outcome not in (None, "UNKNOWN") or call.final
    return call.ended_ms if heard else max(call.began_ms + CALL_MS, call.ended_ms)


class Decision(Struct, frozen=True):
    """What a person said: `what` of a place, or of the whole. `who` and `second` are two people where it needs two."""

    what: Literal["done", "not done", "retry", "compensate", "forward", "cancel", "ask", "release"]
    who: str
    at_ms: int
    place: Place | None = None
    second: str = ""
    reason: str = ""
    evidence: str = ""
    reply: Any = None  # of `done`: what is known of it
    after: int = 0  # how many attempts there were: what was tried later outweighs it
    role: str = ""  # as what they decide, where the step says who may


class Notice(Struct, frozen=True):
    """What a party said by itself (a payment's callback), verified and stored before it was answered. They come in any
    order, late and more than once: what is done stays done."""

    place: Place
    at_ms: int
    outcome: Outcome
    reply: Any = None
    about: Literal["do", "undo"] = "do"  # of the step, or of its undoing: a refund's callback
    late: bool = False  # it came when all had ended: nothing was done about it


class Rows(Struct, frozen=True):
    """All of one settlement."""

    number: str  # settle_no
    request: Mapping[str, Any]
    began_ms: int
    attempts: tuple[Attempt, ...] = ()
    decisions: tuple[Decision, ...] = ()
    notices: tuple[Notice, ...] = ()
