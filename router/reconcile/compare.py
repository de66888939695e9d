"""Books to differences, each with its class. Pure: the day that it is today is said."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from router.reconcile.books import Book, Books, Item, ItemState, item_id
from router.reconcile.classes import CLASSES
from router.reconcile.matching import Pair, match, suggestions
from schemas.statements.row import Row, day_of, shifted

RETURNS = "RT"
TRANSIT_DAYS = 2  # T+2: then what the other book lacks is a break


class Compared:
    """All that was found of the rows from `first` to `last` (days, both inclusive); rows outside only answer them."""

    def __init__(self, books: Books, first: str, last: str, today: str) -> None:
        self.books, self.first, self.last, self.today = books, first, last, today
        self.items: dict[str, Item] = {}
        self.pairs: list[Pair] = []
        self._old = re.compile(books.old) if books.old else None
        if books.channel is not None:
            self._channel(books.channel, books.ours)
        if books.his is not None and books.insurance is None:
            self._his(books.his, books.ours)
        if books.insurance is not None:
            self._insurance(books.insurance, books.his or ())
        if books.ledger is not None:
            self._ledger(books.ledger, books.ours)
        self._doubled_payments(books.ours)
        self._sums()

    def _found(
        self,
        book: Book,
        cls: str,
        row: Row,
        *,
        theirs: Row | None = None,
        ours: Row | None = None,
        text: str = "",
        state: ItemState = "OPEN",
        near: Iterable[Row] = (),
    ) -> None:
        day = self._day(row, theirs is row)
        if not self.first <= day <= self.last:
            return
        made = item_id(self.books.system, book, cls, row.kind, row.number or row.channel_no)
        other = theirs if row is ours else ours
        other_day = self._day(other, other is theirs) if other is not None else ""
        self.items[made] = Item(
            id=made,
            system=self.books.system,
            day=day,
            book=book,
            cls=cls,
            state="EXPLAINED" if CLASSES[cls].auto else state,
            theirs_fen=theirs.fen if theirs else 0,
            ours_fen=ours.fen if ours else 0,
            number=row.number,
            channel_no=(theirs or row).channel_no,
            bill=(ours or row).bill or row.bill,
            kind=row.kind,
            text=text,
            other_day=other_day if other_day != day else "",
            suggested=tuple(one.number or one.channel_no for one in near),
            department=(ours or row).department,
            terminal=(ours or row).terminal,
            cashier=(ours or row).cashier,
        )

    def _day(self, row: Row, theirs: bool) -> str:
        return day_of(row.at_ms, self.books.cut_h if theirs else 0)

    def _waiting(self, row: Row, theirs: bool = False) -> ItemState:
        """Of a row that the other book lacks."""
        return "TRANSIT" if self.today < shifted(self._day(row, theirs), TRANSIT_DAYS) else "OPEN"

    def _channel(self, theirs: Sequence[Row], ours: Sequence[Row]) -> None:
        matched = match(theirs, ours)
        self.pairs = matched.pairs
        for pair in matched.pairs:
            self._pair("channel", pair)
        expected = [row for row in matched.ours if row.state in ("DONE", "PENDING")]
        doubled = self._doubled_refunds(theirs, ours)
        known = {row.number for row in ours if row.kind == "PAY"} | set(self.books.paid)
        for row in matched.theirs:
            if (row.kind == "REFUND" and row.order in doubled) or row.state == "FAILED":
                continue
            if self._old is not None and self._old.search(row.order or row.number):
                self._found("channel", "old-platform", row, theirs=row)
            elif row.kind == "REFUND" and row.order in known:
                text = "the statement has a refund of our order that we lack 对账单有退款，本方无"
                self._found("channel", "status", row, theirs=row, text=text, state=self._waiting(row, True))
            else:
                near = suggestions(row, expected)
                self._found("channel", "long", row, theirs=row, state=self._waiting(row, True), near=near)
        for row in expected:
            state = self._waiting(row)
            if row.state == "DONE":
                near = suggestions(row, matched.theirs)
                self._found("channel", "short", row, ours=row, state=state, near=near)
            else:
                text = "nobody knew whether, and the statement has none 本方未知，对账单无"
                self._found("channel", "status", row, ours=row, text=text, state=state)

    def _pair(self, book: Book, pair: Pair) -> None:
        theirs, ours = pair.theirs, pair.ours
        if theirs.fen != ours.fen:
            self._found(book, "amount", ours, theirs=theirs, ours=ours)
        if theirs.state == "PENDING" and theirs.kind == "REFUND" and ours.state != "DONE":
            self._found(book, "refund-pending", ours, theirs=theirs, ours=ours)
        elif theirs.state == "PENDING" and ours.state == "DONE":
            # A statement's state is of the moment it was made: ours is later and by evidence.
            pass
        elif theirs.state != ours.state:
            text = f"they say {theirs.state}, we {ours.state} 状态不符"
            self._found(book, "status", ours, theirs=theirs, ours=ours, text=text)
        if self._day(theirs, True) != self._day(ours, False):
            self._found(book, "cross-day", ours, theirs=theirs, ours=ours)

    def _doubled_refunds(self, theirs: Sequence[Row], ours: Sequence[Row]) -> set[str]:
        """Orders of which more went back than was paid, by the statement."""
        paid = dict(self.books.paid)
        for row in (*ours, *theirs):
            if row.kind == "PAY":
                paid.setdefault(row.number, row.fen)
        back: dict[str, list[Row]] = defaultdict(list)
        for row in theirs:
            if row.kind == "REFUND" and row.order and row.state in ("DONE", "PENDING"):
                back[row.order].append(row)
        found = set()
        for order, rows in back.items():
            total = sum(row.fen for row in rows)
            if order in paid and total > paid[order]:
                found.add(order)
                last = max(rows, key=lambda row: (row.at_ms, row.number))
                text = f"{total} fen went back of {paid[order]}, in {len(rows)} refunds 退款合计超过支付"
                self._found("channel", "duplicate-refund", last, theirs=last, text=text)
        return found

    def _doubled_payments(self, ours: Sequence[Row]) -> None:
        """One bill, one amount, two orders with money that did not go back."""
        back: dict[str, int] = defaultdict(int)
        for row in ours:
            if row.kind == "REFUND" and row.state in ("DONE", "PENDING"):
                back[row.order] += row.fen
        paid: dict[tuple[str, int], list[Row]] = defaultdict(list)
        for row in ours:
            if row.kind == "PAY" and row.state == "DONE" and row.bill and back.get(row.number, 0) < row.fen:
                paid[row.bill, row.fen].append(row)
        for rows in paid.values():
            # What was closed first goes back, whenever it was paid: its settlement counted the other.
            first, *later = sorted(
                rows, key=lambda row: (row.facts.get("after_close", 0), row.at_ms, row.number)
            )
            for row in later:
                text = f"{first.number} had paid it 该单据已支付"
                self._found("channel", "duplicate-payment", row, ours=row, text=text)

    def _his(self, his: Sequence[Row], ours: Sequence[Row]) -> None:
        """The HIS's list of charges by this channel. What it names by its own trace number is found by its bill."""
        done = [row for row in ours if row.state in ("DONE", "PENDING")]
        mine = [row for row in his if row.system == self.books.system]
        matched = match(mine, done)
        by_bill: dict[tuple[str, str, int], list[Row]] = defaultdict(list)
        for row in sorted(
            matched.ours, key=lambda row: (-row.at_ms, row.number)
        ):  # the earliest is taken first
            if row.bill:
                by_bill[row.kind, row.bill, row.fen].append(row)
        taken = set()
        for pair in matched.pairs:
            if pair.theirs.fen != pair.ours.fen:
                self._found("his", "amount", pair.ours, theirs=pair.theirs, ours=pair.ours)
        for row in matched.theirs:
            if same := by_bill.get((row.kind, row.bill, row.fen)):
                taken.add(id(same.pop()))
                continue
            text = "the HIS has it, we lack it HIS有，平台无"
            self._found("his", "short", row, theirs=row, text=text, state=self._waiting(row))
        left = [row for row in matched.ours if id(row) not in taken and row.state == "DONE"]
        nothing = _given_back(left)  # a HIS that never heard of it has neither
        for row in left:
            if _order(row) not in nothing:
                text = "we have it, the HIS lacks it 平台有，HIS无"
                self._found("his", "long", row, ours=row, text=text, state=self._waiting(row))

    def _insurance(self, centre: Sequence[Row], his: Sequence[Row]) -> None:
        matched = match(centre, [row for row in his if row.system == self.books.system])
        for pair in matched.pairs:
            theirs, ours = pair.theirs, pair.ours
            if _parts(theirs) != _parts(ours):
                self._found("insurance", "amount", ours, theirs=theirs, ours=ours)
        for row in matched.theirs:
            self._found("insurance", "insurance-only", row, theirs=row, state=self._waiting(row))
        for row in matched.ours:
            self._found("insurance", "his-only", row, ours=row, state=self._waiting(row))

    def _ledger(self, ledger: Sequence[Row], ours: Sequence[Row]) -> None:
        """By settlement and kind: what the journals booked through this channel, and what orders show."""
        booked, shown = _by_bill(ledger, ("DONE",)), _by_bill(ours, ("DONE",))
        orders = {row.number: row for row in ours if row.kind == "PAY"}
        for key, row in booked.items():
            # What came after its end is booked by the settlement that gives it back: RT and the order's number.
            late = orders.get(row.bill.removeprefix(RETURNS)) if row.bill.startswith(RETURNS) else None
            if late is not None and late.bill and key[0] == "PAY":
                shown.setdefault(key, shown.pop(("PAY", late.bill), late))
            other = shown.get(key)
            if other is None:
                text = "the ledger has it, and no order shows it 账上有，无支付凭据"
                self._found("ledger", "short", row, ours=row, text=text, state=self._waiting(row))
            elif other.fen != row.fen:
                self._found("ledger", "amount", row, theirs=other, ours=row)
        for key, row in shown.items():
            if key not in booked:
                text = "an order shows it, and the ledger lacks it 有支付凭据，账上无"
                self._found("ledger", "long", row, theirs=row, text=text, state=self._waiting(row))

    def _sums(self) -> None:
        for one in self.books.sums or ():
            if one.theirs_fen == one.ours_fen and one.third_fen in (None, one.ours_fen):
                continue
            third = f", a third book {one.third_fen} fen" if one.third_fen is not None else ""
            text = f"{one.text} {one.theirs_fen} against {one.ours_fen} fen{third}".strip()
            made = item_id(self.books.system, "sums", one.cls, one.key, self.last)
            self.items[made] = Item(
                made,
                self.books.system,
                self.last,
                "sums",
                one.cls,
                "OPEN",
                one.theirs_fen,
                one.ours_fen,
                number=one.key,
                text=text,
            )


def compare(books: Books, first: str, last: str, today: str) -> list[Item]:
    """Oldest first."""
    return sorted(Compared(books, first, last, today).items.values(), key=lambda one: (one.day, one.id))


def _parts(row: Row) -> tuple[int, int, int]:
    return row.fen, row.fund_fen, row.account_fen


def _order(row: Row) -> str:
    return row.order or row.number


def _given_back(rows: Sequence[Row]) -> set[str]:
    """Orders whose payment went back whole."""
    left: dict[str, int] = defaultdict(int)
    for row in rows:
        left[_order(row)] += row.fen if row.kind == "PAY" else -row.fen
    return {order for order, fen in left.items() if not fen}


def _by_bill(rows: Iterable[Row], states: tuple[str, ...]) -> dict[tuple[str, str], Row]:
    """A settlement's payments as one row, its refunds as another."""
    found: dict[tuple[str, str], Row] = {}
    for row in _of_bills(rows, states):
        key = (row.kind, row.bill)
        there = found.get(key)
        found[key] = row if there is None else _added(there, row)
    return found


def _of_bills(rows: Iterable[Row], states: tuple[str, ...]) -> Iterator[Row]:
    return (row for row in rows if row.bill and row.state in states)


def _added(one: Row, other: Row) -> Row:
    return replace(one, fen=one.fen + other.fen, at_ms=min(one.at_ms, other.at_ms))
