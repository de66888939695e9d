"""`insurance.cross_region`: a month's settlements of people insured elsewhere (异地清分): 3260 against ours, then 3261.

A message is `{"month": "2026-01"}`, `{}` for the month before this one: the centre's rows are fetched and compared.
With `confirm: true` they are confirmed where all agree; with `accept: true` also where some do not (those with
cnfm_flag 0). `{"month", "withdraw": msgid}` takes a confirmation back (3262), by the msgid that it had.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from config.errors import BadMessage, Refused
from endpoints.insurance.centre import PartyCentre
from endpoints.insurance.files import Answer, nothing, settled
from endpoints.insurance.operations.base import body_of, operation, receipt
from endpoints.insurance.operations.clearing import month_of, month_rows
from endpoints.insurance.party import Party
from endpoints.insurance.steps import only
from schemas.message import Message, Receipt
from schemas.nhsa.clearing import Away, compared, confirmation
from schemas.nhsa.statement import yuan

MOST_ROWS = 20_000
# Common practice: no table says how it is told that there are no more.
_OVER = re.compile(r"没有更多|无更多|已到最后|未查询到|no more", re.IGNORECASE)


@operation("cross_region")
async def cross_region(party: Party, message: Message) -> Receipt:
    """The comparison, and what became of the confirmation."""
    tree = body_of(message, party.options.max_input)
    only(tree, "month", "confirm", "accept", "withdraw", "scheduled", "previous")
    told = await compare(party, tree, message.id)
    return receipt(told["outcome"], told)


async def compare(party: Party, tree: Mapping[str, Any], key: str) -> dict[str, Any]:
    """`{"outcome", "month", "equal", "rows": [{"kind", "setl_sn", ..., "ours"}], "confirmed": the answer of 3261}`."""
    month = month_of(party, tree)
    year, number = month.split("-")
    if msgid := tree.get("withdraw"):
        asked = {"trt_year": year, "trt_month": number, "otransid": str(msgid)}
        answer = await party.ask("3262", asked, f"{key} 3262 {msgid}")
        return answer.tree()
    area = party.options.mdtrtarea_admvs
    try:
        rows = compared(await fetched(party, year, number), await month_rows(party, month), area)
    except BadMessage as error:
        raise Refused(error.code, f"{error.text} {error.path}") from None
    agreed = all(row.kind == "equal" for row in rows)
    told: dict[str, Any] = {
        "outcome": "OK",
        "month": month,
        "equal": agreed,
        "rows": [_row(row) for row in rows],
    }
    if rows and (tree.get("accept") is True or (tree.get("confirm") is True and agreed)):
        answer = await party.ask("3261", confirmation(month, rows), f"{key} 3261 {month}")
        told |= {"outcome": answer.outcome, "confirmed": answer.tree()}
    return told


async def fetched(party: Party, year: str, number: str) -> list[Mapping[str, Any]]:
    """All rows of 3260, which gives one or some at a time. Raises Refused and Unreachable."""
    centre, rows = PartyCentre(party), list[Mapping[str, Any]]()
    while len(rows) < MOST_ROWS:
        asked = {"trt_year": year, "trt_month": number, "startrow": len(rows) + 1}
        answer = await centre.call("3260", asked)
        if answer.outcome == "REJECTED" and (nothing(answer) or _OVER.search(answer.text)):
            return rows
        more = _rows(settled(answer, "3260"))
        if not more:
            return rows
        rows += more
    raise Refused("JL-N214", f"3260: more than {MOST_ROWS} rows")


def _rows(answer: Answer) -> list[Mapping[str, Any]]:
    said: Any = answer.output
    if isinstance(said, Mapping):
        lists = [value for value in said.values() if isinstance(value, list)]
        said = lists[0] if lists else [said]
    return [row for row in said or () if isinstance(row, Mapping) and row.get("setl_sn")]


def _row(row: Away) -> dict[str, Any]:
    """Without the identity number, which the centre's row has."""
    names = ("seqno", "mdtrt_id", "setl_sn", "mdtrt_setl_time", "medfee_sumamt", "optins_pay_sumamt")
    ours = (
        {"setl_id": row.ours.setl_id, "medfee_sumamt": yuan(row.ours.amounts.medfee_fen)}
        if row.ours
        else None
    )
    return {"kind": row.kind, **{name: row.said.get(name) for name in names}, "ours": ours}
