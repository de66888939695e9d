"""What a settlement's runner needs of the database: everything that happens is one commit, under a fence."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import replace

from channels.settling.accounts import Account
from config.errors import JingluoError
from router.settlement.posting import Journal
from router.settlement.rows import ENDED, Attempt, Decision, Notice, Rows, State


class Fenced(Exception):
    """Somebody else has it by now: what was to be written is not."""


class Heard(Exception):
    """Something came from outside since it was loaded: it is given up unchanged, to be decided anew."""


class Locked(JingluoError):
    """JL-T010: another settlement of the same thing is under way."""


class Differs(JingluoError):
    """JL-T011: the same key came before, with another request."""


class New(Struct, frozen=True):
    """A settlement that begins. `locks` are what it has for itself while it is active: `bill:B1`."""

    number: str
    name: str  # of the pipeline
    digest: str  # of its definition
    request: Mapping[str, Any]
    began_ms: int
    locks: tuple[str, ...] = ()
    caller: str = ""


class Settlement(Struct, frozen=True):
    """One as it stands."""

    number: str
    name: str
    digest: str
    state: State
    rows: Rows
    due_ms: int = 0  # when it is to be looked at next
    code: str = ""  # why it is SUSPENDED
    text: str = ""


class Change(Struct, frozen=True):
    """What is written together. `ended` is an attempt that was there, with its outcome."""

    begun: Attempt | None = None
    ended: Attempt | None = None
    decision: Decision | None = None
    state: State | None = None
    code: str = ""
    text: str = ""
    party: str = ""  # the system that it is about, where a person must look
    due_ms: int | None = None
    journals: tuple[Journal, ...] = ()  # those that are there already are left as they are
    own: Mapping[str, Account] = MappingProxyType({})  # kinds of accounts of the pipeline's own
    events: tuple[str, ...] = ()
    release: bool = False  # the lease, and with an end the locks
    until_ms: int = 0  # of the lease


class Book(Protocol):
    """All methods raise StoreDown while the database is away: nothing is sent then."""

    async def begin(self, new: New) -> None:
        """Commits it with its locks; the same number and request again is the one that is there.

        Raises Locked and Differs.
        """

    async def claim(self, number: str, owner: str, now_ms: int, until_ms: int) -> int | None:
        """A fence, higher than any before; None where another has it and is not late, or it has ended."""

    async def load(self, number: str) -> Settlement: ...

    async def write(self, number: str, fence: int, change: Change) -> None:
        """One commit. Raises Fenced; Floored where its journals would bring an account below zero; and Heard where it
        would be given up and was told something since `claim`."""

    async def tell(self, number: str, notice: Notice | Decision) -> State:
        """What came from outside: without a fence, and due at once. Gives the state that it came in."""


def as_told(said: Notice | Decision, state: State) -> Notice | Decision:
    """As it is kept: a notice that comes after the end is marked so."""
    return replace(said, late=True) if isinstance(said, Notice) and state in ENDED else said
