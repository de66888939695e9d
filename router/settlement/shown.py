"""What operators see of a settlement, as the API answers it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from router.settlement.columns import Column, column_of
from router.settlement.rows import Attempt, Decision
from router.settlement.stuck import Why
from router.settlement.suggestions import Suggestion
from router.store.settlement_lists import Head


class Shown(BaseModel):
    """A settlement in a list. Times are Unix milliseconds; `held_fen` is what stands in its transit account."""

    number: str
    settlement: str
    state: str
    began_ms: int
    changed_ms: int
    code: str = ""
    held_fen: int = 0
    stuck: Why = (
        ""  # waits for a person; is late: takes far longer than usual; unknown: too long without an outcome
    )


class Tried(BaseModel):
    """One attempt, in the column of its system."""

    number: int
    system: str
    column: Column
    step: str
    item: int
    direction: str
    about: str
    operation: str
    key: str
    began_ms: int
    ended_ms: int
    outcome: str
    code: str
    text: str


class Line(BaseModel):
    """An entry of the ledger."""

    journal: str
    account: str
    fen: int
    at_ms: int


class Story(Shown):
    """All of one: what was tried, in order, and what the ledger has."""

    text: str = ""
    suggests: Suggestion | None = None
    asks: dict[str, Any] | None = None  # where it waits for a person: step, form, roles, four_eyes
    attempts: list[Tried] = []
    decisions: list[dict[str, Any]] = []
    ledger: list[Line] = []


def head_shown(head: Head, held_fen: int, stuck: Why = "") -> Shown:
    return Shown(
        number=head.number,
        settlement=head.name,
        state=head.state,
        began_ms=head.began_ms,
        changed_ms=head.changed_ms,
        code=head.code,
        held_fen=held_fen,
        stuck=stuck,
    )


def tried(one: Attempt, kind: Callable[[str], str]) -> Tried:
    """`kind` says of which kind a system is, "" where nobody knows."""
    system = one.operation.rpartition(".")[0]
    return Tried(
        number=one.number,
        system=system,
        column=column_of(system, kind(system)),
        step=one.place.step,
        item=one.place.item,
        direction=one.direction,
        about=one.about,
        operation=one.operation,
        key=one.key,
        began_ms=one.began_ms,
        ended_ms=one.ended_ms,
        outcome=one.outcome or "",
        code=one.code,
        text=one.text,
    )


def decided(one: Decision) -> dict[str, Any]:
    place = {"step": one.place.step, "item": one.place.item} if one.place else {}
    told = {"what": one.what, "who": one.who, "second": one.second, "at_ms": one.at_ms, "reason": one.reason}
    return {**told, "evidence": one.evidence, **place, **({"role": one.role} if one.role else {})}
