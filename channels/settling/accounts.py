"""The kinds of accounts that a ledger has, by what stands before the first colon of an account's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Type = Literal["asset", "liability", "income", "expense"]


class Account(NamedTuple):
    """`floor`: it never goes below zero, on its own side. A posting that would bring it there is refused."""

    type: Type
    floor: bool = False


# A pipeline may add to them, and say otherwise, by `accounts`.
ACCOUNTS: Mapping[str, Account] = {
    "deposit": Account("liability", floor=True),  # deposit:{admission}: what a patient paid in advance 预交金
    "transit": Account("liability"),  # transit:{settle_no}: what a settlement under way has in hand 在途
    "suspense": Account("liability"),  # money whose owner is not known yet 挂账
    "liability": Account("liability"),  # what is owed: refunds that are not out yet 应付
    "clearing": Account("asset"),  # clearing:{channel}: what a payment channel has for the hospital 待清算
    "receivable": Account("asset"),  # receivable:fund: what an insurance owes 应收
    "cash": Account("asset"),
    "bank": Account("asset"),
    "income": Account("income"),
    "expense": Account("expense"),  # fees of channels, what the hospital bears 费用
}
