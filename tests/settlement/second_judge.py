"""The second judge of a seed: what each party has in its own book, reconciled with attempts and ledger. Pure.

M1 to M3 are sums of those books; M11 is that the product's comparison (`router/reconcile/compare.py`) finds nothing
that is not explained, and every break that is planted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from channels.settling.model import Definition
from router.reconcile.books import Books, Item
from router.reconcile.compare import compare
from router.settlement.facts import kept
from router.settlement.invariants import Held
from router.settlement.posting import fen
from router.settlement.progress import Progress, Way, progress_of
from router.settlement.rows import Place
from schemas.statements.row import Kind, Row, State, day_of, shifted
from tests.settlement.simulated import Moved

CASH, FUND, HIS = "wechat", "insurance", "his"
_ACCOUNTS = ((CASH, "clearing:wechat", 1), (FUND, "receivable:fund", 1), (HIS, "income:his", -1))
MISSED = "M11 planted and not found"
_LATER = 3  # days after the end: nothing is in transit any more


class Planted(Struct, frozen=True):
    """Books with one break, and the classes of which one must be found."""

    what: str
    books: list[Books]
    classes: tuple[str, ...]


def books_of(definition: Definition, held: Held, moved: Sequence[Moved]) -> list[Books]:
    """Payment channel, insurance centre and HIS, each against what the settlement says.

    What a centre or the HIS took back stands in no list of theirs; a channel's statement has payment and refund.
    """
    bill = held.settlement.number
    cash = _theirs(bill, moved, CASH, "pay", lambda asked: asked["preset"]["cash"])
    centre = _live(_theirs(bill, moved, FUND, "settle", lambda asked: asked["preset"]["fund"]))
    charged = _live(_theirs(bill, moved, CASH, "post", lambda asked: asked["settle"]["cash"]))
    insured = _live(_theirs(bill, moved, FUND, "post", lambda asked: asked["settle"]["fund"]))
    posted = _live(_theirs(bill, moved, HIS, "post", lambda asked: asked["total"]))
    ours = _ours(definition, held)
    ledger = {of: _ledger(held, of, account, sign) for of, account, sign in _ACCOUNTS}
    return [
        Books(CASH, channel=cash, ours=ours, ledger=ledger[CASH]),
        Books(CASH, his=charged, ours=_live(ours)),
        Books(FUND, insurance=_by_bill(centre), his=_by_bill(insured)),
        Books(FUND, ledger=_live(ledger[FUND]), ours=centre),
        Books(HIS, ledger=_live(ledger[HIS]), ours=posted),
    ]


def differences(books: Sequence[Books], began_ms: int, ended_ms: int) -> list[Item]:
    """What somebody must explain, once all statements are there."""
    first, last = day_of(began_ms), shifted(day_of(ended_ms), _LATER)
    found = [one for of in books for one in compare(of, first, last, last)]
    return [one for one in found if one.state == "OPEN"]


def unexplained(found: Sequence[Item], held: Held, unheard: bool) -> list[str]:
    """M11. `unheard`: money came for a closed order and nobody heard of it; then the statement must show it. What is
    SUSPENDED explains what its suspense item has the amount of."""
    waiting = [one.fen for one in held.items] if held.settlement.state == "SUSPENDED" else []
    left = [one for one in found if not one.fen or abs(one.fen) not in waiting]
    of_strangers = (CASH, "channel", "long", "PAY")
    late = [one for one in left if (one.system, one.book, one.cls, one.kind) == of_strangers]
    if unheard:
        left = [one for one in left if one not in late[:1]]
    told = [] if late or not unheard else ["M11 the statement lacks money that nobody heard of"]
    return told + [
        f"M11 {one.system} {one.book} {one.cls} {one.theirs_fen} against {one.ours_fen} fen" for one in left
    ]


def sums(definition: Definition, held: Held, moved: Sequence[Moved], unheard: bool) -> Iterator[str]:
    """M1, M2 of what is COMPLETED; M3 of each end."""
    rows, state = held.settlement.rows, held.settlement.state
    cash = _theirs(rows.number, moved, CASH, "pay", lambda asked: asked["preset"]["cash"])
    got = sum(row.signed_fen for row in cash)
    if state in ("COMPENSATED", "REJECTED") and got and not unheard:
        yield f"M3 {got} fen more were paid than went back"
    if state != "COMPLETED":
        return
    facts = kept(definition, rows)
    lines = [_signed(one, one.body["item"]["amount"]) for one in moved if one.what.startswith("fees")]
    bills = [fen(one["amount"]) for one in rows.request["bills"]]
    totals = [sum(lines), sum(bills), fen(facts["preset"]["total"]), fen(facts["settle"]["total"])]
    if len(set(totals)) > 1:
        yield f"M1 fee lines, bills, preset, settled: {totals} fen"
    for name in ("preset", "settle"):
        parts = [fen(facts[name].get(part)) for part in ("fund", "account", "cash")]
        if sum(parts) != fen(facts[name]["total"]):
            yield f"M2 {name}: {parts} fen are not its total"
    if got != fen(facts["settle"]["cash"]):
        yield f"M3 {got} fen were paid, {facts['settle']['cash']} are due"


def planted(books: Sequence[Books], found: Sequence[Item] = ()) -> Iterator[Planted]:
    """Breaks, one at a time, in rows of which nothing is `found` yet."""
    channel, charged, insured, *others = books
    cash, ledger = list(channel.channel or ()), list(channel.ledger or ())
    stranger = Row(CASH, "PAY", "S9/pay", 1610, 1_000_000, channel_no="9")

    def of(changed: Books) -> list[Books]:
        return [changed, charged, insured, *others]

    yield Planted("a payment that we lack", of(replace(channel, channel=[*cash, stranger])), ("long",))
    known = {one.number for one in found}
    for at, row in enumerate(cash):
        if row.number in known:
            continue
        other = replace(row, fen=row.fen + 1)
        yield Planted(
            "another amount",
            of(replace(channel, channel=_with(cash, at, other))),
            ("amount", "duplicate-refund"),
        )
        yield Planted("not in the statement", of(replace(channel, channel=_with(cash, at))), ("short",))
        if row.kind == "REFUND":
            again = [*cash, replace(row, number=f"{row.number}/again", channel_no="")]
            yield Planted("a refund doubled", of(replace(channel, channel=again)), ("duplicate-refund",))
    for at, _ in enumerate(ledger):
        yield Planted("not in the ledger", of(replace(channel, ledger=_with(ledger, at))), ("long",))
    for at, row in enumerate(insured.insurance or ()):
        centre = list(insured.insurance or ())
        less = replace(
            insured, insurance=_with(centre, at, replace(row, fund_fen=row.fund_fen - 1, fen=row.fen - 1))
        )
        yield Planted("another fund", [channel, charged, less, *others], ("amount",))
        gone = replace(insured, insurance=_with(centre, at))
        yield Planted("not at the centre", [channel, charged, gone, *others], ("his-only",))
    for at, _ in enumerate(charged.his or ()):
        gone = replace(charged, his=_with(list(charged.his or ()), at))
        yield Planted("not in the HIS", [channel, gone, insured, *others], ("long",))


def missed(books: Sequence[Books], began_ms: int, ended_ms: int) -> tuple[int, list[str]]:
    """How many breaks were planted, and those that reconciliation did not find."""
    before = differences(books, began_ms, ended_ms)
    told, count = [], 0
    for one in planted(books, before):
        count += 1
        new = [item for item in differences(one.books, began_ms, ended_ms) if item not in before]
        if not any(item.cls in one.classes for item in new):
            told.append(f"{MISSED}: {one.what}")
    return count, told


def _theirs(
    bill: str, moved: Sequence[Moved], system: str, what: str, yuan: Callable[[Any], Any]
) -> list[Row]:
    """A party's book. Its own numbers are those of its lines."""
    rows: list[Row] = []
    order = ""
    for number, one in enumerate(moved, 1):
        if one.what != what:
            continue
        kind: Kind = "REFUND" if one.back else "PAY"
        order = order if one.back else f"{bill}/{one.key}"
        rows.append(
            Row(
                system,
                kind,
                f"{bill}/{one.key}",
                fen(yuan(one.body)),
                one.at_ms,
                channel_no=str(number),
                order=order if one.back else "",
                bill=bill,
            )
        )
    return rows


def _ours(definition: Definition, held: Held) -> list[Row]:
    """What attempts and notices say of the money, as an order and its refund."""
    rows = held.settlement.rows
    progress = progress_of(rows)
    steps = {step.name: step for step in definition.steps}
    name = "paid" if "paid" in steps else "pay"
    made, one = progress.get(Place("pay")), progress.get(Place(name))
    if made is None or made.do.last is None or one is None:
        return []
    standing = one.standing(steps[name])
    state: State = "DONE" if standing in ("OK", "UNDONE") else "PENDING"
    if standing not in ("OK", "UNDONE", "OPEN"):
        return []
    bill, amount = rows.number, fen(kept(definition, rows)["preset"]["cash"])
    order = f"{bill}/{made.do.last.key}"
    found = [Row(CASH, "PAY", order, amount, _at_ms(one.do, made), state, bill=bill)]
    back = one.undoing(steps[name])
    if back in ("OK", "OPEN") and one.undo.last is not None:
        state = "DONE" if back == "OK" else "PENDING"
        number, at_ms = f"{bill}/{one.undo.last.key}", _at_ms(one.undo, made)
        found.append(Row(CASH, "REFUND", number, amount, at_ms, state, order=order, bill=bill))
    return found


def _at_ms(way: Way, made: Progress) -> int:
    """When it was last heard of."""
    if way.told is not None:
        return way.told.at_ms
    asked = [*way.calls, *way.probes] or [*made.do.calls]
    return asked[-1].ended_ms or asked[-1].began_ms


def _ledger(held: Held, system: str, account: str, sign: int) -> list[Row]:
    """As the product reads it: a row for what each journal did to the account."""
    rows = []
    for one in held.journals:
        amount = sign * sum(entry.fen for entry in one.entries if entry.account == account)
        if amount:
            kind: Kind = "PAY" if amount > 0 else "REFUND"
            rows.append(
                Row(system, kind, one.id, abs(amount), held.settlement.rows.began_ms, bill=one.settlement)
            )
    return rows


def _live(rows: Sequence[Row]) -> list[Row]:
    """Payments that did not go back: each refund takes the last one before it; one too many stays."""
    left: list[Row] = []
    for row in rows:
        if row.kind == "REFUND" and left and (left[-1].kind, left[-1].fen) == ("PAY", row.fen):
            left.pop()
        else:
            left.append(row)
    return left


def _by_bill(rows: Sequence[Row]) -> list[Row]:
    """Under the settlement's number, which centre and HIS both know."""
    return [replace(row, number=row.bill, fund_fen=row.fen) for row in rows]


def _signed(one: Moved, yuan: Any) -> int:
    return -fen(yuan) if one.back else fen(yuan)


def _with(rows: Sequence[Row], at: int, *instead: Row) -> list[Row]:
    return [*rows[:at], *instead, *rows[at + 1 :]]
