"""What is kept of reconciliation, and what the database offers for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from msgspec import Struct

from router.reconcile.books import Item
from schemas.statements.profile import Profile


class Source(Struct, frozen=True):
    """How a system's statements are read. `form` is a name of schemas/statements/forms.py, or a profile."""

    system: str
    form: str | Profile
    merchants: tuple[str, ...] = ()
    cut_h: int = 0
    old: str = ""  # regular expression: numbers of the platform before
    accounts: tuple[str, ...] = ()  # of the ledger; without, clearing:<system>
    returns: str = ""  # the pipeline that gives back what was paid twice; without, a person decides


class Statement(Struct, frozen=True):
    """As it came, with what was counted in it."""

    system: str
    day: str
    number: int
    at_ms: int
    digest: str
    source: Source
    count: int
    paid_fen: int
    back_fen: int
    fee_fen: int
    body: bytes = b""


class Event(Struct, frozen=True):
    """Of an item: found, broken (its time in transit is over), changed, tried, explained, resolved, reopened."""

    number: int
    at_ms: int
    what: str
    said: dict[str, Any]


class Signature(Struct, frozen=True):
    """`items` is a digest of all that was listed then, `carried` what of it waits for other days."""

    system: str
    day: str
    at_ms: int
    who: str
    office: str
    second: str
    statement: str  # its digest
    items: str
    carried: tuple[str, ...] = ()
    explained: tuple[str, ...] = ()


class Run(Struct, frozen=True):
    system: str
    day: str
    number: int
    at_ms: int
    statement: int
    theirs: int
    ours: int
    found: int
    changed: int


class Kept(Protocol):
    """All raise Unreachable (JL-Q020) while the database is away."""

    async def keep(self, made: Statement) -> Statement:
        """With its number. The same bytes again are the one that is there. Raises Refused (JL-Q034) where the day was
        signed on others."""

    async def statement(self, system: str, day: str) -> Statement | None:
        """The last that came."""

    async def record(self, run: Run, items: Sequence[Item], books: Sequence[str]) -> Run:
        """What a run found of a day, in one commit: new items, those whose state moved, and those of `books` (the ones
        that were compared) that are no more."""

    async def items(
        self, system: str = "", day: str = "", state: str = "", until: str = "", limit: int = 1000
    ) -> list[Item]: ...

    async def item(self, id: str) -> tuple[Item, list[Event]]:
        """Raises Refused (JL-Q030)."""

    async def say(self, id: str, what: str, said: dict[str, Any], state: str = "") -> Item:
        """An event, and the state that it leaves. Raises Refused (JL-Q030)."""

    async def sign(self, made: Signature) -> Signature:
        """Raises Refused: JL-Q031 where an item is open, JL-Q033 where it is signed already."""

    async def signature(self, system: str, day: str) -> Signature | None: ...

    async def runs(self, system: str, day: str) -> list[Run]: ...

    async def exported(self, system: str, day: str, said: dict[str, Any]) -> None:
        """Who took which report. Durable before it leaves."""

    async def exports(self, system: str, day: str) -> list[Event]: ...

    async def days(self, system: str = "", limit: int = 100) -> list[Statement]:
        """Without their bytes, newest days first."""
