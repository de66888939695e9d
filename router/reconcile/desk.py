"""A site's reconciliation: statements are taken, days compared, differences explained, days signed."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from config.errors import BadMessage, Refused
from endpoints.payment.records import Payments
from router.reconcile import ours as own
from router.reconcile import reporting
from router.reconcile.books import Books, Item, Sum
from router.reconcile.classes import CLASSES
from router.reconcile.compare import compare
from router.reconcile.kept import Event, Kept, Run, Signature, Source, Statement
from router.reconcile.reports import Day
from router.reconcile.resolving import Resolver
from schemas.statements.forms import CUTS, read_statement
from schemas.statements.row import DAY_MS, Row, Wanted, begin_ms, day_of, shifted
from schemas.statements.sums import said

WINDOW = 2  # days before and after
_MOST_LOOKUPS = 20_000  # rows of one statement that are looked for by their keys, each by itself
BOOKS = ("channel", "his", "insurance", "ledger", "sums")
HIS = "his"  # what the HIS's charge lists are kept under

# What the ledger booked by a system's accounts between two times, as rows; None where it books nothing there.
Booked = Callable[[str, tuple[str, ...], int, int], Awaitable[Sequence[Row] | None]]
# What the ledger has of an admission's deposit before a time, fen.
Deposit = Callable[[str, int], Awaitable[int]]


class Taken(Struct, frozen=True):
    """What came of a statement: it was kept, and these days were compared."""

    statement: Statement
    runs: tuple[Run, ...]


class Person(Struct, frozen=True):
    who: str
    office: str


class Reconciler:
    """Of one site. Raises Unreachable while a database is away."""

    def __init__(
        self,
        kept: Kept,
        payments: Payments,
        now_ms: Callable[[], int],
        booked: Booked | None = None,
        deposit: Deposit | None = None,
    ) -> None:
        self.kept = kept
        self._payments = payments
        self._now_ms = now_ms
        self._booked, self._deposit = booked, deposit
        self.resolver: Resolver | None = None

    @property
    def today(self) -> str:
        return day_of(self._now_ms())

    async def take(self, source: Source, day: str, body: bytes, sha1: str = "") -> Taken:
        """Keeps it, and compares its day and those that waited for it. Raises Refused (JL-Q001 to JL-Q009, JL-Q034):
        what does not fit changes nothing (F69)."""
        try:
            begin_ms(day)
            rows = await asyncio.to_thread(_read, source, day, body, sha1)
        except BadMessage as error:
            raise Refused(error.code, error.text) from None
        except ValueError:
            raise Refused("JL-Q005", f"no day: {day[:20]!r} 日期无效") from None
        done = [row for row in rows if row.state != "FAILED"]
        made = Statement(
            source.system,
            day,
            0,
            self._now_ms(),
            hashlib.sha256(body).hexdigest(),
            source,
            len(rows),
            sum(row.fen for row in done if row.kind == "PAY"),
            sum(row.fen for row in done if row.kind == "REFUND"),
            sum(row.fee_fen for row in done),
            body,
        )
        made = await self.kept.keep(made)
        return Taken(replace(made, body=b""), tuple(await self._after(source.system, day, rows)))

    async def _after(self, system: str, day: str, rows: list[Row]) -> list[Run]:
        """Runs of the days that a new statement may say something of."""
        systems = (
            [system] if system != HIS else sorted({one.system for one in await self.kept.days()} - {HIS})
        )
        runs = []
        for name in systems:
            for back in range(-WINDOW, WINDOW + 1):
                one = shifted(day, back)
                if one == day and name == system:
                    runs.append(await self.run(name, one, rows))
                elif await self.kept.statement(name, one) is not None:
                    runs.append(await self.run(name, one))
        return runs

    async def run(self, system: str, day: str, rows: list[Row] | None = None) -> Run:
        """Compares a day; `rows` are its statement's, where they were just read. Twice is as good as once. Raises
        Refused (JL-Q010) where there is no statement of it."""
        statement = await self.kept.statement(system, day)
        if statement is None:
            raise Refused("JL-Q010", f"there is no statement of {system} of {day} 尚无对账单")
        books = await self._books(statement, rows or await self._rows(statement))
        items = await asyncio.to_thread(compare, books, day, day, self.today)
        theirs, mine = len(books.channel or ()), len(books.ours)
        run = Run(system, day, 0, self._now_ms(), statement.number, theirs, mine, 0, 0)
        compared = [name for name in BOOKS if getattr(books, name) is not None]
        return await self.kept.record(run, items, compared)

    async def _books(self, statement: Statement, theirs: list[Row]) -> Books:
        system, day, source = statement.system, statement.day, statement.source
        if source.form == "sums":
            return Books(system, sums=await self._sums(statement))
        from_ms = begin_ms(day)
        ours = [row async for row in own.between(self._payments, system, from_ms, from_ms + DAY_MS)]
        unknown, expected = (
            _lacking(theirs, ours),
            [row for row in _lacking(ours, theirs) if row.state != "FAILED"],
        )
        if len(unknown) > _MOST_LOOKUPS:
            text = f"{len(unknown)} rows of the statement are unknown: is it this system's? 大量未知交易"
            raise Refused("JL-Q011", text)
        elsewhere = [await own.known(self._payments, row) for row in unknown]
        there = {row.number for row in ours}
        ours += [row for row in elsewhere if row is not None and row.number not in there]
        if expected:
            theirs = theirs + await self._neighbours(statement, expected)
        booked = None
        if self._booked is not None:
            # What is booked in the first minutes of the next day may be of this day's last orders.
            booked = await self._booked(system, source.accounts, from_ms - DAY_MS, from_ms + 2 * DAY_MS)
            ours = ours + await self._of_bills(system, from_ms, booked or (), ours)
        return Books(
            system,
            theirs,
            ours,
            his=await self._his(system, day),
            ledger=booked,
            paid=await self._paid(theirs, ours),
            old=source.old,
            cut_h=cut_of(source),
        )

    async def _sums(self, statement: Statement) -> list[Sum]:
        """Of a deposit whose `ours` is not said, the ledger's."""
        made = []
        wanted = Wanted(statement.system, statement.day)
        for one in said(statement.body, wanted):
            ours_fen = one.ours_fen
            if ours_fen is None and one.cls == "deposit" and self._deposit is not None:
                ours_fen = await self._deposit(one.key, begin_ms(statement.day) + DAY_MS)
            made.append(Sum(one.cls, one.key, one.theirs_fen, ours_fen or 0, one.third_fen, one.text))
        return made

    async def _neighbours(self, statement: Statement, wanted: Sequence[Row]) -> list[Row]:
        """Rows of the days around that are what this day's statement lacks."""
        keys = {(row.kind, row.number) for row in wanted} | {(row.kind, row.channel_no) for row in wanted}
        found = []
        for back in (-2, -1, 1, 2):
            near = await self.kept.statement(statement.system, shifted(statement.day, back))
            for row in await self._rows(near) if near is not None else ():
                if (row.kind, row.number) in keys or (row.channel_no and (row.kind, row.channel_no) in keys):
                    found.append(row)
        return found

    async def _of_bills(
        self, system: str, from_ms: int, booked: Sequence[Row], ours: Sequence[Row]
    ) -> list[Row]:
        """Orders of the days around, of settlements that were booked on this day and have none on it."""
        here = {(row.kind, row.bill) for row in ours}
        day = range(from_ms, from_ms + DAY_MS)
        bills = {row.bill for row in booked if row.at_ms in day and (row.kind, row.bill) not in here}
        found: list[Row] = []
        for begin in (from_ms - DAY_MS, from_ms + DAY_MS) if bills else ():
            near = own.between(self._payments, system, begin, begin + DAY_MS)
            found += [row async for row in near if row.bill in bills]
        return found

    async def _his(self, system: str, day: str) -> list[Row] | None:
        """None where the HIS gave no list of that day."""
        lists = [await self.kept.statement(HIS, shifted(day, back)) for back in range(-WINDOW, WINDOW + 1)]
        if lists[WINDOW] is None:
            return None
        rows = [row for one in lists if one is not None for row in await self._rows(one)]
        return [row for row in rows if row.system == system]

    async def _paid(self, theirs: Sequence[Row], ours: Sequence[Row]) -> dict[str, int]:
        """What was paid of orders of other days that went back on this one."""
        here = {row.number for row in ours if row.kind == "PAY"}
        orders = {row.order for row in theirs if row.kind == "REFUND" and row.order} - here
        found = {}
        for number in sorted(orders)[:_MOST_LOOKUPS]:
            order = await self._payments.order(theirs[0].system, number)
            if order is not None:
                found[number] = order.paid_fen
        return found

    async def _rows(self, statement: Statement) -> list[Row]:
        return await asyncio.to_thread(_read, statement.source, statement.day, statement.body, "")

    async def explain(
        self, id: str, by: Sequence[Person], reason: str, evidence: str = "", journal: str = ""
    ) -> Item:
        """Raises Refused: JL-Q030 no such item, JL-Q032 an office that must say so is missing, or has not said."""
        item, _ = await self.kept.item(id)
        needed = CLASSES[item.cls].signs or ("finance",)
        offices = {one.office for one in by}
        if missing := [office for office in needed if office not in offices]:
            raise Refused("JL-Q032", f"{item.cls}: needs {', '.join(missing)} 缺少签字部门")
        if len({one.who for one in by}) < len(needed):
            raise Refused("JL-Q032", f"{item.cls}: needs {len(needed)} people 需{len(needed)}人签字")
        if item.state == "RESOLVED":
            raise Refused("JL-Q032", "it is resolved: nothing is left to explain 已平账")
        said: dict[str, Any] = {
            "by": [{"who": one.who, "office": one.office} for one in by],
            "reason": reason,
        }
        said |= {"evidence": evidence, "journal": journal}
        return await self.kept.say(id, "explained", said, "EXPLAINED")

    async def days(self, system: str, limit: int) -> list[dict[str, Any]]:
        """Statements, the newest days first; of each the last that came."""
        made: dict[tuple[str, str], dict[str, Any]] = {}
        for one in await self.kept.days(system, limit):
            if (key := (one.system, one.day)) in made:
                continue
            open_ = await self.kept.items(one.system, one.day, "OPEN")
            signed = await self.kept.signature(one.system, one.day)
            counted = {name: getattr(one, name) for name in ("count", "paid_fen", "back_fen", "fee_fen")}
            who = signed.who if signed is not None else ""
            made[key] = {"system": one.system, "day": one.day, **counted, "open": len(open_), "signed": who}
        return list(made.values())

    async def report(self, system: str, day: str, name: str, form: str, who: str) -> tuple[bytes, str]:
        """A report's bytes and their type; who took it is on record before it leaves. Raises Refused (JL-Q010, JL-Q036,
        JL-Q037)."""
        statement = await self.kept.statement(system, day)
        if statement is None:
            raise Refused("JL-Q010", f"there is no statement of {system} of {day} 尚无对账单")
        from_ms, theirs = begin_ms(day), await self._rows(statement)
        ours = [row async for row in own.between(self._payments, system, from_ms, from_ms + DAY_MS)]
        his = await self._his(system, day)
        ledger = None
        if self._booked is not None:
            ledger = await self._booked(system, statement.source.accounts, from_ms, from_ms + DAY_MS)
        told = await reporting.stories(self.kept, await self.kept.items(system, day))
        made = reporting.tables_of(
            Day(
                system,
                day,
                theirs,
                ours,
                [row for row in his if day_of(row.at_ms) == day] if his is not None else None,
                ledger,
                told,
                today_ms=self._now_ms(),
            ),
            name,
        )
        body, kind = await asyncio.to_thread(reporting.written, made, form)
        await reporting.note(self.kept, system, day, who, name, form, body)
        return body, kind

    async def resolve(self, system: str, day: str) -> int:
        """What rules can do about what is open of a day is done; then it is compared again. How many were tried."""
        if self.resolver is None:
            return 0
        statement = await self.kept.statement(system, day)
        returns = statement.source.returns if statement is not None else ""
        tried = await self.resolver.try_all(await self.kept.items(system, day, "live"), returns)
        if tried:
            await self.run(system, day)
        return tried

    async def show(self, id: str) -> tuple[Item, list[Event]]:
        return await self.kept.item(id)

    async def sign(self, system: str, day: str, who: str, office: str, second: str = "") -> Signature:
        """Raises Refused: JL-Q010 no statement, JL-Q031 something is unexplained, JL-Q032 the second is the first,
        JL-Q033 signed already, JL-Q035 the last comparison is of another statement."""
        statement = await self.kept.statement(system, day)
        runs = await self.kept.runs(system, day)
        if statement is None or not runs:
            raise Refused("JL-Q010", f"{day} of {system} was not compared yet 尚未对账")
        if runs[-1].statement != statement.number:
            raise Refused("JL-Q035", "a newer statement came: compare again 请重新对账")
        if second == who:
            raise Refused("JL-Q032", "the second person is the first 复核人不能是本人")
        made = Signature(system, day, self._now_ms(), who, office, second, statement.digest, "")
        return await self.kept.sign(made)


def _lacking(rows: Sequence[Row], other: Sequence[Row]) -> list[Row]:
    """Those that have none of the other's keys."""
    numbers = {(row.kind, row.number) for row in other if row.number}
    theirs = {(row.kind, row.channel_no) for row in other if row.channel_no}
    return [
        row
        for row in rows
        if (row.kind, row.number) not in numbers and (row.kind, row.channel_no) not in theirs
    ]


def _read(source: Source, day: str, body: bytes, sha1: str) -> list[Row]:
    wanted = Wanted(source.system, day, source.merchants, sha1, cut_of(source))
    return read_statement(source.form, body, wanted)


def cut_of(source: Source) -> int:
    """Hours before midnight that its day ends."""
    return source.cut_h or (CUTS.get(source.form, 0) if isinstance(source.form, str) else 0)
