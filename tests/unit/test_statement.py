"""A day's account: what 3201 is asked for, group by group, exact to the fen."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statement_parts import row, rows

from config.errors import BadMessage
from schemas.nhsa.statement import (
    FORMS,
    Amounts,
    Form,
    Key,
    Row,
    detail_input,
    fen,
    groups,
    of_days,
    row_of,
    total_input,
    yuan,
)

BASELINE, FOSHAN = FORMS["baseline"], FORMS["foshan"]
SETTLED: dict[str, Any] = {
    "setlinfo": {
        "setl_id": "S1",
        "mdtrt_id": "M1",
        "psn_no": "P1",
        "insutype": "310",
        "setl_time": "2026-01-15 10:30:01",
        "medfee_sumamt": Decimal("86.50"),
        "fund_pay_sumamt": "50.40",
        "acct_pay": 20,
        "psn_cash_pay": Decimal("16.1"),
        "clr_optins": "999900",
        "clr_type": "11",
        "medins_setl_id": "H1",
    },
    "setldetail": [],
}


@given(st.lists(rows, max_size=30), st.sampled_from(list(FORMS.values())))
def test_every_row_is_in_one_group_and_sums_are_exact_to_the_fen(day: list[Row], form: Form) -> None:
    made = groups(day, form)
    assert sorted(r.setl_id for group in made for r in group.rows) == sorted(r.setl_id for r in day)
    assert len({group.key for group in made}) == len(made)
    signs = [1 if form.cancels == "apart" or not r.cancel else -1 for r in day]
    for name in ("medfee_fen", "fund_fen", "account_fen"):
        whole = sum(sign * getattr(r.amounts, name) for sign, r in zip(signs, day, strict=True))
        assert sum(getattr(group, name) for group in made) == whole
    assert sum(group.cash_fen for group in made) == sum(
        sign * (r.amounts.cash_fen or 0) for sign, r in zip(signs, day, strict=True)
    )
    assert sum(group.count for group in made) == sum(signs)


def test_cancels_are_subtracted_also_in_number_where_the_province_has_one_group() -> None:
    (group,) = groups([row(1), row(2), row(3, cancel=True)], BASELINE)
    assert (group.medfee_fen, group.fund_fen, group.account_fen, group.cash_fen) == (8650, 5040, 2000, 1610)
    assert (group.count, group.key.flag) == (1, "")


def test_cancels_are_a_group_of_their_own_where_the_province_has_two() -> None:
    plain, cancelled = groups([row(1), row(2), row(3, cancel=True)], FOSHAN)
    assert (plain.key.flag, plain.count, plain.medfee_fen) == ("0", 2, 17300)
    assert (cancelled.key.flag, cancelled.count, cancelled.medfee_fen) == ("1", 1, 8650)


def test_a_group_that_must_be_asked_for_is_there_without_a_row() -> None:
    always = [Key("999900", "390", "21"), Key("999900", "310", "11")]
    made = groups([row(1)], BASELINE, always)
    assert [(group.key.insutype, group.count, group.medfee_fen) for group in made] == [
        ("310", 1, 8650),
        ("390", 0, 0),
    ]


def test_3201_and_3202_are_asked_with_two_decimals_and_the_province_s_name_of_the_flag() -> None:
    plain, _ = groups([row(1)], FOSHAN, [Key("999900", "310", "11")])
    asked = total_input(plain, "2026-01-15", "2026-01-16", FOSHAN)["data"]
    assert asked == {
        "insutype": "310",
        "clr_type": "11",
        "setl_optins": "999900",
        "stmt_begndate": "2026-01-15",
        "stmt_enddate": "2026-01-16",
        "medfee_sumamt": Decimal("86.50"),
        "fund_pay_sumamt": Decimal("50.40"),
        "acct_pay": Decimal("20.00"),
        "fixmedins_setl_cnt": 1,
        "REFD_SETL_FLAG": "0",
    }
    assert str(asked["acct_pay"]) == "20.00"
    detail = detail_input(plain, "2026-01-15", "2026-01-15", BASELINE, "F1")["data"]
    assert (detail["file_qury_no"], detail["cash_payamt"]) == ("F1", Decimal("16.10"))
    assert not {"acct_pay", "insutype"} & set(detail)


def test_the_answer_of_a_settlement_becomes_a_row() -> None:
    made = row_of("2207", {"data": {"psn_no": "P1", "insutype": "310"}}, SETTLED, "sent")
    assert made == row(1, msgid="H1")


def test_a_cancel_takes_what_its_answer_leaves_out_from_what_it_cancels() -> None:
    answered = {
        "setlinfo": {
            "setl_id": "S9",
            "setl_time": "2026-01-16 00:00:03",
            "medfee_sumamt": "-86.50",
            "fund_pay_sumamt": "-50.40",
            "acct_pay": "-20",
            "cash_payamt": "-16.10",
        }
    }
    asked = {"data": {"setl_id": "S1", "mdtrt_id": "M1", "psn_no": "P1"}}
    made = row_of("2208", asked, answered, "H9", row(1))
    assert (made.cancel, made.cancels, made.setl_id, made.mdtrt_id, made.psn_no) == (
        True,
        "S1",
        "S9",
        "M1",
        "P1",
    )
    assert (made.insutype, made.clr_type, made.setl_optins, made.day) == ("310", "11", "999900", "2026-01-16")
    assert made.amounts == Amounts(8650, 5040, 2000, 1610)


def test_a_clearing_type_that_nobody_says_is_that_of_the_transaction() -> None:
    said = {name: value for name, value in SETTLED["setlinfo"].items() if name != "clr_type"}
    assert row_of("2102", {"druginfo": {}}, {"setlinfo": said}).clr_type == "41"
    assert row_of("2304", {"data": {}}, {"setlinfo": said}).clr_type == "21"


@pytest.mark.parametrize("name", ["medfee_sumamt", "fund_pay_sumamt", "acct_pay"])
def test_an_answer_without_an_amount_is_no_row_and_the_field_is_named(name: str) -> None:
    said = {**SETTLED["setlinfo"], name: None}
    with pytest.raises(BadMessage, match="JL-N200") as refused:
        row_of("2207", {}, {"setlinfo": said})
    assert refused.value.path == name


def test_the_centre_s_day_counts() -> None:
    late = row(2, day="2026-01-16")
    assert of_days([row(1), late], "2026-01-15", "2026-01-15") == [row(1)]
    assert of_days([row(1), late], "2026-01-15", "2026-01-16") == [row(1), late]


@given(st.integers(-(10**16) + 1, 10**16 - 1))
def test_fen_to_yuan_and_back_loses_nothing(amount: int) -> None:
    assert fen(yuan(amount)) == amount
    assert fen(str(yuan(amount))) == amount


@pytest.mark.parametrize(
    "value",
    [
        "",
        "abc",
        "1.005",
        "NaN",
        "Infinity",
        "1e999999999",
        "-1e30",
        "100000000000000",
        "0." + "0" * 40 + "1",
        None,
    ],
)
def test_what_is_no_amount_to_the_fen_is_refused(value: Any) -> None:
    with pytest.raises(BadMessage, match="JL-N200"):
        fen(value, "acct_pay")
