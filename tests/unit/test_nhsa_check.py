"""Inputs and outputs of insurance transactions beside their tables."""

from __future__ import annotations

import copy
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from schemas.json import Json
from schemas.nhsa.catalogue import UnknownTransaction, transaction, transactions
from schemas.nhsa.check import checker
from schemas.nhsa.sample import sample
from schemas.validation.base import CODE, MISSING, SIZE, TYPE, UNKNOWN, Fault

EVERY = [one.name for one in transactions()]


def faults(name: str, change: Callable[[Any], object]) -> list[Fault]:
    tree = copy.deepcopy(sample(transaction(name)))
    change(tree)
    return checker(transaction(name)).request(tree)


def one(name: str, change: Callable[[Any], object]) -> Fault:
    (fault,) = faults(name, change)
    return fault


@pytest.mark.parametrize("name", EVERY)
def test_the_sample_of_every_transaction_is_valid_both_ways(name: str) -> None:
    check = checker(transaction(name))
    for whole in (False, True):
        assert check.request(sample(transaction(name), whole=whole)) == []
        assert check.response(sample(transaction(name), side="out", whole=whole)) == []


@pytest.mark.parametrize("name", [name for name in EVERY if any(sample(transaction(name)).values())])
def test_whatever_is_required_is_missed_by_its_chinese_name_where_it_is_taken_away(name: str) -> None:
    for node in transaction(name).input:
        if not node.name or "." in node.name or not node.required:
            continue
        for field in node.fields:
            if field.required and not field.status:
                tree = sample(transaction(name))
                place = tree[node.name][0] if node.many else tree[node.name]
                place[field.name] = ""
                (fault,) = checker(transaction(name)).request(tree)
                assert fault.code == MISSING
                assert field.name_zh in fault.text
                assert fault.path.endswith(f"/{field.name}")


def test_a_fault_names_the_field_and_never_its_value() -> None:
    secret = "9" * 31
    assert one("2207", lambda tree: tree["data"].update(chrg_bchno=secret)) == (
        "/data/chrg_bchno",
        "chrg_bchno 收费批次号: has more than 30 characters 超长",
        SIZE,
    )
    fault = one("2204", lambda tree: tree["feedetail"].append(tree["feedetail"][0] | {"cnt": "dear"}))
    assert (fault.path, fault.code) == ("/feedetail/1/cnt", TYPE)
    assert "dear" not in fault.text


@pytest.mark.parametrize(
    "amount", ["86.50", Decimal("86.50"), 86, "-86.5", "86.500", Decimal("8.65E+1"), "0"]
)
def test_an_amount_may_be_a_number_or_text(amount: object) -> None:
    assert faults("2207", lambda tree: tree["data"].update(medfee_sumamt=amount)) == []


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        (86.5, TYPE),
        (True, TYPE),
        ("86,50", TYPE),
        ("8.65E1", TYPE),
        ("٨٦", TYPE),
        (" 86", TYPE),
        ([], TYPE),
        (Decimal("NaN"), TYPE),
        (Decimal("Infinity"), TYPE),
        ("9" * 200, TYPE),
        ("86.505", SIZE),
        (Decimal("86.505"), SIZE),
        (Decimal("1E-30"), SIZE),
        (10**14, SIZE),
        (Decimal("1E+99999"), SIZE),
    ],
)
def test_an_amount_that_is_none_is_refused(amount: object, code: str) -> None:
    assert one("2207", lambda tree: tree["data"].update(medfee_sumamt=amount)).code == code


@pytest.mark.parametrize(
    "day", ["2024-1-5", "2024-02-30", "20240115", "2024-W03-1", "2024-01-15 10:00:00", 20240115]
)
def test_a_date_has_one_form(day: object) -> None:
    fault = one("3201", lambda tree: tree["data"].update(stmt_begndate=day))
    assert (fault.code, "yyyy-MM-dd" in fault.text) == (TYPE, True)


@pytest.mark.parametrize(
    "time", ["2024-01-15T10:00:00", "2024-01-15", "2024-01-15 25:00:00", "2024-01-15 10:00", None]
)
def test_a_time_has_one_form(time: object) -> None:
    assert one("2204", lambda tree: tree["feedetail"][0].update(fee_ocur_time=time)).code in (TYPE, MISSING)


def test_codes_of_national_lists_are_held_and_those_of_local_ones_are_not() -> None:
    assert one("2207", lambda tree: tree["data"].update(insutype="999")).code == CODE
    assert faults("2207", lambda tree: tree["data"].update(med_type="9923")) == []
    assert faults("2207", lambda tree: tree["data"].update(acct_used_flag=1)) == []
    assert one("2207", lambda tree: tree["data"].update(acct_used_flag=7)).code == CODE


def test_a_node_is_an_object_or_a_list_as_its_table_says() -> None:
    assert (
        one("2207", lambda tree: tree.update(data=[tree["data"]])).text == "data: must be an object 应为对象"
    )
    assert one("2204", lambda tree: tree.update(feedetail={})).code == MISSING
    assert one("2204", lambda tree: tree.update(feedetail=tree["feedetail"][0])).text == (
        "feedetail: must be a list 应为列表"
    )
    tree: Any
    for tree in ([], None, "x", 1):
        assert checker(transaction("2207")).request(tree)


def test_a_misspelled_field_is_told_and_a_strange_one_passes() -> None:
    def misspell(tree: Any) -> None:
        tree["data"]["mdtrt_di"] = tree["data"].pop("mdtrt_id")

    missing, misspelled = faults("2207", misspell)
    assert (missing.code, misspelled.code) == (MISSING, UNKNOWN)
    assert "did you mean mdtrt_id 就诊ID?" in misspelled.text
    assert faults("2207", lambda tree: tree["data"].update(province_field="x", exp_content="{}")) == []


def test_a_misspelled_node_is_told_beside_the_one_that_is_missing() -> None:
    missing, misspelled = faults("2204", lambda tree: tree.update(feedetial=tree.pop("feedetail")))
    assert (missing.path, missing.code) == ("/feedetail", MISSING)
    assert (misspelled.path, misspelled.code) == ("/feedetial", UNKNOWN)
    assert "did you mean feedetail?" in misspelled.text
    assert one("2207", lambda tree: tree["data"].update(INVONO="1")).code == UNKNOWN, (
        "names are in small letters"
    )


def test_empty_values_leave_as_noughts_and_empty_texts() -> None:
    tree = sample(transaction("2204"))
    line = tree["feedetail"][0]
    line |= {"prd_days": None, "dise_codg": None, "rxno": 12, "strange": None}
    written = checker(transaction("2204")).normalized(tree)["feedetail"][0]
    assert written == line | {"prd_days": 0, "dise_codg": "", "rxno": "12", "strange": ""}
    assert line["prd_days"] is None, "what was given stays as it was"


def test_an_amount_leaves_without_a_letter_in_it() -> None:
    tree = sample(transaction("2207"))
    tree["data"] |= {"medfee_sumamt": Decimal("1E+3"), "overlmt_selfpay": Decimal("0E-10")}
    written = checker(transaction("2207")).normalized(tree)
    assert (str(written["data"]["medfee_sumamt"]), written["data"]["overlmt_selfpay"]) == ("1000", 0)
    assert b"E" not in Json().encode([written["data"]["medfee_sumamt"]])
    huge = checker(transaction("2207")).normalized({"data": {"medfee_sumamt": Decimal("1E+99999")}})
    assert huge["data"]["medfee_sumamt"] == Decimal("1E+99999"), "as it was: the checker refuses it"


def test_an_answer_lacks_only_what_is_needed() -> None:
    output = sample(transaction("2207"), side="out")
    check = checker(transaction("2207"))
    del output["setlinfo"]["psn_name"]
    output["setlinfo"]["gend"] = "nobody"
    assert check.response(output) == []
    del output["setlinfo"]["setl_id"]
    output["setlinfo"]["fund_pay_sumamt"] = "much"
    assert {fault.path for fault in check.response(output)} == {
        "/setlinfo/setl_id",
        "/setlinfo/fund_pay_sumamt",
    }
    assert [fault.path for fault in check.response({})] == ["/setlinfo"]
    assert check.response(None)
    assert checker(transaction("2205")).response(None) == []


def test_an_answer_that_is_a_list_itself_is_read() -> None:
    output = sample(transaction("5204"), side="out")
    assert isinstance(output, list)
    del output[0]["feedetl_sn"]
    assert [fault.path for fault in checker(transaction("5204")).response(output)] == ["/0/feedetl_sn"]


def test_another_spelling_is_as_good_and_leaves_as_the_table_has_it() -> None:
    tree = sample(transaction("2303"))
    tree["data"]["dscg_time"] = "2024-01-15"
    check = checker(transaction("2303"))
    assert check.request(tree) == []
    assert check.normalized(tree)["data"]["dscgTime"] == "2024-01-15"
    assert check.canonical({"setlinfo": {"psn_part_am": 1}}) == {"setlinfo": {"psn_part_amt": 1}}


def test_an_unknown_name_says_what_was_perhaps_meant() -> None:
    with pytest.raises(UnknownTransaction, match="did you mean 2207"):
        transaction("2207 ")
