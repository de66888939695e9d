"""What a difference in a day's account means, and what to do."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from statement_parts import row

from schemas.nhsa.statement import FORMS, Amounts, Key, Row
from schemas.nhsa.statement_files import Result, results
from schemas.nhsa.statement_judge import Asked, Books, Difference, between, judge, unkeyed

OUT, IN = Key("999900", "310", "11"), Key("999900", "310", "21")
MSGID = row(1).msgid


def said(
    rslt: str, *, number: int = 1, msgid: str = MSGID, flag: str = "0", sums: str = "86.50\t50.40\t20.00"
) -> Result:
    line = f"P{number}\tM{number}\tS{number}\t{msgid or 'null'}\t{rslt}\t{flag}\tmemo\t{sums}"
    (made,) = results(line.encode(), FORMS["baseline"])
    return made


def books(*ours: Row, his: tuple[Row, ...] | None = None, asked: Mapping[str, Asked] | None = None) -> Books:
    known = asked or {}
    by_id = None if his is None else {one.setl_id: one for one in his}
    return Books({one.setl_id: one for one in ours}, by_id, known.get)


def judged(result: Result, known: Books, key: Key = OUT) -> Difference:
    (made,) = judge([result], key, known)
    return made


def test_equal_rows_are_no_differences() -> None:
    assert judge([said("0")], OUT, books(row(1))) == []


@pytest.mark.parametrize("state", ["sent", "UNKNOWN", "PROCESSING", "REJECTED", "REVERSED"])
def test_what_the_centre_has_of_a_request_without_a_good_answer_is_reversed_by_its_msgid(state: str) -> None:
    made = judged(said("1"), books(asked={MSGID: Asked("2207", state)}))
    assert (made.kind, made.advice.transaction) == ("centre more", "2601")
    assert made.advice.input == {"psn_no": "P1", "omsgid": MSGID, "oinfno": "2207"}


@pytest.mark.parametrize(
    ("key", "flag", "oinfno"),
    [
        (OUT, "0", "2207"),
        (OUT, "1", "2208"),
        (IN, "0", "2304"),
        (IN, "1", "2305"),
        (Key("9", "310", "41"), "0", "2102"),
    ],
)
def test_what_nobody_here_knows_is_looked_at_before_it_is_reversed(key: Key, flag: str, oinfno: str) -> None:
    made = judged(said("1", flag=flag), books(), key)
    assert (made.advice.transaction, made.advice.input) == (
        "5203",
        {"setl_id": "S1", "mdtrt_id": "M1", "psn_no": "P1"},
    )
    assert f"2601 (omsgid {MSGID}, oinfno {oinfno})" in made.advice.en
    assert "移动支付" in made.advice.zh


def test_without_a_msgid_or_a_known_transaction_it_is_cancelled_if_at_all() -> None:
    assert "nobody wants it, 2208" in judged(said("1", msgid=""), books()).advice.en
    assert "2208 or 2305" in judged(said("1"), books(), Key("9", "310", "99")).advice.en


def test_a_settlement_that_only_the_his_lost_is_booked_there_or_cancelled_never_reversed() -> None:
    made = judged(said("1"), books(row(1), his=(), asked={MSGID: Asked("2207", "OK")}))
    assert made.advice.transaction == "2208"
    assert made.advice.input == {"setl_id": "S1", "mdtrt_id": "M1", "psn_no": "P1"}
    lost = judged(said("1", flag="1"), books(row(1, cancel=True, infno="2208"), his=()))
    assert lost.advice.transaction == ""


def test_what_both_have_is_perhaps_of_another_group() -> None:
    assert judged(said("1"), books(row(1))).advice.transaction == ""


def test_what_only_the_hospital_has_is_its_own_to_correct() -> None:
    made = judged(said("2"), books(row(1)))
    assert (made.kind, made.advice.transaction, made.ours) == ("hospital more", "5203", row(1).amounts)
    assert judged(said("2", flag="1"), books(row(1, cancel=True))).advice.transaction == ""


def test_differing_amounts_are_shown_of_all_three_books() -> None:
    other = row(1, amounts=Amounts(8000, 5040, 2000, 960))
    made = judged(said("3", sums="90.00\t50.40\t20.00"), books(row(1), his=(other,)))
    assert (made.kind, made.advice.transaction) == ("amounts", "5203")
    assert (made.centre, made.ours, made.his) == (Amounts(9000, 5040, 2000), row(1).amounts, other.amounts)


def test_a_word_that_nobody_knows_is_judged_by_the_rows_themselves() -> None:
    assert judge([said("000103")], OUT, books(row(1))) == []
    assert judged(said("000103"), books()).kind == "centre more"
    assert judged(said("000103", sums="1.00\t0\t0"), books(row(1))).kind == "amounts"


def test_the_his_s_list_and_our_records_are_held_against_each_other() -> None:
    ours = {one.setl_id: one for one in (row(1), row(2), row(3))}
    his = {one.setl_id: one for one in (row(1), row(3, amounts=Amounts(1, 1, 0)), row(4))}
    made = between(ours, his, lambda one: "")
    assert [(one.setl_id, one.kind) for one in made] == [
        ("S2", "HIS lacks"),
        ("S3", "books differ"),
        ("S4", "record lacks"),
    ]
    assert [one.advice.transaction for one in made] == ["2208", "", ""]


def test_a_sign_or_a_missing_cash_is_no_difference() -> None:
    ours, his = row(1, cancel=True), row(1, cancel=True, amounts=Amounts(-8650, -5040, -2000, None))
    assert between({"S1": ours}, {"S1": his}, lambda one: "") == []


def test_a_row_that_cannot_be_declared_is_said() -> None:
    (made,) = unkeyed([row(1), row(2, insutype="")], {}, lambda one: "")
    assert (made.kind, made.setl_id) == ("no group", "S2")
