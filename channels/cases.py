"""A channel's tests as values: what comes in, how the world behaves meanwhile, and what must become of it.

What may be written stands in README.md, "Tests beside the channel"; `case_text.py` reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from config.text import At
from transforms.contents import Content
from transforms.proving import Given

CLOCK_MS = 1_767_571_200_000  # 2026-01-05T00:00:00Z: when a test's message comes, unless it says otherwise
MAX_TRIES = 1000

State = Literal["sent", "filtered", "retrying", "waiting", "held", "dead", "nothing"]
STATES: tuple[State, ...] = get_args(State)
ENDS = ("sent", "dead")  # of an item
REPLIES = ("accepted", "answered", "refused", "failed", "pending", "none")
FILED = ("accepted", "filtered", "refused", "duplicate")
UNREACHABLE, SILENCE = "unreachable", "silence"  # of every kind: no connection; connected, and no word
NO_ANSWER = (UNREACHABLE, SILENCE)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a destination does with one try: `code` '' is its kind's yes."""

    code: str = ""
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class World:
    """How everything around the channel behaves. A destination's last answer stays.

    `passes_s`: for how long it is watched; None: until every answer was given once.
    """

    clock_ms: int = CLOCK_MS
    passes_s: float | None = None
    answers: Mapping[str, tuple[Answer, ...]] = field(default_factory=dict)
    tables: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What must be: facts by name (`state`, `code`, ...), and the content by the format that it may have.

    `then`: what must become of it in the channel that it is handed to. `items`: how many there must be of it, and if
    they are given, what each must be; of what is gathered, of the groups that went.
    """

    facts: Mapping[str, Any] = field(default_factory=dict)
    contents: Mapping[str, Content] = field(default_factory=dict)
    then: Case | None = None
    items: int | tuple[Wanted, ...] | None = None


NOTHING_GIVEN = Given()


@dataclass(frozen=True, slots=True)
class Case:
    """One test of a channel. `before`: messages that came earlier, and how long ago (seconds)."""

    name: str
    at: At
    given: Given = NOTHING_GIVEN
    before: tuple[tuple[Given, float], ...] = ()
    world: World = World()
    envelope: Mapping[str, Any] = field(default_factory=dict)
    reply: Wanted | None = None
    journal: Wanted | None = None
    order: str | None = None
    ways: Mapping[str, Wanted] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
