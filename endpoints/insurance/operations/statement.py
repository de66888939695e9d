"""`insurance.statement`: the day's account with the centre (3201, 3202) as something that is asked, by a timer say.

A message is a timer's (`scheduled`, `previous`: the days since then, to the one before), or `{"day": "yesterday"}`, or
`{"from": "2026-01-01", "to": "2026-01-31"}`. Besides: `insutype` (only this), `again` (from the beginning, also where a
run broke off) and `his`, the HIS's own list: a list of objects, as `schemas.nhsa.statement_his` reads it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from config.errors import BadMessage, Refused, Unreachable
from endpoints.insurance.centre import PartyCentre
from endpoints.insurance.operations.base import body_of, operation, receipt
from endpoints.insurance.party import Party
from endpoints.insurance.statement import Statements, Told, Wanted
from endpoints.insurance.statement_books import CHINA
from endpoints.insurance.statement_kept import Kept, Statement
from endpoints.insurance.statement_report import tree
from schemas.json import Json
from schemas.message import Message, Receipt
from schemas.nhsa.statement_files import MAX_BYTES

LONGEST_DAYS = 62  # a month, and the days to its close
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_HIS_AGAIN_S = 600.0  # until it is looked for again
_OF_TIMER = ("scheduled", "previous")
_KNOWN = (*_OF_TIMER, "day", "from", "to", "insutype", "again", "his")


@operation("statement")
async def statement(party: Party, message: Message) -> Receipt:
    """The answer is the statement. Where it is unequal, by `statement: {unequal: dead}`, Refused (JL-N210)."""
    asked = body_of(message, party.options.max_input)
    made = await run(party, wanted(party, asked))
    told = receipt("OK", {"outcome": "OK", **tree(made)})
    if not made.equal and party.options.statement.unequal == "dead":
        raise Refused("JL-N210", f"{made.begin} to {made.end}: {summary(made)}", answer=told.answer)
    return told


async def run(party: Party, asked: Wanted, told: Told = lambda account, step: None) -> Statement:
    """Raises Refused and Unreachable; what was said until then is kept."""
    if asked.his is None and party.options.statement.his:
        asked = replace(asked, his=await asyncio.to_thread(_his_file, party, asked))
    kept = Kept(folder(party))
    centre = PartyCentre(party)
    now, form = party.ground.now, party.profile.form
    statements = Statements(party.system, centre, party.records, form, kept, now, folder(party), told)
    try:
        return await statements.run(asked)
    except BadMessage as error:
        raise Refused(error.code, f"{error.text} {error.path}".strip()) from None


def _his_file(party: Party, asked: Wanted) -> bytes:
    """The HIS's list for these days. Raises Unreachable (JL-N216) while it is not there; blocks."""
    name = party.options.statement.his.replace("{begin}", asked.begin).replace("{end}", asked.end)
    path = Path(party.ground.base_dir) / name
    try:
        if path.stat().st_size > MAX_BYTES:
            raise Refused("JL-N203", f"{path.name}: larger than {MAX_BYTES} bytes")
        return path.read_bytes()
    except OSError as error:
        text = f"the HIS's list {path.name} cannot be read 无 HIS 结算清单: {error.strerror}"
        raise Unreachable("JL-N216", text, after_s=_HIS_AGAIN_S) from None


def folder(party: Party) -> Path:
    return Path(party.ground.base_dir) / party.options.statement.store


def wanted(party: Party, asked: Mapping[str, Any]) -> Wanted:
    """What a message asks. Raises Refused (JL-N211)."""
    if unknown := [name for name in asked if name not in _KNOWN]:
        raise Refused("JL-N211", f"unknown: {unknown[0][:40]!r}; known are {', '.join(_KNOWN)}")
    if asked.get("scheduled"):
        begin, end = since(str(asked.get("previous") or ""), str(asked["scheduled"]))
        rest = {name: value for name, value in asked.items() if name not in _OF_TIMER}
        asked = {**rest, "from": begin, "to": end}
    begin, end = days(
        party, str(asked.get("day") or ""), str(asked.get("from") or ""), str(asked.get("to") or "")
    )
    his = asked.get("his")
    return Wanted(
        begin,
        end,
        his=Json().encode(his) if his is not None else None,
        insutype=str(asked.get("insutype") or ""),
        again=asked.get("again") is True,
        always=party.options.statement.keys,
    )


def since(previous: str, scheduled: str) -> tuple[str, str]:
    """The days that are over at a timer's time, from that of its last time on. Raises Refused (JL-N211)."""
    try:
        end = datetime.fromisoformat(scheduled).astimezone(CHINA).date() - timedelta(days=1)
        begin = datetime.fromisoformat(previous).astimezone(CHINA).date() if previous else end
    except ValueError:
        raise Refused("JL-N211", "scheduled, previous: no times of a timer") from None
    first = min(max(begin, end - timedelta(days=LONGEST_DAYS)), end)
    return first.isoformat(), end.isoformat()


def days(party: Party, day: str, begin: str, end: str) -> tuple[str, str]:
    """Of China's calendar. Without any, yesterday. Raises Refused (JL-N211)."""
    today = datetime.fromtimestamp(party.ground.now(), CHINA).date()
    named = {"today": today, "yesterday": today - timedelta(days=1), "": today - timedelta(days=1)}
    if day and (begin or end):
        raise Refused("JL-N211", "either `day`, or `from` and `to`")
    if begin or end:
        found = (begin or end, end or begin)
    else:
        found = (named[day].isoformat(),) * 2 if day in named else (day, day)
    try:
        first, last = (date.fromisoformat(one) if _DAY.fullmatch(one) else None for one in found)
    except ValueError:
        first = last = None
    if first is None or last is None:
        raise Refused("JL-N211", f"{found[0][:20]!r} is no day: 2026-01-15, today or yesterday")
    if last < first or (last - first).days > LONGEST_DAYS:
        raise Refused("JL-N211", f"from a day to a later one, {LONGEST_DAYS} days at the most")
    return found[0], found[1]


def summary(made: Statement) -> str:
    """What is not equal, in a line, and of nobody."""
    found = [one for detail in made.details for one in detail.differences] + list(made.differences)
    kinds = {
        kind: sum(one.kind == kind for one in found) for kind in dict.fromkeys(one.kind for one in found)
    }
    unequal = sum(account.state != "equal" for account in made.accounts)
    parts = [f"{unequal} of {len(made.accounts)} groups are not equal 对账不平"]
    parts += [f"{kind} {count}" for kind, count in kinds.items()]
    parts += [f"{len(made.unread)} cannot be read"] if made.unread else []
    return "; ".join(parts)
