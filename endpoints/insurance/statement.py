"""A day's account with the centre (对账): 3201 for each group; where it is unequal 9101, 3202, 9102 and what to do.

Three books are held against each other: the engine's records, the HIS's own list where there is one, and the centre.
What is said is kept after each step: a run that broke off goes on where it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from msgspec.structs import replace as replaced

from config.errors import Refused
from endpoints.insurance.files import Answer, Centre
from endpoints.insurance.records import Records
from endpoints.insurance.statement_books import OurBooks, member
from endpoints.insurance.statement_kept import Account, Detail, Kept, State, Statement, Unread
from endpoints.insurance.statement_lists import Lists
from schemas.nhsa.statement import Form, Group, Key, Row, groups, of_days, total_input
from schemas.nhsa.statement_files import Result
from schemas.nhsa.statement_his import completed, his_rows
from schemas.nhsa.statement_judge import Books, between, judge, unkeyed

_FRESH_MS = 3_600_000  # what was said before a break is that old at the most

# What is being done, for people: the account, and the step.
Told = Callable[[Account, str], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Days are yyyy-MM-dd, both included. `his` is a list as `schemas.nhsa.statement_his` reads it."""

    begin: str
    end: str
    his: bytes | None = None
    insutype: str = ""  # only this insurance
    again: bool = False  # from the beginning, also where a run broke off
    always: tuple[Key, ...] = ()  # asked for where we have no settlement of them


@dataclass(slots=True)
class Day:
    """What the institution has of the days: its own books, and what could not be read of them."""

    ours: dict[str, Row]
    his: dict[str, Row] | None
    declared: list[Row]
    unread: list[Unread]
    always: list[Key] = field(default_factory=list)


class Statements:
    """Of one party. `folder` is where result files lie while they are read: they name patients, and go."""

    def __init__(
        self,
        system: str,
        centre: Centre,
        records: Records,
        form: Form,
        kept: Kept,
        now: Callable[[], float],
        folder: Path,
        told: Told = lambda account, step: None,
    ) -> None:
        self.system, self.form = system, form
        self._centre, self._kept = centre, kept
        self._books = OurBooks(system, records)
        self._lists = Lists(centre, form, folder, now)
        self._now, self._told = now, told

    async def run(self, wanted: Wanted) -> Statement:
        """Asks the centre about each group, and keeps what it says. Raises Unreachable where the centre is away:
        what was said until then is kept; BadMessage where the HIS's list cannot be read (JL-N200, N203)."""
        day = await self.day(wanted)
        before = None if wanted.again else self._kept.load(self.system, wanted.begin, wanted.end)
        now_ms = int(self._now() * 1000)
        local = unkeyed(day.declared, day.ours, _flag(self.form))
        if day.his is not None:
            local = [*between(day.ours, day.his, _flag(self.form)), *local]
        complete = [row for row in day.declared if _complete(row)]
        asked = [
            group
            for group in groups(complete, self.form, day.always)
            if wanted.insutype in ("", group.key.insutype)
        ]
        made = Statement(
            system=self.system,
            begin=wanted.begin,
            end=wanted.end,
            begun_ms=now_ms,
            his=day.his is not None,
            accounts=tuple(_opened(group, before, now_ms) for group in asked),
            details=before.details if before else (),
            differences=tuple(local),
            unread=tuple(day.unread),
        )
        self._kept.save(made)
        for number, group in enumerate(asked):
            account = await self._total(made.accounts[number], group, wanted)
            made = replaced(made, accounts=_put(made.accounts, number, account))
            self._kept.save(made)
        made = await self._details(made, complete, wanted, day)
        equal = {account.key for account in made.accounts if account.state == "equal"}
        # Settled past the engine, by mobile payment say: where the centre has it as the HIS has, all is well.
        worse = tuple(d for d in made.differences if d.kind != "record lacks" or d.key not in equal)
        made = replaced(made, differences=worse)
        made = replaced(made, ended_ms=int(self._now() * 1000))
        self._kept.save(made)
        return made

    async def _total(self, account: Account, group: Group, wanted: Wanted) -> Account:
        if account.state in ("equal", "unequal"):
            self._told(account, "asked before")
            return account
        self._told(account, "3201")
        form = self.form
        answer = await self._centre.call("3201", total_input(group, wanted.begin, wanted.end, form))
        said = member(answer.output, "stmtinfo")
        rslt = str(said.get("stmt_rslt") or "")
        return replaced(
            account,
            state=_state(answer, form.results.get(rslt, rslt)),
            at_ms=int(self._now() * 1000),
            rslt=rslt,
            text=str(said.get("stmt_rslt_dscr") or answer.text),
        )

    async def _details(self, made: Statement, rows: Sequence[Row], wanted: Wanted, day: Day) -> Statement:
        """3202 for what is unequal. It asks about no insurance: all rows of the office and the type are listed."""
        unequal = {self._listed_as(one.key) for one in made.accounts if one.state == "unequal"}
        known = {detail.key: detail for detail in made.details}
        made = replaced(made, details=())
        for key in sorted(unequal):
            group = Group(key, tuple(row for row in rows if self._listed_as(_key(row, key.flag)) == key))
            detail, digest = known.get(key), _digest(group)
            if detail is None or detail.done or detail.digest != digest:
                detail = Detail(key, digest)
            account = next(one for one in made.accounts if self._listed_as(one.key) == key)
            told = partial(self._told, account)
            found = await self._kept_result(detail, told) if detail.result_no or detail.task_key else None
            if found is None:
                detail = await self._lists.begun(detail, group, wanted.begin, wanted.end, told)
                self._kept.save(replaced(made, details=(*made.details, detail)))
                found = await self._lists.result(detail, told)
            asked = await self._books.asked([row.msgid for row in found if row.msgid and row.rslt != "0"])
            differences = tuple(judge(found, key, Books(day.ours, day.his, asked.get)))
            detail = replaced(detail, done=True, listed=len(found), differences=differences)
            made = replaced(made, details=(*made.details, detail))
            self._kept.save(made)
        return made

    def _listed_as(self, key: Key) -> Key:
        """What one list is of: 3202 asks about no insurance, and 3211 about nothing but the days."""
        return Key("", "", "") if self.form.task else replace(key, insutype="")

    async def _kept_result(self, detail: Detail, told: Callable[[str], None]) -> list[Result] | None:
        """Of the file that a run which broke off did not read; None where the centre has it no more."""
        try:
            return await self._lists.result(detail, told)
        except Refused:
            return None

    async def day(self, wanted: Wanted) -> Day:
        """The institution's books of the days, and the keys that must be asked for."""
        every, unread = await self._books.rows(wanted.begin, wanted.end)
        rows = of_days(list(every.values()), wanted.begin, wanted.end)
        ours = {row.setl_id or row.msgid: row for row in rows}
        his = None
        declared = list(ours.values())
        if wanted.his is not None:
            listed = completed(his_rows(wanted.his), every.get)
            declared = [row for row in listed if not row.day or wanted.begin <= row.day <= wanted.end]
            his = {row.setl_id: row for row in declared}
        lost = await self._books.unanswered(wanted.begin, wanted.end, declared)
        known = [Key(row.setl_optins, row.insutype, row.clr_type) for row in ours.values() if _complete(row)]
        return Day(ours, his, declared, unread, [*wanted.always, *lost, *known])


def _opened(group: Group, before: Statement | None, now_ms: int) -> Account:
    """What a run that broke off a while ago was told of the same rows stays said."""
    digest = _digest(group)
    for known in before.accounts if before is not None and not before.ended_ms else ():
        fresh = known.state in ("equal", "unequal") and now_ms - known.at_ms < _FRESH_MS
        if fresh and known.key == group.key and known.digest == digest:
            return known
    return Account(
        key=group.key,
        digest=digest,
        medfee_fen=group.medfee_fen,
        fund_fen=group.fund_fen,
        account_fen=group.account_fen,
        cash_fen=group.cash_fen,
        count=group.count,
    )


def _digest(group: Group) -> str:
    return hashlib.sha256(repr(group).encode()).hexdigest()[:16]


def _put(accounts: tuple[Account, ...], number: int, account: Account) -> tuple[Account, ...]:
    return (*accounts[:number], account, *accounts[number + 1 :])


def _key(row: Row, flag: str) -> Key:
    """With the flag, where it is of that one; else with none that a list has."""
    own = flag if flag in ("", str(int(row.cancel))) else "another"
    return Key(row.setl_optins, row.insutype, row.clr_type, own)


def _state(answer: Answer, rslt: str) -> State:
    if answer.outcome == "REJECTED":
        return "refused"
    if answer.outcome != "OK" or not rslt:
        return "unknown"
    return "equal" if rslt == "0" else "unequal"


def _flag(form: Form) -> Callable[[Row], str]:
    return lambda row: ("1" if row.cancel else "0") if form.cancels == "apart" else ""


def _complete(row: Row) -> bool:
    return Key(row.setl_optins, row.insutype, row.clr_type).complete
