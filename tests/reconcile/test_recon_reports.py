"""Reports: what is added up, who is named, and that no cell is ever a formula."""

from __future__ import annotations

import io
import re
import zipfile
from typing import Any

import pytest
from recon_parts import DAY, NOON, back, pay

from config.errors import Refused
from router.reconcile.books import Books
from router.reconcile.compare import compare
from router.reconcile.reporting import tables_of, written
from router.reconcile.reports import Column, Day, Story, Table
from router.reconcile.written import as_csv, as_json, as_xlsx, masked
from schemas.statements.row import Row


def _his(row: Row, **other: Any) -> Row:
    return pay(row.number, row.fen, cashier="C01", terminal="W3", shift="早", department="心内科", **other)


OURS = [pay("A", method="native"), pay("B", 700, method="native"), back("RA", "A", 1000)]
CHANNEL = [pay("A", fee_fen=22), pay("B", 700, fee_fen=4), back("RA", "A", 1000, fee_fen=-6)]
HIS = [
    _his(OURS[0], business="outpatient", fund_fen=2040),
    _his(OURS[1], business="registration"),
    back("RA", "A", 1000, cashier="C01", terminal="W3", shift="早", department="心内科", approver="100017"),
]
WHOLE = Day("wechat", DAY, CHANNEL, OURS, HIS, credit_fen=3330, today_ms=NOON)


def _table(name: str, day: Day = WHOLE) -> Table:
    (made,) = tables_of(day, name)
    return made


def test_the_channels_report_says_what_the_bank_should_credit_and_what_is_missing() -> None:
    assert _table("channel").rows == [("wechat", 2, 4350, 1, 1000, 3350, 20, 3330, 3330, 0)]


def test_cashiers_departments_and_business_add_up_to_the_day() -> None:
    assert _table("cashiers").rows[0] == ("C01", "W3", "早", 2, 4350, 1, 1000, 3350)
    assert _table("cashiers").rows[-1] == ("total 合计", "", "", 2, 4350, 1, 1000, 3350)
    assert _table("departments").rows[0] == ("心内科", 2, 4350, 1, 1000, 3350)
    assert [row[0] for row in _table("business").rows] == ["", "outpatient", "registration", "total 合计"]


def test_refunds_have_their_approver_and_bills_their_composition() -> None:
    ((number, order, _, fen, state, _, approver),) = _table("refunds").rows
    assert (number, order, fen, state, approver) == ("RA", "A", 1000, "DONE", "100017")
    assert _table("composition").rows[0] == ("fund 统筹", 1, 2040)


def test_the_proof_sheet_has_all_books_side_by_side() -> None:
    rows = _table("proof").rows
    assert [row[5] for row in rows] == [3350, 3350, 3350, None]
    assert [row[6] for row in rows] == [0, 0, 0, None]


def test_differences_are_listed_with_how_long_they_took_and_people_are_masked() -> None:
    (item,) = compare(Books("wechat", [], [pay("A")]), DAY, DAY, "2026-01-09")
    story = Story(item, NOON, NOON + 7_200_000, "100017 finance", "of 110101199001010000")
    made = _table("breaks", Day("wechat", DAY, [], [], stories=[story], today_ms=NOON))
    text = as_csv(made).decode("utf-8-sig")
    assert "short" in text
    assert ",2,100017 finance,of 11**************00" in text


def test_whatever_stands_in_a_cell_no_spreadsheet_calculates_it() -> None:
    evil = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", '=HYPERLINK("http://x")', "http://x", "0012"]
    made = Table(
        "x", "=1", (Column("a"), Column("b", "free"), Column("c", "fen")), [(v, v, -5) for v in evil]
    )
    lines = as_csv(made).decode("utf-8-sig").splitlines()[1:]
    assert all(re.match(r"\"?'", line) or line.startswith(("http", "0012")) for line in lines if line)
    with zipfile.ZipFile(io.BytesIO(as_xlsx([made]))) as packed:
        sheet = packed.read("xl/worksheets/sheet1.xml").decode()
        strings = packed.read("xl/sharedStrings.xml").decode()
        assert not [name for name in packed.namelist() if "hyperlink" in name]
    assert "<f>" not in sheet
    assert "<hyperlink" not in sheet
    assert "=HYPERLINK" in strings
    assert "<v>-0.05</v>" in sheet


def test_a_report_that_nobody_knows_is_told_and_csv_is_one_report() -> None:
    with pytest.raises(Refused, match="JL-Q037"):
        tables_of(WHOLE, "weather")
    with pytest.raises(Refused, match="JL-Q037"):
        written(tables_of(WHOLE, ""), "csv")
    assert b"\xe5\x9b\x9b\xe6\x96\xb9" in as_json(tables_of(WHOLE, "proof"))
    assert masked("4200001234567890123456789012") == "4200001234567890123456789012"
