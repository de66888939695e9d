"""Money that waits for a person: an item for each settlement that is SUSPENDED, or that ended and left money. Pure.

Others open items too, of orders that nobody knows. Amounts are integer fen, times Unix milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from config.errors import JingluoError
from router.settlement.rows import ENDED, State

LEFT = "left"  # of a settlement that ended, and whose transit account is not empty
AFTER_END = "after-end"  # a notice that came when all was undone
CLASSES: Mapping[str, str] = {
    "JL-T001": "difference",
    "JL-T002": "refused",
    "JL-T003": "late",
    "JL-T004": "not-undone",
    "JL-T005": "unknown",
    "JL-T006": "pipeline",
    "JL-T007": "pipeline",
    "JL-T040": "floor",
}
_AGAIN = "again"  # closed by another item of the same settlement


class NoItem(JingluoError):
    """JL-T041: no such item, or it is closed."""


class Item(Struct, frozen=True):
    """`book` is a settlement's number, or an order's: `order:wechat/20260105001`. `fen` is what waits, on the account's
    own side."""

    id: str
    book: str
    account: str
    fen: int
    cls: str
    party: str
    opened_ms: int
    closed_ms: int = 0  # 0 while it is open
    closed_by: str = ""
    text: str = ""


class Aged(Struct, frozen=True):
    """How many items of a party are open, and how much they are, by age: of less than an hour, a day, a week; older."""

    party: str
    age: str
    count: int
    fen: int


def class_of(code: str) -> str:
    """Of why a settlement is SUSPENDED."""
    return CLASSES.get(code, "other")


def followed(
    open: Sequence[Item], state: State | None, code: str, fen: int
) -> tuple[list[tuple[str, str]], tuple[str, int] | None]:
    """What becomes of a settlement's items with its new state: those to close, each with by what, and class and amount
    of one to open. `fen` is what its transit account has."""
    if state != "SUSPENDED" and state not in ENDED:
        return [], None
    wanted = (class_of(code), fen) if state == "SUSPENDED" else ((LEFT, fen) if fen else None)
    mine = [one for one in open if one.cls != AFTER_END]
    closed = [(one.id, _AGAIN if wanted else str(state)) for one in mine if (one.cls, one.fen) != wanted]
    stands = any((one.cls, one.fen) == wanted for one in open)
    return closed, None if stands else wanted
