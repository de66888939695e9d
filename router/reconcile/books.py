"""What is compared, and what comes of it. Pure values."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Struct, field

from schemas.statements.row import Row

# channel: the statement. his: the HIS's charge list. insurance: the centre's settlements. ledger: our journals.
# sums: what is compared by its total only (deposits, boxes, invoices, fees, the bank).
Book = Literal["channel", "his", "insurance", "ledger", "sums"]
# TRANSIT the other book may have it within two days. OPEN somebody must explain it. EXPLAINED somebody did, or it
# explains itself. RESOLVED the books agree by now.
ItemState = Literal["TRANSIT", "OPEN", "EXPLAINED", "RESOLVED"]


class Item(Struct, frozen=True):
    """A difference. `id` is the same each time that the same is found."""

    id: str
    system: str
    day: str  # of the row that it is about
    book: Book
    cls: str  # of classes.py
    state: ItemState
    theirs_fen: int  # 0 where they have none
    ours_fen: int
    number: str = ""  # ours
    channel_no: str = ""  # theirs
    bill: str = ""
    kind: str = ""
    text: str = ""
    other_day: str = ""  # the other party's, where it is another
    suggested: tuple[str, ...] = ()  # numbers that it may be: for people
    department: str = ""
    terminal: str = ""
    cashier: str = ""

    @property
    def fen(self) -> int:
        """What is in question."""
        return self.theirs_fen - self.ours_fen


class Sum(Struct, frozen=True):
    """Something that books have one amount of: a deposit account, a cash box, an invoice, a fee, a credit of the bank.

    `third_fen` is a third book's, where there is one: the device's journal of a cash box.
    """

    cls: (
        str  # deposit, cash-box, invoice, fee, bank; of the insurance's list insurance-only, his-only, amount
    )
    key: str
    theirs_fen: int
    ours_fen: int
    third_fen: int | None = None
    text: str = ""


class Books(Struct, frozen=True):
    """Of one system and its window of days. None: there is no such book to compare with."""

    system: str
    channel: Sequence[Row] | None = None
    ours: Sequence[Row] = ()
    his: Sequence[Row] | None = None
    insurance: Sequence[Row] | None = None
    ledger: Sequence[Row] | None = None
    sums: Sequence[Sum] | None = None
    paid: Mapping[str, int] = field(
        default_factory=dict
    )  # our number of an order: fen, of those outside the window
    old: str = ""  # regular expression of numbers that the platform before gave
    cut_h: int = 0  # of the channel's day


def item_id(system: str, book: str, cls: str, *key: str) -> str:
    """Q and 15 digits."""
    told = "\0".join((system, book, cls, *key)).encode("utf-8", "surrogatepass")
    return "Q" + hashlib.sha256(told).hexdigest()[:15].upper()
