"""What the ledger has of a settlement: a journal for each step that is done, and its reverse once it is undone. Pure.

Amounts are integer fen. A journal's id follows from settlement, step and kind: written twice it is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from channels.settling.checking import number
from channels.settling.model import Definition, Facts, Step
from router.settlement.commands import Call, Command, End
from router.settlement.facts import Known
from router.settlement.progress import progress_of
from router.settlement.rows import Place, Rows, State

CLOSED = "closed"  # of a journal that a person's word made, of a suspense item


class NoAmount(ValueError):
    """A posting whose amount is no number of fen: nothing of it is written."""


class Entry(Struct, frozen=True):
    """`fen` above 0 on the side of `debit`, the same below 0 on that of `credit`: a journal's sum is 0."""

    account: str
    fen: int


class Journal(Struct, frozen=True):
    """Balanced entries of one event."""

    id: str  # S1/settle/done, S1/fees.3/undone
    settlement: str
    entries: tuple[Entry, ...]


def booked(definition: Definition, rows: Rows, command: Command) -> tuple[Journal, ...]:
    """All that must be in the books when `command` is carried out. Raises NoAmount and TooMany."""
    reached = command.place if isinstance(command, Call) else None
    ended = command.state if isinstance(command, End) else "RUNNING"
    return tuple(journals(definition, rows, reached, ended))


def may_post(definition: Definition, rows: Rows) -> bool:
    """Whether there may be a journal already: quicker than to make them."""
    if rows.notices or any(one.place is not None for one in rows.decisions):
        return True
    done = {one.place.step for one in rows.attempts if one.outcome == "OK"}
    asks = {step.name for step in definition.steps if step.do is not None or step.wait is not None}
    return any(step.post and (step.name in done or step.name not in asks) for step in definition.steps)


def journals(
    definition: Definition, rows: Rows, reached: Place | None = None, state: State = "RUNNING"
) -> Iterator[Journal]:
    """All that must be in the books by now, in the order of the steps. Raises NoAmount and TooMany.

    A step that asks nobody posts once a step behind it is tried (`reached`: is about to be), so that what it keeps for
    that is in the books before anything leaves; it is taken back with the whole.
    """
    known = Known(definition, rows, progress_of(rows))
    passed = _passed(definition, rows, reached, state)
    for at, step in enumerate(definition.steps):
        if step.when is not None and not step.when(known.facts):
            continue
        left = False
        for place, facts in known.places(step):
            progress = known.of(place)
            standing = progress.standing(step)
            if step.do is None and any(one.outcome == "OK" for one in progress.do.probes):
                standing = "OK"  # what it waited for was seen
            if standing not in ("OK", "UNDONE"):
                if step.apart:
                    left = True
                    continue
                if step.do is not None or at >= passed:
                    return
                if step.wait is not None:  # it went on without
                    continue
            known.learn(step, place)
            entries = tuple(_entries(step, {**facts, **known.facts}))
            if not entries:
                continue
            yield Journal(_id(rows, place, "done"), rows.number, entries)
            if state in ("COMPENSATED", "REJECTED") and step.do is None:
                standing = "UNDONE"
            if standing == "UNDONE":
                back = tuple(Entry(one.account, -one.fen) for one in entries)
                yield Journal(_id(rows, place, "undone"), rows.number, back)
        if left:
            return


def _passed(definition: Definition, rows: Rows, reached: Place | None, state: State) -> int:
    """How many of the steps somebody went past: those before the last that was tried."""
    if state == "COMPLETED":
        return len(definition.steps)
    order = {step.name: at for at, step in enumerate(definition.steps)}
    places = [one.place for one in rows.attempts] + ([reached] if reached is not None else [])
    return max((order.get(place.step, -1) for place in places), default=-1)


def _entries(step: Step, facts: Facts) -> Iterator[Entry]:
    for posting in step.post:
        amount = fen(posting.amount(facts), step.name)
        if amount:
            yield Entry(posting.debit(facts), amount)
            yield Entry(posting.credit(facts), -amount)


def fen(yuan: Any, where: str = "") -> int:
    """Yuan to fen, exactly. Raises NoAmount where it is none, or has parts of a fen.

    >>> fen("36.50"), fen(Decimal("0.1")), fen(None)
    (3650, 10, 0)
    """
    if yuan is None:
        return 0
    amount = number(yuan)
    if amount is None or amount * 100 != (amount * 100).to_integral_value():
        raise NoAmount(f"{where}: an amount is no number of fen 金额无效")
    return int(amount * 100)


def step_of(journal: Journal) -> str:
    """The name of the step that it is of.

    >>> step_of(Journal("S1/fees.3/undone", "S1", ()))
    'fees'
    """
    return journal.id[len(journal.settlement) + 1 :].rpartition("/")[0].partition(".")[0]


def _id(rows: Rows, place: Place, what: str) -> str:
    item = f".{place.item}" if place.item else ""
    return f"{rows.number}/{place.step}{item}/{what}"
