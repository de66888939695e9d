"""A day of a hospital by its seed: four books that agree, and breaks planted in them, each with what must be found."""

from __future__ import annotations

import random
from collections.abc import Callable

from msgspec.structs import replace
from recon_parts import DAY

from router.reconcile.books import Books, Sum
from schemas.statements.row import DAY_MS, Row, begin_ms

Found = tuple[str, str, str]  # book, class, number
_BEGIN = begin_ms(DAY)
OLD = "^HX"


class World:
    """The books agree until something is planted. `expected` is what must be found, and nothing else."""

    def __init__(self, seed: int, count: int = 12) -> None:
        self.dice = random.Random(seed)
        self.channel: list[Row] = []
        self.ours: list[Row] = []
        self.his: list[Row] = []
        self.ledger: list[Row] = []
        self.centre: list[Row] = []
        self.insured: list[Row] = []  # the HIS's
        self.sums: list[Sum] = []
        self.expected: set[Found] = set()
        self._made = 0
        for _ in range(count):
            self.order()

    def order(self, at_ms: int = 0) -> int:
        """A payment in all books; every fourth goes back, in part or whole. Its place in `ours`."""
        self._made += 1
        n, dice = self._made, self.dice
        at_ms = at_ms or _BEGIN + dice.randrange(60_000, DAY_MS - 60_000)
        number, bill, fen = f"JL{n:06}", f"S{n:06}", dice.choice((100, 700, 3650, dice.randrange(1, 999_999)))
        row = Row(
            "wechat", "PAY", number, fen, at_ms, channel_no=f"42{n:010}", bill=bill, terminal=f"K{n % 5}"
        )
        place = len(self.ours)
        self._all(row, f"{bill}/pay")
        if n % 4 == 0:
            back = dice.randrange(1, fen + 1)
            self._all(
                replace(
                    row, kind="REFUND", number=f"R{number}", fen=back, channel_no=f"50{n:010}", order=number
                ),
                f"{bill}/back",
            )
        if n % 3 == 0:
            setl = Row("nhsa", "PAY", f"SETL{n}", fen * 2, at_ms, fund_fen=fen, account_fen=n)
            self.centre.append(replace(setl, at_ms=at_ms + dice.randrange(-900, 900)))
            self.insured.append(setl)
        return place

    def _all(self, row: Row, journal: str) -> None:
        self.ours.append(row)
        shown = replace(row, bill="", at_ms=row.at_ms + self.dice.randrange(-900, 900))
        self.channel.append(replace(shown, number="") if self.dice.random() < 0.1 else shown)
        self.his.append(replace(row, number="", channel_no=f"H{row.number}", terminal=""))
        self.ledger.append(Row("wechat", row.kind, journal, row.fen, row.at_ms + 500, bill=row.bill))

    def lose(self, rows: list[Row], wanted: Callable[[Row], bool]) -> Row:
        at = next(n for n, row in enumerate(rows) if wanted(row))
        return rows.pop(at)

    def swap(self, rows: list[Row], wanted: Callable[[Row], bool], **changed: object) -> None:
        at = next(n for n, row in enumerate(rows) if wanted(row))
        rows[at] = replace(rows[at], **changed)

    def fresh(self) -> Row:
        """A payment of its own to spoil: no refund, no insurance."""
        while (self._made + 1) % 4 == 0 or (self._made + 1) % 3 == 0:
            self.order()
        return self.ours[self.order()]

    def books(self, shuffled: bool = True) -> tuple[Books, Books]:
        """Of the channel, and of the insurance."""
        lists = [self.channel, self.ours, self.his, self.ledger, self.centre, self.insured]
        if shuffled:
            for one in lists:
                self.dice.shuffle(one)
        channel, ours, his, ledger, centre, insured = lists
        cash = Books("wechat", channel, ours, his=his, ledger=ledger, sums=self.sums, old=OLD)
        return cash, Books("nhsa", his=insured, insurance=centre)


def _same(row: Row) -> Callable[[Row], bool]:
    return lambda one: (
        one.kind == row.kind and (one.channel_no == row.channel_no or one.bill == row.bill != "")
    )


def long(w: World) -> None:
    row = w.fresh()
    for book in (w.ours, w.his, w.ledger):
        w.lose(book, _same(row))
    w.swap(w.channel, _same(row), number=row.number)
    w.expected.add(("channel", "long", row.number))


def short(w: World) -> None:
    row = w.fresh()
    w.lose(w.channel, _same(row))
    w.expected.add(("channel", "short", row.number))


def not_posted(w: World) -> None:
    row = w.fresh()
    w.lose(w.his, _same(row))
    w.expected.add(("his", "long", row.number))


def marked_by_hand(w: World) -> None:
    """F71, as a cashier does it: the HIS says paid, and nothing was."""
    row = w.fresh()
    for book in (w.ours, w.channel, w.ledger):
        w.lose(book, _same(row))
    w.expected.add(("his", "short", f"H{row.number}"))


def said_done(w: World) -> None:
    """F68: an operator marked it as paid; the ledger has it, and the HIS was told."""
    row = w.fresh()
    w.lose(w.channel, _same(row))
    w.swap(w.ours, _same(row), state="PENDING")
    w.expected |= {("channel", "status", row.number), ("ledger", "short", f"{row.bill}/pay")}


def not_booked(w: World) -> None:
    row = w.fresh()
    w.lose(w.ledger, lambda one: one.bill == row.bill)
    w.expected.add(("ledger", "long", row.number))


def amount(w: World) -> None:
    row = w.fresh()
    w.swap(w.channel, _same(row), fen=row.fen + w.dice.choice((1, 100, row.fen * 99)), number=row.number)
    w.expected.add(("channel", "amount", row.number))


def fen_for_yuan(w: World) -> None:
    row = w.fresh()
    w.swap(w.ledger, lambda one: one.bill == row.bill, fen=row.fen * 100)
    w.expected.add(("ledger", "amount", f"{row.bill}/pay"))


def status(w: World) -> None:
    """Paid after we had closed it."""
    row = w.fresh()
    w.swap(w.ours, _same(row), state="FAILED")
    w.lose(w.his, _same(row))
    w.lose(w.ledger, lambda one: one.bill == row.bill)
    w.expected.add(("channel", "status", row.number))


def strange_refund(w: World) -> None:
    row = w.fresh()
    number = f"X{row.number}"
    made = replace(
        row, kind="REFUND", number=number, channel_no=f"50X{number}", order=row.number, bill="", fen=1
    )
    w.channel.append(made)
    w.expected.add(("channel", "status", number))


def duplicate_payment(w: World) -> None:
    row = w.fresh()
    again = replace(row, number=f"{row.number}B", channel_no=f"{row.channel_no}B", at_ms=row.at_ms + 1)
    w.ours.append(again)
    w.channel.append(replace(again, bill=""))
    # The HIS was told once, and it was booked once.
    w.expected |= {("channel", "duplicate-payment", again.number), ("ledger", "amount", f"{row.bill}/pay")}
    w.expected.add(("his", "long", again.number))


def duplicate_refund(w: World) -> None:
    """A new number on a retry."""
    row = w.fresh()
    first = replace(
        row, kind="REFUND", number=f"R{row.number}", channel_no=f"50{row.number}", order=row.number
    )
    w._all(first, f"{row.bill}/back")
    w.swap(w.channel, _same(first), order=row.number)
    second = replace(
        first, number=f"R2{row.number}", channel_no=f"51{row.number}", bill="", at_ms=first.at_ms + 1000
    )
    w.channel.append(second)
    w.expected.add(("channel", "duplicate-refund", second.number))


def cross_day(w: World) -> None:
    while (w._made + 1) % 4 == 0 or (w._made + 1) % 3 == 0:
        w.order()
    row = w.ours[w.order(_BEGIN + DAY_MS - 2000)]
    w.swap(w.channel, _same(row), at_ms=_BEGIN + DAY_MS + 3000)
    w.expected.add(("channel", "cross-day", row.number))


def refund_pending(w: World) -> None:
    row = w.fresh()
    made = replace(
        row, kind="REFUND", number=f"R{row.number}", channel_no=f"50{row.number}", order=row.number
    )
    made = replace(made, state="PENDING")
    w.ours.append(made)
    w.channel.append(replace(made, bill=""))
    w.expected.add(("channel", "refund-pending", made.number))


def old_platform(w: World) -> None:
    row = w.fresh()
    w.channel.append(replace(row, number=f"HX{row.number}", channel_no=f"HX{row.number}", bill=""))
    w.expected.add(("channel", "old-platform", f"HX{row.number}"))


def _settled(w: World) -> str:
    """A settlement that both have alike, and nothing was done to."""
    touched = {number for _, _, number in w.expected}
    while True:
        both = {row.number for row in w.centre} & {row.number for row in w.insured}
        if left := sorted(both - touched):
            return w.dice.choice(left)
        w.order()


def insurance_only(w: World) -> None:
    number = _settled(w)
    w.lose(w.insured, lambda one: one.number == number)
    w.expected.add(("insurance", "insurance-only", number))


def his_only(w: World) -> None:
    number = _settled(w)
    w.lose(w.centre, lambda one: one.number == number)
    w.expected.add(("insurance", "his-only", number))


def insured_part(w: World) -> None:
    number = _settled(w)
    w.swap(w.centre, lambda one: one.number == number, fund_fen=7, account_fen=3)
    w.expected.add(("insurance", "amount", number))


def sums(w: World) -> None:
    for cls in ("deposit", "cash-box", "invoice", "fee", "bank"):
        w.sums.append(Sum(cls, f"{cls}-right", 500, 500, 500 if cls == "cash-box" else None))  # type: ignore[arg-type]
        w.sums.append(Sum(cls, f"{cls}-wrong", 500, 499))  # type: ignore[arg-type]
        w.expected.add(("sums", cls, f"{cls}-wrong"))


PLANTS = (
    *(
        long,
        short,
        not_posted,
        marked_by_hand,
        said_done,
        not_booked,
        amount,
        fen_for_yuan,
        status,
        strange_refund,
    ),
    *(duplicate_payment, duplicate_refund, cross_day, refund_pending, old_platform),
    *(insured_part, insurance_only, his_only, sums),
)
