"""The institution's own book of settlements: what the engine asked of a centre and was answered, day by day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from typing import Any

from config.errors import BadMessage
from endpoints.insurance.records import Exchange, Records
from endpoints.insurance.statement_kept import Unread
from schemas.json import Json
from schemas.nhsa.statement import CANCELLED_BY, CANCELS, CLR_TYPE_OF, Key, Row, row_of
from schemas.nhsa.statement_judge import Asked

CHINA = timezone(timedelta(hours=8))  # the platform's days are these, wherever the engine runs
_EARLY_MS = 3_600_000  # our clock and the centre's are not one: so much before the first day is looked at
_LATE_MS = 3 * 86_400_000  # an answer that was lost may have been found days later
_NODES = ("data", "druginfo", "mdtrtinfo")
_json = Json()


class OurBooks:
    """Of one party, from its records. Raises Unreachable while they are away."""

    def __init__(self, system: str, records: Records) -> None:
        self.system, self._records = system, records

    async def rows(self, begin: str, end: str) -> tuple[dict[str, Row], list[Unread]]:
        """By setl_id, or where that is not known by msgid: settlements and their cancels around these days; whose
        amounts cannot be read is told."""
        since, until = first_ms(begin) - _EARLY_MS, first_ms(end) + 86_400_000 + _LATE_MS
        every: dict[str, Row] = {}
        unread: list[Unread] = []
        async for exchange in self._records.settled(self.system, since, until):
            try:
                row = await self._row(exchange, every)
            except BadMessage as error:
                unread.append(Unread(exchange.msgid, exchange.infno, error.code, error.text))
            else:
                every[row.setl_id or row.msgid] = row
        return every, unread

    async def unanswered(self, begin: str, end: str, rows: Sequence[Row]) -> list[Key]:
        """Keys of settlements whose answer is lost: the centre may have one of a kind that we have none of."""
        offices = {row.setl_optins for row in rows if row.setl_optins}
        since, until = first_ms(begin), first_ms(end) + 86_400_000
        keys: set[Key] = set()
        for state in ("UNKNOWN", "PROCESSING", "sent"):
            for one in await self._records.search(
                self.system, state=state, since_ms=since, until_ms=until, limit=1000
            ):
                whole = await self._records.find(one.msgid) if one.infno in CLR_TYPE_OF else None
                put = member(_tree(whole.request).get("input"), *_NODES) if whole is not None else {}
                if insutype := str(put.get("insutype") or ""):
                    keys |= {Key(office, insutype, CLR_TYPE_OF[one.infno]) for office in offices}
        return sorted(keys)

    async def asked(self, msgids: Iterable[str]) -> dict[str, Asked]:
        """What became of these requests, of those that are ours."""
        made = {}
        for msgid in msgids:
            exchange = await self._records.find(msgid)
            if exchange is not None and exchange.system == self.system:
                put = member(_tree(exchange.request).get("input"), *_NODES)
                made[msgid] = Asked(exchange.infno, exchange.state, str(put.get("psn_no") or ""))
        return made

    async def _row(self, exchange: Exchange, before: Mapping[str, Row]) -> Row:
        asked, answered = _tree(exchange.request), _tree(exchange.answer)
        put = asked.get("input")
        original = None
        if exchange.infno in CANCELLED_BY:
            setl_id = str(member(put, "data", "mdtrtinfo").get("setl_id", ""))
            original = before.get(setl_id) or await self._earlier(setl_id)
        row = row_of(exchange.infno, put, answered.get("output"), exchange.msgid, original)
        row = replace(row, insuplc=str(asked.get("insuplc_admdvs") or ""))
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


def first_ms(day: str) -> int:
    """The beginning of a day in China, Unix milliseconds."""
    return int(datetime.combine(date.fromisoformat(day), datetime.min.time(), CHINA).timestamp() * 1000)


def member(tree: Any, *names: str) -> Mapping[str, Any]:
    """The object of the first of these names, or the tree itself where it has none of them."""
    if not isinstance(tree, Mapping):
        return {}
    return next((tree[name] for name in names if isinstance(tree.get(name), Mapping)), tree)


def _tree(body: bytes) -> Mapping[str, Any]:
    try:
        tree = _json.decode(body) if body else {}
    except BadMessage:
        return {}
    return tree if isinstance(tree, Mapping) else {}
