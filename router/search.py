"""What an operator asks of the journal, and what it answers. Values only: `router.store` does the work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from config.errors import JingluoError
from router.envelope import BlobRef

State = Literal["accepted", "filtered", "refused", "waiting", "sent", "retrying", "dead"]
STATES: tuple[State, ...] = ("accepted", "filtered", "refused", "waiting", "sent", "retrying", "dead")
PAGE = 50
LOOK = 100_000  # dead letters that are looked at to tell their causes
MAX_PAGE = 1_000
RELATIVES = 100  # of a message, up and down, that are shown


class BadQuery(JingluoError, ValueError):
    """JL-J004: a question that the journal does not understand."""


@dataclass(frozen=True, slots=True)
class Query:
    """All that is given must hold. Empty means any.

    `state`: accepted, filtered and refused are what intake decided about the message; waiting (no end yet),
    sent, retrying and dead are about its deliveries: one of them (the one to `destination`, if given) is so.
    Searchable values are encrypted in the journal: only a whole one is found. A kind with `*` at its end is a prefix.
    Times are Unix milliseconds; `until_ms` is not included.
    """

    text: str = ""  # one box: the id or its first 8 digits and more, or any searchable value
    id: str = ""  # whole, or its first digits
    channel: str = ""
    destination: str = ""
    state: State | Literal[""] = ""
    index: Mapping[str, str] = field(default_factory=dict)  # name of a searchable value -> what it is
    kind: str = ""
    code: str = ""  # of a refusal, a failed try or a dead letter
    since_ms: int | None = None
    until_ms: int | None = None

    def __post_init__(self) -> None:
        if self.state and self.state not in STATES:
            raise BadQuery("JL-J004", f"no state is called {self.state!r}; there are {', '.join(STATES)}")
        values = [*self.index.values(), *([self.text] if self.text else [])]
        if any(not value.rstrip("*") for value in values):
            raise BadQuery("JL-J004", "a searchable value cannot be empty, or * alone")
        if any(value.endswith("*") for value in values):
            raise BadQuery(
                "JL-J014", "searchable values are encrypted, only whole ones are found: leave the * off"
            )


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a message's way to one destination has come to: waiting | retrying | sent | dead."""

    destination: str
    state: str
    attempts: int = 0
    code: str = ""
    reason: str = ""
    at_ms: int = 0  # of the latest try


@dataclass(frozen=True, slots=True)
class Found:
    """A message in a list."""

    id: str
    channel: str
    received_ms: int
    state: str
    kind: str
    code: str
    reason: str
    parent: str
    size: int
    index: Mapping[str, str]
    filtered: tuple[str, ...]
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """Newest first. `next` continues the list where it is not empty."""

    found: tuple[Found, ...]
    next: str = ""


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt of one delivery."""

    destination: str
    attempt: int
    outcome: str
    at_ms: int
    took_ms: int
    code: str
    reason: str
    answer: bytes


@dataclass(frozen=True, slots=True)
class Story:
    """A message's whole way. `parents` begins with what it was made from; `children` were made from it.

    These are replays, messages of another channel, and items; of each there are so many as `RELATIVES`.
    """

    message: Found
    source: str
    format: str
    charset: str
    headers: Mapping[str, str]
    body: bytes
    tries: tuple[Try, ...]
    body_over: bool = False  # the channel keeps no body for so long: `body` is empty
    blob: BlobRef | None = None  # a large body; then `body` is empty
    item: int = 0  # it is one item of its parent
    parents: tuple[str, ...] = ()
    children: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dead:
    """Dead letters of one cause. `key` names them all, `example` is the newest message's id."""

    key: str
    channel: str
    destination: str
    code: str
    cause: str  # the reason without what is of one message only (router.causes)
    count: int
    oldest_ms: int
    newest_ms: int
    example: str


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """By cause, the most first. `looked` letters were looked at, the newest; `whole`: those are all."""

    groups: tuple[Dead, ...]
    looked: int
    whole: bool


@dataclass(frozen=True, slots=True)
class Parked:
    """What could not be written as rows: an envelope that is none, or one that no database takes."""

    id: str  # SHA-256 of it
    at_ms: int
    reason: str  # the kind of error
    size: int
    body: bytes  # empty where it was only listed


@dataclass(frozen=True, slots=True)
class Unended:
    """A delivery that is neither sent nor dead. `tried`: at least once it was."""

    id: str
    channel: str
    destination: str
    tried: bool


@dataclass(frozen=True, slots=True)
class Count:
    """Conservation: accepted = delivered + dead + waiting; `filtered` never was for this destination.

    Where `destination` is empty, the line is the channel's: messages accepted, filtered altogether, refused, and
    resends that were filed as a duplicate.
    """

    channel: str
    destination: str
    accepted: int = 0
    delivered: int = 0
    filtered: int = 0
    dead: int = 0
    waiting: int = 0
    refused: int = 0
    duplicate: int = 0
