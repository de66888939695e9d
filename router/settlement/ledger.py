"""The ledger's accounts: what kind each is, and which of them never go below zero. Pure.

An account is called `kind:name` (`deposit:A1`). Entries are integer fen, above 0 on the side of debit. What an account
has is said on its own side: a deposit of 100.00 yuan is 10000, though its entries make -10000.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from channels.settling.accounts import ACCOUNTS, Account
from config.errors import JingluoError
from router.settlement.posting import Journal

Moves = Literal["in", "used", "refunded"]


class Floored(JingluoError):
    """JL-T040: a posting would bring an account below zero; nothing of its commit is written."""

    def __init__(self, accounts: Iterable[str]) -> None:
        self.accounts = frozenset(accounts)
        named = ", ".join(sorted(self.accounts))
        super().__init__("JL-T040", f"{named}: it would go below zero 余额不足")


class Movement(Struct, frozen=True):
    """One of a deposit: `fen` is above 0, but for one that takes back an earlier one."""

    journal: str
    settlement: str
    at_ms: int
    moves: Moves
    fen: int


class Deposit(Struct, frozen=True):
    """Of one admission, over some time: `opening_fen + in_fen - used_fen - refunded_fen = closing_fen`."""

    admission: str
    opening_fen: int
    in_fen: int
    used_fen: int
    refunded_fen: int
    closing_fen: int
    movements: tuple[Movement, ...] = ()


def kind_of(account: str, own: Mapping[str, Account] | None = None) -> Account | None:
    """None where nobody says what it is. `own` are those of a pipeline, by what stands before the first colon."""
    kind = account.partition(":")[0]
    return (own or {}).get(kind) or ACCOUNTS.get(kind)


def balance(account: str, fen: int, own: Mapping[str, Account] | None = None) -> int:
    """What an account has, of the sum of its entries.

    >>> balance("deposit:A1", -10000), balance("clearing:wechat", 1610)
    (10000, 1610)
    """
    kind = kind_of(account, own)
    return fen if kind is None or kind.type in ("asset", "expense") else -fen


def floors(journals: Iterable[Journal], own: Mapping[str, Account] | None = None) -> tuple[str, ...]:
    """Those of their accounts that never go below zero, in order."""
    touched = {entry.account for one in journals for entry in one.entries}
    return tuple(sorted(name for name in touched if (kind := kind_of(name, own)) and kind.floor))


def below(
    before: Mapping[str, int], journals: Iterable[Journal], own: Mapping[str, Account] | None = None
) -> frozenset[str]:
    """The accounts of `before`, each with the sum of its entries, that these would bring below zero, or further."""
    change = dict.fromkeys(before, 0)
    for one in journals:
        for entry in one.entries:
            if entry.account in change:
                change[entry.account] += entry.fen
    moved = {name: balance(name, fen, own) for name, fen in change.items()}
    return frozenset(
        name for name, fen in before.items() if moved[name] < 0 and balance(name, fen, own) + moved[name] < 0
    )


def without(journals: Sequence[Journal], accounts: Iterable[str]) -> tuple[Journal, ...]:
    """Those that touch none of these accounts."""
    left = frozenset(accounts)
    return tuple(one for one in journals if not any(entry.account in left for entry in one.entries))


def moves(journal: str, account: str, fen: int, others: Iterable[str]) -> tuple[Moves, int]:
    """What an entry of a deposit's account does, by the accounts on the other side of its journal.

    >>> moves("S1/paid/done", "deposit:A1", -10000, ["clearing:wechat"])
    ('in', 10000)
    >>> moves("S2/owe/done", "deposit:A1", 3000, ["liability:refund"])
    ('refunded', 3000)
    >>> moves("S2/offset/undone", "deposit:A1", -4000, ["transit:S2"])
    ('used', -4000)
    """
    back = journal.endswith("/undone")
    into = (fen < 0) != back
    if into:
        return "in", -fen
    out = any(other.partition(":")[0] in ("liability", "clearing", "cash", "bank") for other in others)
    return ("refunded" if out else "used"), fen


def deposit_of(admission: str, movements: Sequence[Movement], since_ms: int = 0) -> Deposit:
    """`movements` are all until the end of the time, in their order; those before `since_ms` make the opening."""
    before = [one for one in movements if one.at_ms < since_ms]
    shown = tuple(one for one in movements if one.at_ms >= since_ms)
    sums = {what: sum(one.fen for one in shown if one.moves == what) for what in ("in", "used", "refunded")}
    opening = sum(one.fen if one.moves == "in" else -one.fen for one in before)
    closing = opening + sums["in"] - sums["used"] - sums["refunded"]
    return Deposit(admission, opening, sums["in"], sums["used"], sums["refunded"], closing, shown)
