"""Whether the gateway's records, the centre's books and the HIS agree about what was done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from deploy.sandbox.centre import Centre
from deploy.sandbox.centre.books import Settlement, holds
from endpoints.insurance.records import Records
from endpoints.insurance.statement_books import CHINA
from schemas.nhsa.catalogue import transaction
from tests.insurance.desk import Desk
from tests.insurance.visits import Visit

_NO_END = ("sent", "UNKNOWN", "PROCESSING")
# Amounts of an answer, and the centre's own words for them.
_AMOUNTS = {
    "medfee_sumamt": "medfee",
    "fulamt_ownpay_amt": "fulamt_ownpay",
    "overlmt_selfpay": "overlmt",
    "preselfpay_amt": "preselfpay",
    "inscp_scp_amt": "inscp_scp",
    "hifp_pay": "hifp",
    "cvlserv_pay": "cvlserv",
    "hifob_pay": "hifob",
    "hifmi_pay": "hifmi",
    "maf_pay": "maf",
    "psn_part_amt": "psn_part",
    "psn_cash_pay": "psn_cash",
    "acct_mulaid_pay": "family_acct",
}


async def differences(
    centre: Centre, records: Records, visits: Iterable[Visit], repeats: bool = False
) -> list[str]:
    """What is not as it must be, in words; [] where all agree. `repeats`: the way there doubles messages."""
    held, wrong = list(visits), await _unknown(centre, records)
    twice = [
        f"{m.infno} {m.msgid} arrived {m.times} times" for m in centre.books.msgids.values() if m.times > 1
    ]
    return [*await _unended(records), *wrong, *([] if repeats else twice), *_of_visits(centre, held)]


async def day_end(desks: Iterable[Desk]) -> list[str]:
    """What the centre (3201, 3202) says of the day's account of each institution; [] where all is equal."""
    today = datetime.now(CHINA).date()  # and the day before, for a test that runs over midnight
    wrong = []
    for desk in desks:
        told = (
            await desk.party.send(
                "statement", {"from": f"{today - timedelta(days=1)}", "to": f"{today + timedelta(days=1)}"}
            )
        ).whole
        wrong += [] if told["equal"] else [f"day end: {told['differences']}"]
    return wrong


async def _unended(records: Records) -> list[str]:
    """But for uploads that overwrite: nobody needs to know what became of one that was sent again."""
    found = [one for state in _NO_END for one in await records.search(state=state, limit=1000)]
    open_ = [one for one in found if transaction(one.infno).undoing.probes or not _overwrites(one.infno)]
    return [f"{one.infno} {one.msgid} is still {one.state}" for one in open_]


def _overwrites(infno: str) -> bool:
    return transaction(infno).undoing.repeatable


async def _unknown(centre: Centre, records: Records) -> list[str]:
    """Nothing reached the centre that was not written down before, and nothing is OK that was refused."""
    wrong = []
    newest = {one.msgid: one for one in await records.search(limit=1000)}
    for arrived in centre.books.msgids.values():
        kept = newest.get(arrived.msgid) or await records.find(arrived.msgid)
        if kept is None:
            wrong.append(f"{arrived.infno} {arrived.msgid} arrived, and nobody wrote it down")
        # Of reversals the last one tells: those before it are over, however they ended.
        elif kept.state == "OK" and arrived.outcome != "0" and arrived.infno != "2601":
            wrong.append(f"{arrived.infno} {arrived.msgid} is OK here, and {arrived.outcome} there")
    return wrong


def _of_visits(centre: Centre, visits: list[Visit]) -> Iterator[str]:
    books = centre.books
    known = {visit.mdtrt_id for visit in visits if visit.mdtrt_id}
    for visit in visits:
        name = f"{type(visit).__name__} {visit.number}"
        settled = books.settled(visit.mdtrt_id) if visit.mdtrt_id else []
        if [one.setl_id for one in settled] != ([visit.setl_id] if visit.setl_id else []):
            yield f"{name}: {len(settled)} settlements hold there, here {visit.setl_id or 'none'}"
        elif settled:
            yield from (f"{name}: {one}" for one in amounts(settled[0], visit.settled))
        lines = {line["feedetl_sn"] for line in visit.lines} if visit.mdtrt_id else set()
        if lines != {fee.feedetl_sn for fee in books.lines(visit.mdtrt_id)}:
            yield f"{name}: other fee lines there than here"
    for mdtrt_id, one in books.visits.items():
        if one.state != "void" and mdtrt_id not in known:
            yield f"{mdtrt_id}: a visit holds there of which nobody knows here"
    for settlement in books.settlements.values():
        if holds(settlement) and settlement.mdtrt_id not in known:
            yield f"{settlement.setl_id}: a settlement holds there of which nobody knows here"
    yield from _accounts(centre)


def amounts(booked: Settlement, told: Any) -> list[str]:
    """What was booked against what was told, to the fen."""
    return [
        f"{name} is {told[name]}, and {fen} fen are booked"
        for name, own in _AMOUNTS.items()
        if told.get(name) not in (None, "")
        and Decimal(told[name]) * 100 != (fen := getattr(booked.split, own))
    ]


def _accounts(centre: Centre) -> Iterator[str]:
    """Each account is what it was, less what the settlements that hold took."""
    books = centre.books
    for person in centre.persons:
        paid = [one.split for one in books.settlements.values() if holds(one) and one.psn_no == person.psn_no]
        left = person.balance_fen - sum(one.own_acct for one in paid)
        family = person.family_fen - sum(one.family_acct for one in paid)
        account = books.accounts[person.psn_no]
        if (account.balance_fen, account.family_fen) != (left, family):
            yield f"{person.psn_no}: the account is not what its settlements leave"
