"""A day's account with the centre (对账): 3201 for each group; where it is unequal 9101, 3202, 9102 and what to do.

Three books are held against each other: the engine's records, the HIS's own list where there is one, and the centre.
What is said is kept after each step: a run that broke off goes on where it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, timezone
from typing import Any, Protocol

import msgspec

from config.errors import BadMessage, Refused
from endpoints.insurance.records import Exchange, Records
from endpoints.insurance.statement_kept import Account, Kept, Statement, Unread
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
from schemas.nhsa.statement_files import detail_file, results
from schemas.nhsa.statement_his import completed, his_rows
from schemas.nhsa.statement_judge import Asked, Books, between, judge, unkeyed

CHINA = timezone(timedelta(hours=8))  # the platform's days are these, wherever the engine runs
_EARLY_MS = 3_600_000  # our clock and the centre's are not one: so much before the first day is looked at
_LATE_MS = 3 * 86_400_000  # an answer that was lost may have been found days later
_json = Json()

# infno, input, key: the answer as `schemas.nhsa` has it: outcome, infcode, err_msg, output ...
Call = Callable[[str, Mapping[str, Any], str], Awaitable[Mapping[str, Any]]]
# What is being done, for people: group, step.
Told = Callable[[Account, str], None]


class Files(Protocol):
    """9101 and 9102. Both raise Refused and Unreachable."""

    async def upload(self, name: str, text: bytes) -> str:
        """Puts the text into a zip as `name`; the centre's file_qury_no."""

    async def download(self, file_qury_no: str, filename: str) -> bytes:
        """The one text file in the zip that the centre has under this number."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Days are yyyy-MM-dd, both included. `his` is a list as `schemas.nhsa.statement_his` reads it."""

    begin: str
    end: str
    his: bytes | None = None
    insutype: str = ""  # only this insurance
    again: bool = False  # also groups that were equal when last asked
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
    """Of one party. Nothing here knows the protocol: `call` and `files` do."""

    def __init__(
        self,
        system: str,
        call: Call,
        files: Files,
        records: Records,
        form: Form,
        kept: Kept,
        now: Callable[[], float],
        told: Told = lambda account, step: None,
    ) -> None:
        self.system, self.form = system, form
        self._call, self._files, self._records, self._kept = call, files, records, kept
        self._now, self._told = now, told

    async def run(self, wanted: Wanted) -> Statement:
        """Asks the centre about each group, and keeps what it says. Raises Unreachable where the centre is away:
        what was said until then is kept; BadMessage where the HIS's list cannot be read (JL-N200, N203)."""
        day = await self.day(wanted)
        before = self._kept.load(self.system, wanted.begin, wanted.end)
        flag = _flag(self.form)
        local = unkeyed(day.declared, day.ours, flag)
        if day.his is not None:
            local = [*between(day.ours, day.his, flag), *local]
        asked = [
            group
            for group in groups([r for r in day.declared if _complete(r)], self.form, day.always)
            if wanted.insutype in ("", group.key.insutype)
        ]
        known = {account.key: account for account in before.accounts} if before else {}
        made = Statement(
            system=self.system,
            begin=wanted.begin,
            end=wanted.end,
            begun_ms=int(self._now() * 1000),
            his=day.his is not None,
            accounts=tuple(self._opened(group, known.get(group.key), wanted.again) for group in asked),
            differences=tuple(local),
            unread=tuple(day.unread),
        )
        self._kept.save(made)
        for number, group in enumerate(asked):
            async for account in self._asked(made.accounts[number], group, wanted, day):
                accounts = (*made.accounts[:number], account, *made.accounts[number + 1 :])
                made = msgspec.structs.replace(made, accounts=accounts)
                self._kept.save(made)
        made = msgspec.structs.replace(made, ended_ms=int(self._now() * 1000))
        self._kept.save(made)
        return made

    def _opened(self, group: Group, before: Account | None, again: bool) -> Account:
        digest = hashlib.sha256(repr(group).encode()).hexdigest()[:16]
        if before is not None and before.digest == digest and not again:
            return before
        return Account(
            key=group.key,
            digest=digest,
            medfee_fen=group.medfee_fen,
            fund_fen=group.fund_fen,
            account_fen=group.account_fen,
            cash_fen=group.cash_fen,
            count=group.count,
        )

    async def _asked(
        self, account: Account, group: Group, wanted: Wanted, day: Day
    ) -> AsyncIterator[Account]:
        """The account after each step that is not to be done again."""
        if account.state == "equal":
            self._told(account, "equal before")
            return
        text = await self._result(account) if account.state == "listed" else None
        if text is None:
            async for step in self._totals(account, group, wanted):
                account = step
                yield account
            if account.state != "listed":
                return
            self._told(account, "9102")
            text = await self._files.download(account.result_no, account.result_name)
        found = results(text, self.form)
        asked = await self._requests([row.msgid for row in found if row.msgid and row.rslt != "0"])
        differences = tuple(judge(found, account.key, Books(day.ours, day.his, asked.get)))
        yield msgspec.structs.replace(account, state="unequal", differences=differences, listed=len(found))

    async def _result(self, account: Account) -> bytes | None:
        """The file that a run which broke off did not fetch; None where the centre has it no more."""
        self._told(account, "9102")
        try:
            return await self._files.download(account.result_no, account.result_name)
        except Refused:
            return None

    async def _totals(self, account: Account, group: Group, wanted: Wanted) -> AsyncIterator[Account]:
        self._told(account, "3201")
        begin, end, form = wanted.begin, wanted.end, self.form
        key = "/".join(("statement", begin, end, *_parts(account.key)))
        answer = await self._call("3201", total_input(group, begin, end, form), f"{key}/3201")
        said = _member(answer.get("output"), "stmtinfo")
        rslt = str(said.get("stmt_rslt", ""))
        account = msgspec.structs.replace(
            account,
            at_ms=int(self._now() * 1000),
            rslt=rslt,
            text=str(said.get("stmt_rslt_dscr") or answer.get("err_msg") or ""),
            differences=(),
        )
        state = _state(answer, form.results.get(rslt, rslt))
        account = msgspec.structs.replace(account, state=state)
        yield account
        if state != "unequal":
            return
        self._told(account, "9101")
        name = f"{'_'.join(('stmt', begin, end, *_parts(account.key)))}.txt"
        number = await self._files.upload(name, detail_file(group.rows, form))
        self._told(account, "3202")
        answer = await self._call("3202", detail_input(group, begin, end, form, number), f"{key}/3202")
        info = _member(answer.get("output"), "fileinfo")
        if answer.get("outcome") != "OK" or not info.get("file_qury_no"):
            yield msgspec.structs.replace(account, text=str(answer.get("err_msg") or "3202: no file"))
            return
        yield msgspec.structs.replace(
            account,
            state="listed",
            result_no=str(info["file_qury_no"]),
            result_name=str(info.get("filename") or ""),
        )

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
        return Day(ours, his, declared, unread, [*wanted.always, *lost])

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
            if exchange.infno in CANCELS and exchange.answer:
                row = await self._row(exchange, {})
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
                insutype = str(_member(_tree(one.request).get("input"), *_NODES).get("insutype") or "")
                if one.infno in CLR_TYPE_OF and insutype:
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


def _state(answer: Mapping[str, Any], rslt: str) -> str:
    if answer.get("outcome") == "REJECTED":
        return "refused"
    if answer.get("outcome") != "OK" or not rslt:
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
