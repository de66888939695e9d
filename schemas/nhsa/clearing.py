"""A month's clearing with the centre (清算): what 3203 asks for, by type and way; rows of other places (3260)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

from config.errors import BadMessage
from schemas.nhsa.statement import Row, fen, yuan

_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


def days_of(month: str) -> tuple[str, str]:
    """The first and the last day of a month. Raises ValueError.

    >>> days_of("2026-02"), days_of("2026-12")
    (('2026-02-01', '2026-02-28'), ('2026-12-01', '2026-12-31'))
    """
    found = _MONTH.fullmatch(month)
    if found is None:
        raise ValueError(f"{month[:20]!r} is no month: 2026-01")
    first = date(int(found[1]), int(found[2]), 1)
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    return first.isoformat(), last.isoformat()


@dataclass(frozen=True, slots=True)
class Application:
    """What one 3203 asks for. Sums in fen; cancels are subtracted, also in number."""

    clr_type: str
    clr_way: str
    month: str
    count: int
    medfee_fen: int
    recognised_fen: int
    fund_fen: int
    cash_fen: int
    account_fen: int

    def input(self) -> dict[str, Any]:
        begin, end = days_of(self.month)
        data = {
            "clr_type": self.clr_type,
            "clr_way": self.clr_way,
            "setlym": self.month.replace("-", ""),
            "psntime": self.count,
            "medfee_sumamt": yuan(self.medfee_fen),
            "med_sumfee": yuan(self.recognised_fen),
            "fund_appy_sum": yuan(self.fund_fen),
            "cash_payamt": yuan(self.cash_fen),
            "acct_pay": yuan(self.account_fen),
            "begndate": begin,
            "enddate": end,
        }
        return {"data": data}


def applications(rows: Iterable[Row], month: str) -> list[Application]:
    """In the order of type and way. Of a settlement that does not say what is recognised, all of it is."""
    sums: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        sign = -1 if row.cancel else 1
        amounts = row.amounts
        recognised = amounts.medfee_fen if row.recognised_fen is None else row.recognised_fen
        parts = (
            1,
            amounts.medfee_fen,
            recognised,
            amounts.fund_fen,
            amounts.cash_fen or 0,
            amounts.account_fen,
        )
        found = sums.setdefault((row.clr_type, row.clr_way), [0] * 6)
        for place, part in enumerate(parts):
            found[place] += sign * part
    return [Application(*key, month, *sums[key]) for key in sorted(sums)]


Kind = Literal["equal", "centre more", "hospital more", "amounts"]


@dataclass(frozen=True, slots=True)
class Away:
    """One row of 3260, {} where the centre has none, and what we have of it, if anything."""

    said: Mapping[str, Any]
    kind: Kind
    ours: Row | None = None


def compared(said: Iterable[Mapping[str, Any]], rows: Mapping[str, Row], area: str) -> list[Away]:
    """Rows of the centre's month (3260) against ours, by setl_sn or else mdtrt_id: total, and what the office pays.

    Ours are those insured in another city than the institution's `area`, and not cancelled. Raises BadMessage (JL-N200)
    for an amount that is none.
    """
    cancelled = {row.cancels for row in rows.values() if row.cancel}
    by_visit = {row.mdtrt_id: row for row in rows.values() if not row.cancel}
    made = []
    for one in said:
        ours = rows.get(str(one.get("setl_sn"))) or by_visit.get(str(one.get("mdtrt_id")))
        if ours is None:
            made.append(Away(one, "centre more"))
            continue
        total = _fen(one, "medfee_sumamt"), _fen(one, "optins_pay_sumamt")
        same = total == (ours.amounts.medfee_fen, ours.amounts.fund_fen)
        made.append(Away(one, "equal" if same else "amounts", ours))
    known = {away.ours.setl_id for away in made if away.ours is not None}
    for row in rows.values():
        elsewhere = row.insuplc[:4] not in ("", area[:4])
        if elsewhere and not row.cancel and row.setl_id not in cancelled | known:
            made.append(Away({}, "hospital more", row))
    return made


def _fen(row: Mapping[str, Any], name: str) -> int:
    try:
        return fen(row.get(name), name)
    except BadMessage as error:
        raise BadMessage(error.code, f"3260: {error.text}", f"{row.get('seqno')}, {name}") from None


def confirmation(month: str, rows: Iterable[Away]) -> dict[str, Any]:
    """The input of 3261: every row that the centre gave, with cnfm_flag 1 where we agree."""
    names = ("certno", "mdtrt_id", "mdtrt_setl_time", "setl_sn", "medfee_sumamt", "optins_pay_sumamt")
    detail = []
    for row in rows:
        if row.said:
            given = {name: row.said.get(name) for name in names}
            detail.append({**given, "cnfm_flag": "1" if row.kind == "equal" else "0"})
    year, number = month.split("-")
    return {"data": {"trt_year": year, "trt_month": number, "totalrow": len(detail)}, "detail": detail}
