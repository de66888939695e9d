"""A self-service terminal: a bank's POS with a memory of its own, a cash box that counts, and a program that crashes.

What it reports goes through `report`; what it does not report its POS and its box know all the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

CHINA = timezone(timedelta(hours=8))
Report = Callable[[dict[str, Any]], Awaitable[Mapping[str, Any]]]
_CUT_H = 23  # the hour at which a POS's day ends


@dataclass(slots=True)
class Sale:
    """A line of the POS's journal."""

    kind: str
    amount: Decimal
    trace: str
    reference: str
    at: datetime
    order: str
    refund: str = ""
    undone: bool = False


@dataclass(slots=True)
class Pos:
    """`declines` the next sales; `forgets` our number: its journal has no memo."""

    journal: list[Sale] = field(default_factory=list)
    declines: int = 0
    forgets: bool = False

    def sale(self, order: str, amount: Decimal, at: datetime) -> Sale | None:
        if self.declines:
            self.declines -= 1
            return None
        made = self._line("sale", amount, at, "" if self.forgets else order)
        return made

    def void(self, trace: str, refund: str, at: datetime) -> Sale | None:
        """Of the same day, whole, once."""
        sale = next((one for one in self.journal if (one.kind, one.trace) == ("sale", trace)), None)
        if sale is None or sale.undone or _day(sale.at) != _day(at):
            return None
        sale.undone = True
        made = self._line("void", sale.amount, at, sale.order)
        made.refund = refund
        return made

    def refund(self, reference: str, amount: Decimal, refund: str, at: datetime) -> Sale | None:
        sale = next((one for one in self.journal if one.reference == reference), None)
        if sale is None or sale.undone or amount > sale.amount:
            return None
        made = self._line("refund", amount, at, sale.order)
        made.refund = refund
        return made

    def balance(self) -> Decimal:
        """What cards were charged, less what went back."""
        signs = {"sale": 1, "void": -1, "refund": -1}
        return sum((signs[one.kind] * one.amount for one in self.journal), Decimal(0))

    def _line(self, kind: str, amount: Decimal, at: datetime, order: str) -> Sale:
        number = len(self.journal) + 1
        made = Sale(kind, amount, f"{number:06d}", f"2026{number:08d}", at, order)
        self.journal.append(made)
        return made


class Terminal:
    """`at` is its clock, which a test moves on."""

    def __init__(self, name: str, report: Report, at: datetime) -> None:
        self.name = name
        self.at = at
        self.pos = Pos()
        self.box = "B1"
        self.notes: list[Decimal] = []
        self._report = report

    async def start(self) -> Mapping[str, Any]:
        """Its first word: what the POS did last."""
        last = self.pos.journal[-1] if self.pos.journal else None
        return await self._say(event="started", last=None if last is None else self._told(last))

    async def charge(self, order: str, amount: str, crashes: bool = False) -> Mapping[str, Any]:
        """A sale; it crashes after the card was charged, and before it can say so."""
        sale = self.pos.sale(order, Decimal(amount), self.at)
        if crashes:
            return {}
        if sale is None:
            return await self._say(event="declined", order=order, response="51")
        return await self._say(event="charged", **{**self._told(sale), "order": order})

    async def insert(self, amount: str, order: str = "", times: int = 1) -> Mapping[str, Any]:
        """The box swallows a note, and its event comes so many times: 0 is a lost one."""
        self.notes.append(Decimal(amount))
        said: Mapping[str, Any] = {}
        note = {"box": self.box, "sequence": len(self.notes), "amount": amount, "order": order}
        for _ in range(times):
            said = await self._say(event="note", **note)
        return said

    async def cancel(self, order: str) -> Mapping[str, Any]:
        return await self._say(event="cancelled", order=order)

    async def tasks(self) -> list[dict[str, Any]]:
        """Does what it is told to do, and reports each. Answers what is still to be done."""
        for task in (await self._say(event="tasks"))["do"]:
            done = None
            if task["way"] == "void":
                done = self.pos.void(task["trace"], task["refund"], self.at)
            elif task["way"] == "refund":
                done = self.pos.refund(task["reference"], Decimal(task["amount"]), task["refund"], self.at)
            else:
                continue  # a window's
            event = "voided" if task["way"] == "void" else "refunded"
            said = {"refund": task["refund"], "response": "25"} if done is None else self._told(done)
            await self._say(event=event, **said)
        return list((await self._say(event="tasks"))["do"])

    async def close_box(self, counted: str = "", by: str = "P1", second: str = "P2") -> Mapping[str, Any]:
        journal = str(sum(self.notes, Decimal(0)))
        said = {"box": self.box, "last": len(self.notes), "journal": journal, "counted": counted or journal}
        return await self._say(event="box_closed", by=by, second=second, **said)

    async def _say(self, **said: Any) -> Mapping[str, Any]:
        return await self._report({"terminal": self.name, "at": self.at.isoformat(), **said})

    def _told(self, sale: Sale) -> dict[str, Any]:
        return {
            "kind": sale.kind,
            "response": "00",
            "amount": str(sale.amount),
            "at": sale.at.isoformat(),
            "trace": sale.trace,
            "reference": sale.reference,
            "batch": "000001",
            "card": "622848******0000",
            "order": sale.order,
            "refund": sale.refund,
        }


def _day(at: datetime) -> int:
    return (at + timedelta(hours=24 - _CUT_H)).toordinal()
