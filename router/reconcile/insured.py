"""What 3201 and 3202 found of a day (医保对账), as sums: each difference is explained and signed too."""

from __future__ import annotations

import csv
import io

from endpoints.insurance.statement_kept import Statement
from endpoints.insurance.statement_report import differences
from schemas.nhsa.statement import Amounts, yuan
from schemas.nhsa.statement_judge import Difference

_CENTRE_ONLY = ("centre more", "HIS lacks")
_OURS_ONLY = ("hospital more", "record lacks", "no group")


def as_sums(made: Statement, day: str) -> bytes:
    """A statement of form `sums`."""
    out = io.StringIO()
    writer = csv.writer(out)
    rows = [_row(one) for one in differences(made)]
    writer.writerow(["day", day])
    writer.writerow(["class", "key", "theirs", "ours", "third", "text"])
    writer.writerows(rows)
    writer.writerow(["total", len(rows)])
    return out.getvalue().encode()


def _row(one: Difference) -> list[str]:
    key = one.setl_id or one.msgid
    text = f"{one.kind} {one.advice.en} {one.advice.zh}"[:200]
    centre, ours = one.centre, one.ours or one.his
    if one.kind in _CENTRE_ONLY:
        return ["insurance-only", key, _yuan(_whole(centre or ours)), "0", "", text]
    if one.kind in _OURS_ONLY:
        return ["his-only", key, "0", _yuan(_whole(ours or centre)), "", text]
    other = one.his if one.kind == "books differ" else centre
    theirs_fen, ours_fen = _apart(other, one.ours or one.his)
    return ["amount", key, _yuan(theirs_fen), _yuan(ours_fen), "", text]


def _apart(theirs: Amounts | None, ours: Amounts | None) -> tuple[int, int]:
    """The first amount that differs: the whole, the fund's, the account's."""
    for pair in zip(_amounts(theirs), _amounts(ours), strict=True):
        if pair[0] != pair[1]:
            return pair
    return 0, 1


def _amounts(one: Amounts | None) -> tuple[int, int, int, int]:
    if one is None:
        return 0, 0, 0, 0
    return abs(one.medfee_fen), abs(one.fund_fen), abs(one.account_fen), abs(one.cash_fen or 0)


def _whole(one: Amounts | None) -> int:
    """What is in question; of a row that names no amount, a fen: it is a difference all the same."""
    return _amounts(one)[0] or 1


def _yuan(fen: int) -> str:
    return str(yuan(fen))
