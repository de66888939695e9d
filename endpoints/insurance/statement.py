"""A day's account with the centre (对账): 3201 for each group; where it is unequal 9101, 3202, 9102 and what to do.

Three books are held against each other: the engine's records, the HIS's own list where there is one, and the centre.
What is said is kept after each step: a run that broke off goes on where it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from msgspec.structs import replace as replaced

from config.errors import BadMessage, Refused
from endpoints.insurance.files import Answer, Centre, FileNumber, download, file_number, settled, upload
from endpoints.insurance.records import Exchange, Records
from endpoints.insurance.statement_kept import Account, Detail, Kept, State, Statement, Unread
from endpoints.insurance.zipped import text_of, zipped
from schemas.json import Json
from schemas.nhsa.statement import (
    CANCELLED_BY,
    CANCELS,
    CLR_TYPE_OF,
    Form,
    Group,
    Key,
    Row,
    detail_input,
    groups,
    of_days,
    row_of,
    total_input,
)
from schemas.nhsa.statement_files import Result, detail_file, results
from schemas.nhsa.statement_his import completed, his_rows
from schemas.nhsa.statement_judge import Asked, Books, between, judge, unkeyed

CHINA = timezone(timedelta(hours=8))  # the platform's days are these, wherever the engine runs
_EARLY_MS = 3_600_000  # our clock and the centre's are not one: so much before the first day is looked at
_LATE_MS = 3 * 86_400_000  # an answer that was lost may have been found days later
_FRESH_MS = 3_600_000  # what was said before a break is that old at the most
_json = Json()

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
        self._centre, self._records, self._kept, self._folder = centre, records, kept, folder
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
        said = _member(answer.output, "stmtinfo")
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
        unequal = {replace(one.key, insutype="") for one in made.accounts if one.state == "unequal"}
        known = {detail.key: detail for detail in made.details}
        made = replaced(made, details=())
        for key in sorted(unequal):
            group = Group(key, tuple(row for row in rows if _in(row, key)))
            detail, digest = known.get(key), _digest(group)
            if detail is None or detail.done or detail.digest != digest:
                detail = Detail(key, digest)
            account = next(one for one in made.accounts if replace(one.key, insutype="") == key)
            found = await self._kept_result(account, detail) if detail.result_no else None
            if found is None:
                detail = await self._listed(account, detail, group, wanted)
                made = replaced(made, details=(*made.details, detail))
                self._kept.save(made)
                found = await self._result(account, detail)
                made = replaced(made, details=made.details[:-1])
            asked = await self._requests([row.msgid for row in found if row.msgid and row.rslt != "0"])
            differences = tuple(judge(found, key, Books(day.ours, day.his, asked.get)))
            detail = replaced(detail, done=True, listed=len(found), differences=differences)
            made = replaced(made, details=(*made.details, detail))
            self._kept.save(made)
        return made

    async def _listed(self, account: Account, detail: Detail, group: Group, wanted: Wanted) -> Detail:
        """The file up, and 3202."""
        self._told(account, "9101")
        name = "_".join(("stmt", wanted.begin, wanted.end, *_parts(detail.key)))
        packed = zipped(f"{name}.txt", [detail_file(group.rows, self.form)])
        sent = await upload(self._centre, f"{name}.zip", packed)
        self._told(account, "3202")
        asked = detail_input(group, wanted.begin, wanted.end, self.form, sent.number)
        file = file_number(settled(await self._centre.call("3202", asked), "3202"))
        if file is None:
            raise Refused("JL-N105", "3202: the centre named no file_qury_no 未返回文件查询号")
        return replaced(detail, result_no=file.number, result_name=file.name, result_until=file.until)

    async def _kept_result(self, account: Account, detail: Detail) -> list[Result] | None:
        """Of the file that a run which broke off did not read; None where the centre has it no more."""
        try:
            return await self._result(account, detail)
        except Refused:
            return None

    async def _result(self, account: Account, detail: Detail) -> list[Result]:
        """Raises Refused where there is no such file, or not in the form of the province (JL-N202)."""
        self._told(account, "9102")
        file = FileNumber(detail.result_no, detail.result_name, detail.result_until)
        path = self._folder / f"statement-{detail.digest}.zip"
        try:
            await download(self._centre, file, path, self._now())
            with text_of(path) as text:
                return results(text.read(), self.form)
        except BadMessage as error:
            raise Refused(error.code, f"3202: {error.text} {error.path}".strip()) from None
        finally:
            path.unlink(missing_ok=True)

    async def day(self, wanted: Wanted) -> Day:
        """The institution's books of the days, and the keys that must be asked for."""
        since, until = _ms(wanted.begin), _ms(wanted.end) + 86_400_000
        every: dict[str, Row] = {}
        unread: list[Unread] = []
        async for exchange in self._records.settled(self.system, since - _EARLY_MS, until + _LATE_MS):
            try:
                row = await self._row(exchange, every)
            except BadMessage as error:
                unread.append(Unread(exchange.msgid, exchange.infno, error.code, error.text))
            else:
                every[row.setl_id] = row
        ours = {row.setl_id: row for row in of_days(list(every.values()), wanted.begin, wanted.end)}
        his = None
        declared = list(ours.values())
        if wanted.his is not None:
            listed = completed(his_rows(wanted.his), every.get)
            declared = [row for row in listed if not row.day or wanted.begin <= row.day <= wanted.end]
            his = {row.setl_id: row for row in declared}
        lost = await self._unanswered(since, until, declared)
        settled = [
            Key(row.setl_optins, row.insutype, row.clr_type) for row in ours.values() if _complete(row)
        ]
        return Day(ours, his, declared, unread, [*wanted.always, *lost, *settled])

    async def _row(self, exchange: Exchange, before: Mapping[str, Row]) -> Row:
        asked, answered = _tree(exchange.request), _tree(exchange.answer)
        put = asked.get("input")
        original = None
        if exchange.infno in CANCELLED_BY:
            setl_id = str(_member(put, "data", "mdtrtinfo").get("setl_id", ""))
            original = before.get(setl_id) or await self._earlier(setl_id)
        row = row_of(exchange.infno, put, answered.get("output"), exchange.msgid, original)
        if row.day:
            return row
        return replace(row, day=datetime.fromtimestamp(exchange.at_ms / 1000, CHINA).date().isoformat())

    async def _earlier(self, setl_id: str) -> Row | None:
        """The settlement that is cancelled, of a day before."""
        if not setl_id:
            return None
        for exchange in await self._records.search(self.system, links={"setl_id": setl_id}):
            whole = await self._records.find(exchange.msgid) if exchange.infno in CANCELS else None
            if whole is not None and whole.answer:
                row = await self._row(whole, {})
                if row.setl_id == setl_id:
                    return row
        return None

    async def _unanswered(self, since: int, until: int, rows: Sequence[Row]) -> list[Key]:
        """Keys of settlements whose answer is lost: the centre may have one of a kind that we have none of."""
        offices = {row.setl_optins for row in rows if row.setl_optins}
        keys: set[Key] = set()
        for state in ("UNKNOWN", "PROCESSING", "sent"):
            for one in await self._records.search(
                self.system, state=state, since_ms=since, until_ms=until, limit=1000
            ):
                whole = await self._records.find(one.msgid) if one.infno in CLR_TYPE_OF else None
                put = _member(_tree(whole.request).get("input"), *_NODES) if whole is not None else {}
                if insutype := str(put.get("insutype") or ""):
                    keys |= {Key(office, insutype, CLR_TYPE_OF[one.infno]) for office in offices}
        return sorted(keys)

    async def _requests(self, msgids: Iterable[str]) -> dict[str, Asked]:
        made = {}
        for msgid in msgids:
            exchange = await self._records.find(msgid)
            if exchange is not None and exchange.system == self.system:
                put = _member(_tree(exchange.request).get("input"), *_NODES)
                made[msgid] = Asked(exchange.infno, exchange.state, str(put.get("psn_no") or ""))
        return made


_NODES = ("data", "druginfo", "mdtrtinfo")


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


def _in(row: Row, key: Key) -> bool:
    flag = key.flag in ("", str(int(row.cancel)))
    return flag and (row.setl_optins, row.clr_type) == (key.setl_optins, key.clr_type)


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


def _parts(key: Key) -> list[str]:
    return [part for part in (key.setl_optins, key.insutype, key.clr_type, key.flag) if part]


def _ms(day: str) -> int:
    return int(datetime.combine(date.fromisoformat(day), datetime.min.time(), CHINA).timestamp() * 1000)


def _tree(body: bytes) -> Mapping[str, Any]:
    try:
        tree = _json.decode(body) if body else {}
    except BadMessage:
        return {}
    return tree if isinstance(tree, Mapping) else {}


def _member(tree: Any, *names: str) -> Mapping[str, Any]:
    """The object of the first of these names, or the tree itself where it has none of them."""
    if not isinstance(tree, Mapping):
        return {}
    return next((tree[name] for name in names if isinstance(tree.get(name), Mapping)), tree)
