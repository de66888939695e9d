"""The money identities between calls: what one call said is what the next one says."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from schemas.nhsa.amounts import DISAGREES, MoneyRules
from schemas.nhsa.money_calls import (
    lines_and_total,
    paid_and_refunded,
    preview_and_input,
    preview_and_settlement,
    settlement_and_cancel,
    settlements_and_statement,
)
from schemas.validation.base import TYPE, Fault

RULES = MoneyRules()
SETLINFO: dict[str, Any] = {
    "medfee_sumamt": Decimal("86.50"),
    "fulamt_ownpay_amt": Decimal("6.50"),
    "overlmt_selfpay": 0,
    "preselfpay_amt": 8,
    "inscp_scp_amt": 72,
    "hifp_pay": Decimal("50.40"),
    "fund_pay_sumamt": Decimal("50.40"),
    "psn_part_amt": Decimal("36.10"),
    "acct_pay": 20,
    "psn_cash_pay": Decimal("16.10"),
}


def told(faults: list[Fault]) -> list[tuple[str, str]]:
    return [(fault.path, fault.code) for fault in faults]


def test_all_lines_of_a_batch_are_its_total() -> None:
    lines: list[dict[str, Any]] = [
        {"det_item_fee_sumamt": "36.50"},
        {"det_item_fee_sumamt": 60},
        {"det_item_fee_sumamt": -10},
    ]
    assert lines_and_total(lines, SETLINFO, RULES) == []
    assert told(lines_and_total(lines[:2], SETLINFO, RULES)) == [("/medfee_sumamt", DISAGREES)]


@pytest.mark.parametrize("name", ["medfee_sumamt", "fulamt_ownpay_amt", "preselfpay_amt", "inscp_scp_amt"])
def test_a_settlement_is_asked_with_the_amounts_of_its_preview(name: str) -> None:
    data = {key: SETLINFO[key] for key in list(SETLINFO)[:5]}
    assert preview_and_input(SETLINFO, data, RULES) == []
    data[name] += Decimal("0.01")
    assert told(preview_and_input(SETLINFO, data, RULES)) == [(f"/{name}", DISAGREES)]


@pytest.mark.parametrize("name", ["fund_pay_sumamt", "acct_pay", "psn_cash_pay", "psn_part_amt"])
def test_a_settlement_is_what_its_preview_said(name: str) -> None:
    assert preview_and_settlement(SETLINFO, SETLINFO, RULES) == []
    settled = {**SETLINFO, name: SETLINFO[name] - Decimal("0.01")}
    assert told(preview_and_settlement(SETLINFO, settled, RULES)) == [(f"/{name}", DISAGREES)]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_cancel_is_all_of_its_settlement_whichever_sign_it_has(sign: int) -> None:
    cancelled = {name: sign * value for name, value in SETLINFO.items()}
    assert settlement_and_cancel(SETLINFO, cancelled, RULES) == []
    cancelled["hifp_pay"] += Decimal("0.01")
    assert told(settlement_and_cancel(SETLINFO, cancelled, RULES)) == [("/hifp_pay", DISAGREES)]


def test_a_mobile_refund_is_all_that_was_paid() -> None:
    paid = {"feeSumamt": "36.50", "ownPayAmt": "6.50", "psnAcctPay": "10", "fundPay": "20"}
    refund = {
        "totlRefdAmt": Decimal("36.5"),
        "cashRefdAmt": "6.50",
        "psnAcctRefdAmt": "10.00",
        "fundRefdAmt": "20",
    }
    assert paid_and_refunded(paid, refund, RULES) == []
    assert told(paid_and_refunded(paid, {**refund, "cashRefdAmt": "6.49"}, RULES)) == [
        ("/cashRefdAmt", DISAGREES)
    ]


def test_a_statement_is_the_sum_of_its_settlements_less_the_cancels() -> None:
    claimed = {
        "medfee_sumamt": Decimal("173.00"),
        "fund_pay_sumamt": Decimal("100.80"),
        "acct_pay": 40,
        "cash_payamt": Decimal("32.20"),
        "fixmedins_setl_cnt": 2,
    }
    two = [SETLINFO, SETLINFO]
    assert settlements_and_statement(two, [], claimed, RULES) == []
    assert told(settlements_and_statement(two, [], {**claimed, "fixmedins_setl_cnt": "3"}, RULES)) == [
        ("/fixmedins_setl_cnt", DISAGREES)
    ]
    assert settlements_and_statement([*two, SETLINFO], [SETLINFO], claimed, RULES) == []
    minus = {name: -value for name, value in SETLINFO.items()}
    assert settlements_and_statement([*two, SETLINFO], [minus], claimed, RULES) == []
    assert settlements_and_statement(two, [minus], claimed, RULES, apart=True) == []
    assert len(settlements_and_statement(two, [minus], claimed, RULES)) == 4


def test_what_is_no_amount_is_said() -> None:
    assert told(preview_and_settlement(SETLINFO, {**SETLINFO, "acct_pay": "much"}, RULES)) == [
        ("/acct_pay", TYPE)
    ]
