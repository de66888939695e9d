"""What Alipay's answers mean, by code and field."""

from __future__ import annotations

import pytest

from endpoints.payment.alipay.answers import fen, of_pay, of_refund, of_refund_query, of_trade, outcome
from endpoints.payment.alipay.gateway import Said


@pytest.mark.parametrize(
    ("code", "sub_code", "means"),
    [
        ("10000", "", "OK"),
        ("10003", "", "PROCESSING"),
        ("20000", "isp.unknow-error", "UNKNOWN"),
        ("20000", "", "UNKNOWN"),
        ("", "", "UNKNOWN"),
        ("40004", "ACQ.SYSTEM_ERROR", "UNKNOWN"),
        ("40004", "ACQ.BUYER_BALANCE_NOT_ENOUGH", "REJECTED"),
        ("40002", "isv.invalid-app-id", "REJECTED"),
    ],
)
def test_a_code_means_one_of_four_things(code: str, sub_code: str, means: str) -> None:
    assert outcome(Said(code, sub_code)) == means


@pytest.mark.parametrize(
    ("status", "paid", "state", "amount"),
    [
        ("WAIT_BUYER_PAY", "", "PAYING", 0),
        ("TRADE_SUCCESS", "2026-01-05 12:00:00", "PAID", 3650),
        ("TRADE_FINISHED", "2026-01-05 12:00:00", "PAID", 3650),
        ("TRADE_CLOSED", "2026-01-05 12:00:00", "REFUNDED", 3650),
        ("TRADE_CLOSED", "", "CLOSED", 0),
        ("SOMETHING_NEW", "", "UNKNOWN", 0),
    ],
)
def test_a_closed_trade_was_refunded_where_it_was_paid_once(
    status: str, paid: str, state: str, amount: int
) -> None:
    fields = {"trade_status": status, "total_amount": "36.50", "send_pay_date": paid, "trade_no": "T1"}
    seen = of_trade(fields)
    assert (seen.state, seen.fen, seen.channel_no, bool(seen.at_ms)) == (state, amount, "T1", bool(paid))


def test_a_number_that_exists_already_is_asked_about() -> None:
    for code in ("ACQ.TRADE_HAS_SUCCESS", "ACQ.TRADE_HAS_CLOSE", "ACQ.CONTEXT_INCONSISTENT"):
        assert of_pay(Said("40004", code)) is None


def test_no_change_of_funds_is_no_failure_of_a_refund_and_no_success_either() -> None:
    assert of_refund(Said("10000", fields={"fund_change": "N"}), 500) is None
    done = of_refund(Said("10000", fields={"fund_change": "Y"}), 500)
    assert done is not None
    assert (done.state, done.fen) == ("SUCCESS", 500)


@pytest.mark.parametrize(
    ("code", "sub_code", "state"),
    [
        ("40004", "ACQ.SELLER_BALANCE_NOT_ENOUGH", "ABNORMAL"),  # it is owed still
        ("40004", "ACQ.TRADE_HAS_FINISHED", "FAILED"),
        ("40004", "ACQ.SYSTEM_ERROR", "UNKNOWN"),
        ("20000", "", "UNKNOWN"),
    ],
)
def test_a_refund_that_did_not_go_says_whether_it_is_owed(code: str, sub_code: str, state: str) -> None:
    seen = of_refund(Said(code, sub_code), 500)
    assert seen is not None
    assert seen.state == state


def test_a_refund_is_found_only_where_its_status_and_its_amount_say_so() -> None:
    found = {
        "refund_status": "REFUND_SUCCESS",
        "refund_amount": "5.00",
        "gmt_refund_pay": "2026-01-05 12:00:00",
    }
    assert of_refund_query(Said("10000", fields=found), 500).state == "SUCCESS"
    assert of_refund_query(Said("10000", fields={**found, "refund_amount": "4.00"}), 500).state == "UNKNOWN"
    assert of_refund_query(Said("10000"), 500).state == "ABSENT"
    assert of_refund_query(Said("40004", "ACQ.TRADE_NOT_EXIST"), 500).state == "ABSENT"
    assert of_refund_query(Said("40004", "ACQ.SYSTEM_ERROR"), 500).state == "UNKNOWN"


def test_what_is_no_amount_is_nothing() -> None:
    assert [fen(one) for one in ("36.50", "", None, "NaN", "Infinity", "x", "1e3")] == [
        3650,
        0,
        0,
        0,
        0,
        0,
        100_000,
    ]
