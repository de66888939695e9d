"""A HIS as a party: each write is proved by the HIS' own query, by SOAP and by JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from his_parts import BODY, His

from config.errors import ConfigError, Refused
from endpoints.hisparty.profile import SHIPPED, load

BOTH = pytest.mark.parametrize("profile", ["one-string", "json-gateway"])


@BOTH
async def test_bills_are_held_posted_and_taken_back(profile: str) -> None:
    his = His(profile)
    books = his.billing.books
    unpaid = await his.ask("unpaid", {"patient_no": "P1"})
    assert unpaid["bills"] == [
        {"bill_no": "B1", "visit_no": "V1", "amount": "30.10"},
        {"bill_no": "B2", "visit_no": "V1", "amount": "6.40"},
    ]
    held = await his.ask("hold_bills", step="hold")
    assert (held["outcome"], held["count"], held["amount"]) == ("OK", 2, "36.50")
    posted = await his.ask("post_settlement")
    assert (posted["outcome"], posted["amount"], posted["receipt"]) == ("OK", "36.50", "H00000001")
    assert (books.records[0].settlement, books.records[0].step, books.records[0].key) == (
        "S1",
        "post",
        "S1/post",
    )
    assert (await his.ask("query_settlement", direction="probe", about="do"))["outcome"] == "OK"
    assert (await his.ask("query_settlement", direction="probe", about="undo"))["outcome"] == "ABSENT"
    assert (await his.ask("unpost_settlement", direction="undo"))["outcome"] == "OK"
    assert (await his.ask("query_settlement", direction="probe", about="undo"))["outcome"] == "OK"
    assert (books.live("post"), books.bills["B1"].paid) == ([], False)


@BOTH
async def test_a_post_that_comes_again_is_found_and_not_sent(profile: str) -> None:
    his = His(profile, dedupe=False)
    await his.ask("post_settlement")
    again = await his.ask("post_settlement")
    assert (again["outcome"], again["again"], len(his.billing.books.live("post"))) == ("OK", True, 1)


@BOTH
async def test_f38_a_post_that_was_done_and_not_answered_is_found_by_the_query(profile: str) -> None:
    his = His(profile)
    his.billing.behave("post_settlement", "cut", times=1)
    assert (await his.ask("post_settlement"))["outcome"] == "OK"
    assert len(his.billing.books.live("post")) == 1


@BOTH
async def test_f39_a_his_that_is_down_is_not_sent_anything(profile: str) -> None:
    his = His(profile)
    his.line.down = True
    told = await his.ask("post_settlement")
    assert (told["outcome"], told["code"]) == ("UNSENT", "JL-E220")
    his.line.down = False
    assert (await his.ask("post_settlement"))["outcome"] == "OK"


@BOTH
async def test_f40_a_bill_that_was_changed_is_a_no_and_nothing_stands(profile: str) -> None:
    his = His(profile)
    his.billing.books.bills["B2"].fen = 700
    told = await his.ask("post_settlement")
    assert told["outcome"] == "REJECTED"
    assert told["err_msg"] == "单据已变更，请重新查询"
    assert his.billing.books.live("post") == []


@BOTH
async def test_f41_a_post_that_stands_twice_is_nobodys_yes(profile: str) -> None:
    his = His(profile, dedupe=False)
    his.billing.behave("post_settlement", "twice", times=1)
    told = await his.ask("post_settlement")
    assert (told["outcome"], told["code"], told["count"]) == ("UNKNOWN", "JL-H011", 2)
    assert (await his.ask("query_settlement", direction="probe", about="do"))["outcome"] == "UNKNOWN"
    assert (await his.ask("post_settlement"))["code"] == "JL-H011"
    assert len(his.billing.books.live("post")) == 2


@BOTH
async def test_f42_a_yes_that_the_query_does_not_show_is_no_yes(profile: str) -> None:
    his = His(profile)
    his.billing.behave("post_settlement", "lie", times=1)
    told = await his.ask("post_settlement")
    assert (told["outcome"], told["code"]) == ("UNKNOWN", "JL-H010")
    assert (await his.ask("query_settlement", direction="probe", about="do"))["outcome"] == "ABSENT"
    assert (await his.ask("post_settlement"))["outcome"] == "OK"


@BOTH
async def test_half_a_post_is_nobodys_yes(profile: str) -> None:
    his = His(profile)
    his.billing.behave("post_settlement", "partial", times=1)
    told = await his.ask("post_settlement")
    assert (told["outcome"], told["code"], told["amount"]) == ("UNKNOWN", "JL-H012", "30.10")


@BOTH
async def test_a_query_that_nobody_can_read_keeps_the_post_back(profile: str) -> None:
    his = His(profile)
    his.billing.behave("query_settlement", "garbage", times=1)
    told = await his.ask("post_settlement")
    assert (told["outcome"], told["code"]) == ("UNSENT", "JL-H006")
    assert "post_settlement" not in his.billing.asked


@BOTH
async def test_a_yes_to_an_undo_that_the_query_does_not_show_is_no_yes(profile: str) -> None:
    his = His(profile)
    await his.ask("post_settlement")
    his.billing.behave("unpost_settlement", "lie", times=1)
    told = await his.ask("unpost_settlement", direction="undo")
    assert (told["outcome"], told["code"]) == ("UNKNOWN", "JL-H013")
    assert (await his.ask("unpost_settlement", direction="undo"))["outcome"] == "OK"
    again = await his.ask("unpost_settlement", direction="undo")
    assert (again["outcome"], again["again"]) == ("OK", True)


@BOTH
@pytest.mark.parametrize("kind", ["mute", "garbage", "half", "page", "error"])
async def test_an_answer_that_nobody_can_read_never_doubles_a_deposit(profile: str, kind: str) -> None:
    his = His(profile, dedupe=False)
    his.billing.books.stay("ZY1")
    body: dict[str, Any] = {"inpatient_no": "ZY1", "amount": "500.00", "method": "wechat"}
    his.billing.behave("post_deposit", kind, times=1)
    for _ in range(3):
        told = await his.ask("post_deposit", body, step="deposit")
    assert told["outcome"] == "OK"
    assert his.billing.books.balance("ZY1") == 50_000
    assert (await his.ask("deposit_balance", {"inpatient_no": "ZY1"}))["balance"] == "500.00"
    assert (await his.ask("unpost_deposit", body, "undo", step="deposit"))["outcome"] == "OK"
    listed = (await his.ask("deposits", {"inpatient_no": "ZY1"}))["deposits"]
    assert [(one["amount"], one["state"]) for one in listed] == [("500.00", "9")]
    assert (await his.ask("patient", {"patient_no": "P1"}))["name"] == "测试患者"
    assert (await his.ask("patient", {"patient_no": "P9"}))["outcome"] == "ABSENT"
    assert his.billing.books.balance("ZY1") == 0


@BOTH
async def test_admission_discharge_and_registration_are_proved_too(profile: str) -> None:
    his = His(profile)
    admitted = await his.ask("admit", {"patient": {"patient_no": "P1"}, "pay_type": "self"}, step="admit")
    assert admitted["outcome"] == "OK"
    stay = {"inpatient_no": admitted["inpatient_no"]}
    assert (await his.ask("discharge", stay, step="discharge"))["outcome"] == "OK"
    assert (await his.ask("cancel_discharge", stay, "undo", step="discharge"))["outcome"] == "OK"
    assert (await his.ask("cancel_admission", stay, "undo", step="admit"))["outcome"] == "OK"
    his.billing.books.slots["N1"] = 1200
    assert (await his.ask("slots", {"department": "D1", "day": "2026-01-06"}))["slots"] == [
        {"slot": "N1", "fee": "12.00"}
    ]
    body = {"patient": {"patient_no": "P1"}, "slot": "N1", "total": "12.00"}
    assert (await his.ask("lock_slot", body, step="lock"))["outcome"] == "OK"
    registered = await his.ask("register", body, step="register")
    assert (registered["outcome"], registered["amount"]) == ("OK", "12.00")
    assert (await his.ask("unregister", body, "undo", step="register"))["outcome"] == "OK"
    assert (await his.ask("unlock_slot", body, "undo", step="lock"))["outcome"] == "OK"


async def test_a_query_that_shows_nothing_does_not_prove_that_it_was_taken_back() -> None:
    """It showed it before: it lags. Where the HIS drops what was taken back, nothing is the proof."""
    his = His()
    await his.ask("hold_bills", step="hold")
    await his.ask("post_settlement")
    his.billing.behave("query_settlement", "lag", times=2)
    told = await his.ask("query_settlement", direction="probe", about="undo")
    assert (told["outcome"], told["code"]) == ("UNKNOWN", "JL-H015")
    assert (await his.ask("query_settlement", direction="probe", about="do"))["outcome"] == "ABSENT"
    assert (await his.ask("query_settlement", direction="probe", about="do"))["outcome"] == "OK"
    assert (await his.ask("query_hold", {}, "probe", "undo", "hold"))["outcome"] == "OK"


@BOTH
async def test_a_stay_is_insured_linked_and_settled_with_its_deposit(profile: str) -> None:
    his = His(profile)
    books = his.billing.books
    stay = books.stay("ZY1", "P1", 30_000)
    body = {"inpatient_no": "ZY1", "pay_type": "insured", "mdtrt_id": "M1"}
    assert (await his.ask("change_pay_type", body, step="change"))["outcome"] == "OK"
    assert (stay.pay_type, stay.mdtrt_id) == ("insured", "M1")
    linked = await his.ask("link_dialysis", {"inpatient_no": "ZY1", "total": "400.00"}, step="link")
    assert (linked["outcome"], linked["amount"]) == ("OK", "400.00")
    assert (await his.ask("unlink_dialysis", {}, "undo", step="link"))["outcome"] == "OK"
    await his.ask("post_deposit", {"inpatient_no": "ZY1", "amount": "500.00"}, step="deposit")
    settled = {"inpatient_no": "ZY1", "total": "300.00", "deposit": "300.00", "bills": []}
    assert (await his.ask("post_settlement", {**settled, "deposit": "501.00"}))["err_msg"] == "预交金余额不足"
    assert (await his.ask("post_settlement", settled))["amount"] == "300.00"
    assert (await his.ask("deposit_balance", {"inpatient_no": "ZY1"}))["balance"] == "200.00"


async def test_what_is_no_amount_is_refused_before_anything_is_sent() -> None:
    his = His()
    with pytest.raises(Refused, match="JL-H002"):
        await his.ask("post_settlement", {**BODY, "total": "36.505"})
    assert "post_settlement" not in his.billing.asked


async def test_what_the_profile_does_not_have_is_refused() -> None:
    with pytest.raises(Refused, match="JL-H001"):
        await His().ask("presettle")
    with pytest.raises(Refused, match="JL-H004"):
        await His().party.ask("post_settlement", BODY, {})


def test_the_profile_in_the_readme_is_one(tmp_path: Path) -> None:
    text = (SHIPPED.parent / "README.md").read_text("utf-8")
    own = next(part for part in text.split("```yaml\n") if part.startswith("his: ours")).partition("```")[0]
    (tmp_path / "ours.yaml").write_text(own, "utf-8")
    assert load(tmp_path / "ours.yaml").write("post_settlement") == ("query_settlement", "unpost_settlement")


def test_a_profile_that_is_wrong_says_where_and_what_was_meant(tmp_path: Path) -> None:
    text = (SHIPPED / "one-string.yaml").read_text("utf-8")
    text = text.replace("HospitalID: $hospital", "HospitalID: $hopital").replace("  ping:", "  pong:")
    (tmp_path / "wrong.yaml").write_text(text.replace("$.Balance|yuan", "$.Balance|dollar"), "utf-8")
    with pytest.raises(ConfigError) as wrong:
        load(tmp_path / "wrong.yaml")
    said = str(wrong.value)
    assert "$hopital is no name here" in said
    assert "'pong' is nothing that is asked of a HIS" in said
    assert "'dollar' is none of yuan, fen, number" in said


@BOTH
async def test_a_later_settlement_takes_back_what_an_earlier_one_posted(profile: str) -> None:
    his = His(profile)
    await his.ask("post_settlement")
    key = {"of": "S1/post"}
    assert (await his.ask("query_settlement", key, direction="probe", step="unpost"))["outcome"] == "ABSENT"
    assert (await his.ask("unpost_settlement", key, step="unpost"))["outcome"] == "OK"
    assert (await his.ask("query_settlement", key, direction="probe", step="unpost"))["outcome"] == "OK"
    again = await his.ask("unpost_settlement", key, step="unpost")
    assert (again["outcome"], again["again"], his.billing.books.live("post")) == ("OK", True, [])
