"""What operators see of the ledger, as the API answers it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class WrongJournal(BaseModel):
    """`journal` is '' where a settlement's book as a whole is meant."""

    settlement: str
    journal: str
    what: Literal["changed", "missing", "reordered", "unbalanced", "strange"]
    text: str


class Proved(BaseModel):
    """Of some settlements. `after` is where the next page begins, '' after the last."""

    found: list[WrongJournal]
    settlements: int
    journals: int
    after: str


class Moved(BaseModel):
    """A movement of a deposit. Times are Unix milliseconds."""

    journal: str
    settlement: str
    at_ms: int
    moves: Literal["in", "used", "refunded"]
    fen: int


class DepositShown(BaseModel):
    """Of one admission: opening + in - used - refunded = closing."""

    admission: str
    opening_fen: int
    in_fen: int
    used_fen: int
    refunded_fen: int
    closing_fen: int
    movements: list[Moved]
