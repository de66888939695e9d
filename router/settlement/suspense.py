"""Money that waits for a person: an item for each settlement that is SUSPENDED, or that ended and left money. Pure.

Others open items too, of orders that nobody knows. Amounts are integer fen, times Unix milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from channels.settling.accounts import Account
from config.errors import JingluoError
from router.settlement.ledger import balance
from router.settlement.posting import CLOSED, Entry, Journal
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


def own_accounts(number: str) -> tuple[str, ...]:
    """Those of one settlement alone, in the order in which an item names them.

    >>> own_accounts("R1")
    ('transit:R1', 'liability:R1', 'suspense:R1')
    """
    return tuple(f"{kind}:{number}" for kind in ("transit", "liability", "suspense"))


def held(
    number: str, sums: Mapping[str, int], state: State | None, own: Mapping[str, Account] | None = None
) -> tuple[str, int]:
    """The account in which a settlement has money, and how much: at an end its transit account alone. `sums` are those
    of the entries of its own accounts."""
    accounts = own_accounts(number)
    amounts = [(name, balance(name, sums.get(name, 0), own)) for name in accounts]
    return next((one for one in amounts if one[1]), amounts[0]) if state == "SUSPENDED" else amounts[0]


def class_of(code: str) -> str:
    """Of why a settlement is SUSPENDED."""
    return CLASSES.get(code, "other")


def followed(
    open: Sequence[Item], state: State | None, code: str, account: str, fen: int
) -> tuple[list[tuple[str, str]], str | None]:
    """What becomes of a settlement's items with its new state: those to close, each with by what, and the class of one
    to open. `fen` is what `account` has."""
    if state != "SUSPENDED" and state not in ENDED:
        return [], None
    cls = class_of(code) if state == "SUSPENDED" else (LEFT if fen else None)
    wanted = (cls, account, fen)
    mine = [one for one in open if one.cls != AFTER_END]
    by = _AGAIN if cls else str(state)
    closed = [(one.id, by) for one in mine if (one.cls, one.account, one.fen) != wanted]
    return closed, None if len(closed) < len(mine) else cls


def closing(item: Item, to: str) -> Journal:
    """What brings an item's money to another account: one that ends it, whoever says so twice.

    >>> closing(Item("order:w/1/1", "order:w/1", "suspense:w", 700, "unknown-order", "w", 0), "clearing:w").entries
    (Entry(account='suspense:w', fen=700), Entry(account='clearing:w', fen=-700))
    """
    fen = item.fen if balance(item.account, -1) > 0 else -item.fen
    number = item.id.rpartition("/")[2]
    return Journal(
        f"{item.book}/item.{number}/{CLOSED}", item.book, (Entry(item.account, fen), Entry(to, -fen))
    )
