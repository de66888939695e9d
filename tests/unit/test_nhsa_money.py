"""The money identities of one transaction: sums made of their parts hold, and one fen more is found."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.nhsa.amounts import DIFFERS, MoneyRules, NoAmount, amount, product
from schemas.nhsa.money import problems
from schemas.validation.base import TYPE

HUNAN = MoneyRules()
GUANGDONG = MoneyRules(fund_holds_account=True)
FAMILY_BESIDE = MoneyRules(family_beside_account=True)
NO_HOSPITAL = MoneyRules(hospital_part=False)
PROVINCES = (HUNAN, GUANGDONG, FAMILY_BESIDE, NO_HOSPITAL, MoneyRules(True, True))
FEN = Decimal("0.01")

fen = st.integers(0, 50_000_00).map(lambda n: Decimal(n) / 100)


@st.composite
def settlements(draw: st.DrawFn, rules: MoneyRules, account_row: bool) -> dict[str, Any]:
    """An answer of 2207 made of its parts, as a centre of that province would make it."""
    parts = {name: draw(fen) for name in rules.fund_parts}
    account, cash, hospital = draw(fen), draw(fen), draw(fen) if rules.hospital_part else Decimal(0)
    family = draw(fen) if rules.family_beside_account else min(draw(fen), account)
    of_account = account + (family if rules.family_beside_account else 0)
    funds = sum(parts.values(), Decimal(0))
    total = funds + of_account + cash + hospital
    own, over, first = (draw(st.integers(0, int(total * 100) // 4)) for _ in range(3))
    policy = [Decimal(n) / 100 for n in (own, over, first)]
    rows = [{"fund_pay_type": "310100", "fund_payamt": parts["hifp_pay"]}]
    rows += [{"fund_pay_type": "910100", "fund_payamt": funds - parts["hifp_pay"]}]
    if account_row:
        rows.append({"fund_pay_type": "310200", "fund_payamt": of_account})
    setlinfo = {
        "medfee_sumamt": total,
        **dict(zip(("fulamt_ownpay_amt", "overlmt_selfpay", "preselfpay_amt"), policy, strict=True)),
        "inscp_scp_amt": total - sum(policy),
        **parts,
        "fund_pay_sumamt": funds + (of_account if rules.fund_holds_account else 0),
        "psn_part_amt": of_account + cash,
        "acct_pay": account,
        "acct_mulaid_pay": family,
        "psn_cash_pay": cash,
    }
    if rules.hospital_part:
        setlinfo["hosp_part_amt"] = hospital
    return {"setlinfo": setlinfo, "setldetail": rows}


@pytest.mark.parametrize("rules", PROVINCES)
@pytest.mark.parametrize("account_row", [False, True])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_settlement_made_of_its_parts_adds_up_and_one_fen_anywhere_is_found(
    rules: MoneyRules, account_row: bool, data: st.DataObject
) -> None:
    answer = data.draw(settlements(rules, account_row))
    assert problems("2207", {}, answer, rules) == []
    counted = [
        name for name in answer["setlinfo"] if name != "acct_mulaid_pay" or rules.family_beside_account
    ]
    name = data.draw(st.sampled_from([*counted, "row"]))
    node = answer["setlinfo"]
    if name == "row":
        node, name = data.draw(st.sampled_from(answer["setldetail"])), "fund_payamt"
    node[name] += data.draw(st.sampled_from([FEN, -FEN]))
    found = problems("2207", {}, answer, rules)
    assert {fault.code for fault in found} == {DIFFERS}
    assert all("0.01" in fault.text for fault in found)
    loose = MoneyRules(
        rules.fund_holds_account, rules.family_beside_account, rules.hospital_part, tolerance=FEN
    )
    assert problems("2207", {}, answer, loose) == []


SETLINFO = {
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


def test_a_difference_names_the_fields_and_how_much_it_is_in_two_languages_but_no_amount() -> None:
    [fault] = problems("2207", {}, {"setlinfo": {**SETLINFO, "fulamt_ownpay_amt": Decimal("6.47")}}, HUNAN)
    assert fault.path == "/setlinfo/medfee_sumamt"
    assert fault.text == (
        "medfee_sumamt is 0.03 more than fulamt_ownpay_amt + overlmt_selfpay + preselfpay_amt + inscp_scp_amt "
        "（医疗费总额比全自费金额、超限价自费费用、先行自付金额、符合政策范围金额之和多0.03）"
    )


def test_amounts_may_come_as_text_and_zero_as_nothing() -> None:
    written: dict[str, Any] = {name: str(value) for name, value in SETLINFO.items()}
    written |= {"cvlserv_pay": "", "oth_pay": None, "overlmt_selfpay": ""}
    assert problems("2206", {}, {"setlinfo": written}, HUNAN) == []


def test_5203_and_misprints_have_other_names_for_the_same_amounts() -> None:
    renamed: dict[str, Any] = dict(SETLINFO)
    renamed["psn_pay"], renamed["cash_payamt"] = renamed.pop("psn_part_amt"), renamed.pop("psn_cash_pay")
    assert problems("5203", {}, {"setlinfo": renamed}, HUNAN) == []
    renamed["cash_payamt"] += FEN
    [fault] = problems("5203", {}, {"setlinfo": renamed}, HUNAN)
    assert fault.path == "/setlinfo/psn_pay"


def test_the_province_decides_whether_the_fund_holds_the_account() -> None:
    held = {**SETLINFO, "fund_pay_sumamt": Decimal("70.40")}
    assert problems("2207", {}, {"setlinfo": held}, GUANGDONG) == []
    assert len(problems("2207", {}, {"setlinfo": held}, HUNAN)) == 2
    assert len(problems("2207", {}, {"setlinfo": SETLINFO}, GUANGDONG)) == 2


def test_a_family_account_within_the_account_cannot_be_more_than_it() -> None:
    assert problems("2207", {}, {"setlinfo": {**SETLINFO, "acct_mulaid_pay": 20}}, HUNAN) == []
    [fault] = problems("2207", {}, {"setlinfo": {**SETLINFO, "acct_mulaid_pay": 21}}, HUNAN)
    assert fault.path == "/setlinfo/acct_mulaid_pay"


def test_what_is_no_amount_is_said_and_hides_no_other_difference() -> None:
    wrong = {**SETLINFO, "hifp_pay": "NaN", "psn_cash_pay": Decimal("16.11")}
    found = problems("2207", {}, {"setlinfo": wrong}, HUNAN)
    assert [(fault.path, fault.code) for fault in found] == [
        ("/setlinfo/psn_part_amt", DIFFERS),
        ("/setlinfo/hifp_pay", TYPE),
    ]
    assert "NaN" not in found[1].text


@pytest.mark.parametrize(
    "value", ["NaN", "1e3", "12,50", "x", True, 1.5, [], "9" * 17, Decimal("Infinity"), 10**16]
)
def test_an_amount_is_an_exact_number_of_at_most_16_digits(value: Any) -> None:
    with pytest.raises(NoAmount):
        amount(value)


@pytest.mark.parametrize(
    "tree", [None, [], "x", {"setlinfo": None}, {"setlinfo": [1, "x"]}, {"setlinfo": {}}]
)
def test_a_tree_without_amounts_has_no_difference(tree: Any) -> None:
    assert problems("2207", tree, tree, HUNAN) == []
    assert problems("1101", tree, tree, HUNAN) == []


def line(**changed: Any) -> dict[str, Any]:
    return {
        "det_item_fee_sumamt": Decimal("36.51"),
        "cnt": Decimal("1.5000"),
        "pric": Decimal("24.336667"),
        "fulamt_ownpay_amt": Decimal("1.01"),
        "overlmt_amt": 0,
        "preselfpay_amt": Decimal("5.50"),
        "inscp_scp_amt": 30,
    } | changed


@pytest.mark.parametrize(
    ("infno", "node"), [("2204", "result"), ("2301", "result"), ("2102", "detlcutinfo"), ("5204", "output")]
)
def test_a_fee_line_is_count_times_price_and_the_sum_of_its_shares(infno: str, node: str) -> None:
    assert problems(infno, {}, {node: [line(), line()]}, HUNAN) == []
    [fault] = problems(infno, {}, {node: [line(), line(inscp_scp_amt=31)]}, HUNAN)
    assert fault.path == f"/{node}/1/det_item_fee_sumamt"
    assert "1.00 less than" in fault.text
    assert len(problems(infno, {}, {node: [line(cnt=2)]}, HUNAN)) == 1


def test_lines_of_5204_may_be_a_bare_list() -> None:
    [fault] = problems("5204", {}, [line(), line(cnt=3)], HUNAN)
    assert fault.path == "/1/det_item_fee_sumamt"


def test_lines_that_are_sent_are_looked_at_too_and_returns_are_negative() -> None:
    returned = {"cnt": Decimal("-1.5"), "pric": Decimal("0.03"), "det_item_fee_sumamt": Decimal("-0.05")}
    assert problems("2301", {"feedetail": [returned]}, None, HUNAN) == []
    [fault] = problems("2301", {"feedetail": [{**returned, "pric": 1}]}, None, HUNAN)
    assert fault.path == "/input/feedetail/0/det_item_fee_sumamt"


def test_half_a_fen_is_rounded_up_whichever_sign() -> None:
    assert product(Decimal("0.5"), Decimal("0.01")) == Decimal("0.01")
    assert product(Decimal("-0.5"), Decimal("0.01")) == Decimal("-0.01")


PAID = {"feeSumamt": "36.50", "ownPayAmt": "6.50", "psnAcctPay": "10.00", "fundPay": "20.00"}
REFUND = {"totlRefdAmt": "36.50", "cashRefdAmt": "6.50", "psnAcctRefdAmt": "10.00", "fundRefdAmt": "20.00"}


@pytest.mark.parametrize("wrapped", [False, True])
def test_mobile_payment_adds_up_in_orders_notices_and_refunds(wrapped: bool) -> None:
    def tree(node: dict[str, str]) -> dict[str, Any]:
        return {"data": node} if wrapped else node

    for name in ("MP-6202", "MP-6301"):
        assert problems(name, {}, tree(PAID), HUNAN) == []
        assert len(problems(name, {}, tree({**PAID, "fundPay": "20.01"}), HUNAN)) == 1
    assert len(problems("MP-6302", tree({**PAID, "fundPay": "20.01"}), None, HUNAN)) == 1
    assert problems("MP-6203", tree(REFUND), None, HUNAN) == []
    assert len(problems("MP-6203", tree({**REFUND, "cashRefdAmt": "0"}), None, HUNAN)) == 1


def test_an_upload_to_the_payment_centre_is_the_sum_of_its_lines_and_of_its_shares() -> None:
    order = {
        "medfeeSumamt": "36.50",
        "fulamtOwnpayAmt": "6.50",
        "preselfpayAmt": "0",
        "inscpScpAmt": "30.00",
        "feedetailList": [{"detItemFeeSumamt": "36.00"}, {"detItemFeeSumamt": "0.50"}],
    }
    assert problems("MP-6201", {"data": order}, None, HUNAN) == []
    order["feedetailList"] = [{"detItemFeeSumamt": "36.00"}]
    order["inscpScpAmt"] = "30.01"
    assert len(problems("MP-6201", {"data": order}, None, HUNAN)) == 2


def test_the_rows_of_a_settlement_list_add_up() -> None:
    row = {"amt": 10, "claa_sumfee": 4, "clab_amt": 3, "fulamt_ownpay_amt": 2, "oth_amt": 1}
    assert problems("4101", {"iteminfo": [row]}, None, HUNAN) == []
    [fault] = problems("4101", {"iteminfo": [row, {**row, "amt": 11}]}, None, HUNAN)
    assert fault.path == "/input/iteminfo/1/amt"


@pytest.mark.parametrize("value", ["1e999999999", "-1e99999999999", "1e16", "NaN", "sNaN", "Infinity"])
def test_a_number_that_no_field_has_room_for_is_no_amount_and_breaks_nothing(value: str) -> None:
    with pytest.raises(NoAmount):
        amount(Decimal(value))
    line = {"feedetl_sn": "F1", "det_item_fee_sumamt": Decimal(value), "cnt": 1, "pric": Decimal(value)}
    assert problems("2204", {"feedetail": [line]}, {"result": [line]}, HUNAN)
