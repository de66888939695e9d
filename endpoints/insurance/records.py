"""What the engine remembers of its talk with an insurance centre: durable before a request leaves the process.

The rows are the router's (router/store); this is what endpoints may ask of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Literal, Protocol

from msgspec import Struct

from schemas.message import NOTHING

# OK done; REJECTED the centre said no, nothing is booked; PROCESSING it has it and is not done; UNKNOWN nobody can say.
Outcome = Literal["OK", "REJECTED", "PROCESSING", "UNKNOWN"]
NOT_LEFT = "JL"  # how the infcode of a row begins that has no outcome: it never left, or changes nothing


class Ask(Struct, frozen=True):
    """A request that is about to leave."""

    system: str  # the party's name: its fixmedins_code, or its appId
    infno: str  # the transaction, as people call it
    key: str  # who asks once: the message's id, and what else makes it one. Twice the same key is one thing to do
    at_ms: int  # Unix time, milliseconds: the msgid's
    opter: str = ""
    # psn_no, mdtrt_id, setl_id, chrg_bchno ...: what the exchange is found by. psn_no and certno are kept blind.
    links: Mapping[str, str] = NOTHING
    # msgids that are known under this key and infno: where there is another, somebody asks the same at this moment.
    # None: that is as it may be.
    known: frozenset[str] | None = None


class Taken(Exception):
    """Somebody else began under this key: nothing was, and look again what is there."""


class Exchange(Struct, frozen=True):
    """One request and what became of it. `state` is 'sent' until there is an outcome."""

    msgid: str
    system: str
    infno: str
    key: str
    at_ms: int
    opter: str
    state: Literal["sent", "OK", "REJECTED", "PROCESSING", "UNKNOWN", "REVERSED"]
    links: Mapping[str, str] = NOTHING  # without those that are kept blind
    infcode: str = ""
    text: str = ""  # the centre's words, sealed at rest
    request: bytes = b""  # as it went over the wire, sealed at rest
    answer: bytes = b""
    ended_ms: int = 0
    reversed_by: str = ""  # msgid of the 2601 or of the undoing transaction that was done

    @property
    def never_left(self) -> bool:
        """Or it changes nothing: its infcode is a code of ours. A centre's own may begin so too."""
        return self.state == "REJECTED" and self.infcode.startswith(NOT_LEFT)


def latest(rows: Sequence[Exchange]) -> Exchange | None:
    """Of those under one key the last that left, whatever a clock that was set back made of their order; of none
    that left the last."""
    return next((one for one in reversed(rows) if not one.never_left), rows[-1] if rows else None)


class SignIn(Struct, frozen=True):
    """A 9001 that holds: of one operator and device, for one day (yyyy-MM-dd)."""

    system: str
    opter: str
    device: str
    day: str
    sign_no: str


class Records(Protocol):
    """All methods raise `Unreachable` (the request did not leave) while the database is away."""

    async def begin(self, ask: Ask, msgid: Callable[[int], str], request: Callable[[str], bytes]) -> Exchange:
        """Commits a row of state 'sent' under the first free `msgid(serial)`, serial from 0 to 9999, unique over all
        processes; `request(msgid)` is what will go over the wire. Returns when it is durable. Raises Taken."""

    async def end(
        self,
        exchange: Exchange,
        outcome: Outcome,
        infcode: str,
        text: str,
        answer: bytes,
        links: Mapping[str, str],
    ) -> Exchange:
        """What became of it. Also of one that had ended UNKNOWN or PROCESSING: then evidence is better now."""

    async def undone(self, msgid: str, by: str) -> None:
        """`by` (a msgid) reversed it, or undid it."""

    async def of_key(self, system: str, key: str) -> Sequence[Exchange]:
        """All that was asked under this key, oldest first."""

    async def find(self, msgid: str) -> Exchange | None: ...

    async def search(
        self,
        system: str = "",
        *,
        links: Mapping[str, str] = NOTHING,
        state: str = "",
        infno: str = "",
        since_ms: int = 0,
        until_ms: int = 0,
        limit: int = 100,
    ) -> Sequence[Exchange]:
        """Newest first; `links` may name psn_no and certno in clear."""

    def settled(self, system: str, since_ms: int, until_ms: int) -> AsyncIterator[Exchange]:
        """Settlements and their cancels that ended OK in this time, oldest first: what a day's account is made of."""

    async def signed(self, system: str, opter: str, device: str, day: str) -> SignIn | None: ...

    async def sign_in(self, made: SignIn) -> SignIn:
        """Keeps it; where another process was first, that one's is returned and holds."""

    async def sign_out(self, made: SignIn) -> None:
        """It holds no longer, for no process."""
