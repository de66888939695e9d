"""`insurance.clearing`: a month's application (3203) from the engine's records, or one taken back (3204).

A message is `{"month": "2026-01"}`, `{}` for the month before this one; besides `clr_type` (only this), and
`plan: true`: only say what would be applied for. While nobody knows what became of an earlier one, nothing is applied
for, unless `anyway: true` says that the centre was asked. `{"withdraw": "..."}` takes back the one with that
clr_appy_evt_id.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from config.errors import Refused
from endpoints.insurance.operations.base import body_of, operation, receipt
from endpoints.insurance.operations.statement import folder
from endpoints.insurance.party import Party
from endpoints.insurance.statement_books import CHINA, OurBooks, member
from endpoints.insurance.statement_kept import Kept
from endpoints.insurance.steps import only
from schemas.message import Message, Receipt
from schemas.nhsa.clearing import applications, days_of
from schemas.nhsa.statement import Row, of_days


@operation("clearing")
async def clearing(party: Party, message: Message) -> Receipt:
    """What became of each application. Raises Refused (JL-N214) for a month that is none."""
    tree = body_of(message, party.options.max_input)
    only(tree, "month", "clr_type", "plan", "anyway", "withdraw", "scheduled", "previous")
    return receipt("OK", await clear(party, tree, message.id))


async def clear(party: Party, asked: Mapping[str, Any], key: str) -> dict[str, Any]:
    """`{"outcome", "month", "applications": [{..., "outcome", "clr_appy_evt_id", "err_msg"}], "days": {...}}`."""
    if number := asked.get("withdraw"):
        answer = await party.ask("3204", {"data": {"clr_appy_evt_id": str(number)}}, f"{key} 3204 {number}")
        return answer.tree()
    month = month_of(party, asked)
    rows = list((await month_rows(party, month)).values())
    if asked.get("plan") is not True and asked.get("anyway") is not True:
        await _nothing_open(party, key)
    told = []
    for one in applications(rows, month):
        if asked.get("clr_type") not in (None, "", one.clr_type):
            continue
        made: dict[str, Any] = one.input()["data"]
        if asked.get("plan") is not True:
            answer = await party.ask("3203", one.input(), f"{key} 3203 {month} {one.clr_type} {one.clr_way}")
            said = member(answer.output, "data", "result")
            made |= {
                "outcome": answer.outcome,
                "msgid": answer.exchange.msgid,
                "clr_appy_evt_id": str(said.get("clr_appy_evt_id") or ""),
                "err_msg": answer.text,
            }
        told.append(made)
    outcomes = [one.get("outcome", "OK") for one in told]
    worst = next((one for one in ("UNKNOWN", "REJECTED") if one in outcomes), "OK")
    return {"outcome": worst, "month": month, "applications": told, "days": _days(party, month)}


async def _nothing_open(party: Party, key: str) -> None:
    """Raises Refused (JL-N215) while nobody knows what became of another application."""
    for state in ("sent", "UNKNOWN"):
        for one in await party.records.search(party.system, state=state, infno="3203", limit=1):
            if not one.key.startswith(f"{key} "):
                text = f"3203 {one.msgid} has no answer 清算申请结果未知: ask the centre, then say `anyway`"
                raise Refused("JL-N215", text)


def month_of(party: Party, asked: Mapping[str, Any]) -> str:
    """The month that is meant, of China's calendar. Raises Refused (JL-N214)."""
    first = datetime.fromtimestamp(party.ground.now(), CHINA).date().replace(day=1)
    month = str(asked.get("month") or f"{first - timedelta(days=1):%Y-%m}")
    try:
        days_of(month)
    except ValueError as error:
        raise Refused("JL-N214", str(error)) from None
    return month


async def month_rows(party: Party, month: str) -> dict[str, Row]:
    """Settlements and cancels of a month, by setl_id. Raises Refused (JL-N214) where one cannot be read."""
    begin, end = days_of(month)
    every, unread = await OurBooks(party.system, party.records).rows(begin, end)
    first = datetime.fromisoformat(begin).date()
    there = [one for one in unread if one.msgid[12:18] == f"{first:%Y%m}"]
    if there:
        raise Refused(
            "JL-N214", f"{there[0].msgid} {there[0].infno}: its amounts cannot be read: {there[0].text}"
        )
    return {row.setl_id: row for row in of_days(list(every.values()), begin, end)}


def _days(party: Party, month: str) -> dict[str, list[str]]:
    """What the day's accounts said: who applies for a month with unequal days is asked about them later."""
    begin, end = days_of(month)
    equal, unequal = set[str](), set[str]()
    for made in Kept(folder(party)).all(party.system):
        if begin <= made.begin and made.end <= end:
            (equal if made.equal else unequal).add(
                made.begin if made.begin == made.end else f"{made.begin} {made.end}"
            )
    return {"equal": sorted(equal), "unequal": sorted(unequal)}
