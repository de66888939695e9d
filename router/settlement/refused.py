"""What becomes of a settlement whose posting an account's floor refused: it is undone, or a person must look. Pure."""

from __future__ import annotations

from channels.settling.model import Definition
from router.settlement.commands import Command, End, Say
from router.settlement.ledger import Floored
from router.settlement.posting import Journal, step_of
from router.settlement.rows import Decision, Rows

_WHO = "ledger"  # as a decision's `who`


def instead(
    definition: Definition,
    rows: Rows,
    command: Command,
    books: tuple[Journal, ...],
    refused: Floored,
    now_ms: int,
) -> Command:
    """Of the command that could not be written.

    A step that asks nobody kept money for what comes next: there is none, nothing left yet, and what was done is
    undone. Where a step of a party's is done already, or it is undone for that reason and cannot, a person looks. What
    goes back goes on: its journals come with the end.
    """
    if isinstance(command, End):
        return End("SUSPENDED", None, refused.code, refused.text)
    if is_back(rows):
        return command
    steps = [
        definition.step(step_of(one))
        for one in books
        if any(entry.account in refused.accounts for entry in one.entries)
    ]
    if all(step.do is None for step in steps) and told_by_ledger(rows) is None:
        return Say(Decision("cancel", _WHO, now_ms, reason=refused.text))
    return End("SUSPENDED", None, refused.code, refused.text)


def is_back(rows: Rows) -> bool:
    """Whether what is done is being undone, or is to be."""
    words = [one.what for one in rows.decisions if one.what in ("compensate", "cancel", "forward", "release")]
    return (bool(words) and words[-1] != "forward") or any(one.direction == "undo" for one in rows.attempts)


def told_by_ledger(rows: Rows) -> tuple[str, str] | None:
    """Code and text, where it goes back because an account had too little."""
    last = next((one for one in reversed(rows.decisions) if one.what == "cancel"), None)
    return ("JL-T040", last.reason) if last is not None and last.who == _WHO else None
