"""What `decide` wants done next. The runner does it, and asks again."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from router.settlement.rows import Decision, Direction, Place, State


class Call(Struct, frozen=True):
    """Write down an attempt, then ask the party. `key` is what it will know the call by; `body` what is sent, of a
    probe or a reverse what had been sent."""

    place: Place
    direction: Direction
    operation: str
    key: str
    body: Any = None
    about: Literal["", "do", "undo"] = ""  # of a probe and a reverse: which way it asks about
    state: State = "RUNNING"  # of the settlement meanwhile


class Wait(Struct, frozen=True):
    """Nothing is to be done before `until_ms`, unless somebody says something. WAITING: for a person or a notice."""

    until_ms: int
    state: State = "RUNNING"
    place: Place | None = None  # of WAITING: what waits


class Say(Struct, frozen=True):
    """Write down a decision that the clock made."""

    decision: Decision


class End(Struct, frozen=True):
    """That was all; or a person must look (`SUSPENDED`), and `code` and `text` say why."""

    state: Literal[State]
    place: Place | None = None
    code: str = ""
    text: str = ""


Command = Call | Wait | Say | End
