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


class Waits(BaseModel):
    """A suspense item: `fen` is what waits, `book` a settlement's number or an order's. Times are Unix milliseconds;
    `closed_ms` is 0 while it is open."""

    id: str
    book: str
    account: str
    fen: int
    cls: str
    party: str
    opened_ms: int
    closed_ms: int
    closed_by: str
    text: str


class WaitsLong(BaseModel):
    """How many items of a party are open, and how much they are: `age` is <1h, <1d, <7d or >=7d."""

    party: str
    age: str
    count: int
    fen: int


class Unsound(BaseModel):
    """What must hold and did not, of a settlement or an account; `rule` is M4 to M10, or stuck. `closed_ms` is 0 as
    long as it is so."""

    book: str
    rule: str
    found_ms: int
    closed_ms: int
    text: str


class Checked(BaseModel):
    """How many settlements, and what does not hold. `after` is where the next page begins, '' after the last."""

    settlements: int
    found: list[Unsound]
    after: str


class Suspended(BaseModel):
    """What waits for a person: by party and age, and each."""

    aged: list[WaitsLong]
    items: list[Waits]


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
