"""An outpatient at the insurance centre: what it books, in which order, and what undoes it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal as D

import pytest
from centre_parts import Hospital, agreed, bill, charged, key, line, registration, signed_in, visited


@pytest.fixture
async def hospital() -> AsyncIterator[Hospital]:
    async with signed_in() as made:
        yield made


async def test_a_visit_goes_from_registration_to_settlement(hospital: Hospital) -> None:
    patient, books = hospital.patient, hospital.centre.books
    told = await hospital.done("1101", {"data": {"mdtrt_cert_type": "02", "mdtrt_cert_no": patient.certno}})
    assert told["baseinfo"]["psn_no"] == patient.psn_no
    assert told["insuinfo"][0]["balc"] == D("2000.00")
    mdtrt_id = await charged(hospital)
    seen = (await hospital.done("2206", bill(patient, mdtrt_id, "86.50")))["setlinfo"]
    assert "setl_id" not in seen
    assert not books.settlements
    # In scope: 50 + 27; the deductible takes 50, the fund 70 % of the rest, the account what is left.
    assert (seen["inscp_scp_amt"], seen["act_pay_dedc"], seen["hifp_pay"]) == (
        D("77.00"),
        D("50.00"),
        D("18.90"),
    )
    made = await hospital.done("2207", bill(patient, mdtrt_id, "86.50", **agreed(seen)))
    setl = made["setlinfo"]
    assert {**setl, "setl_id": 0, "setl_time": 0, "medins_setl_id": 0} == {
        **seen,
        "setl_id": 0,
        "setl_time": 0,
        "medins_setl_id": 0,
    }
    assert setl["medins_setl_id"] == hospital.msgid
    assert setl["acct_pay"] == D("67.60")
    assert setl["psn_cash_pay"] == 0
    assert books.accounts[patient.psn_no].balance_fen == 200_000 - 6760
    assert [row["fund_payamt"] for row in made["setldetail"]] == [D("18.90")]
    asked = await hospital.done("5203", key(hospital, mdtrt_id, setl_id=setl["setl_id"]))
    assert asked["setlinfo"]["psn_pay"] == setl["psn_part_amt"]
    assert asked["setlinfo"]["medins_setl_id"] == setl["medins_setl_id"]


async def test_a_cancel_has_a_record_of_its_own_and_gives_everything_back(hospital: Hospital) -> None:
    patient, books = hospital.patient, hospital.centre.books
    mdtrt_id = await charged(hospital)
    setl = (await hospital.done("2207", bill(patient, mdtrt_id, "86.50")))["setlinfo"]
    back = (await hospital.done("2208", key(hospital, mdtrt_id, setl_id=setl["setl_id"])))["setlinfo"]
    assert back["setl_id"] != setl["setl_id"]
    assert back["medfee_sumamt"] == setl["medfee_sumamt"]
    assert books.accounts[patient.psn_no].balance_fen == 200_000
    text = await hospital.refused("2208", key(hospital, mdtrt_id, setl_id=setl["setl_id"]))
    assert "已撤销" in text
    again = (await hospital.done("2207", bill(patient, mdtrt_id, "86.50")))["setlinfo"]
    assert again["act_pay_dedc"] == D("50.00")


async def test_a_step_out_of_order_is_refused_and_books_nothing(hospital: Hospital) -> None:
    patient, books = hospital.patient, hospital.centre.books
    lost = [line(patient, "999900G0000000009999", "F1", "XTEST000000000000001", "1.00")]
    assert await hospital.refused("2204", {"feedetail": lost}) == "未查询到就诊登记信息"
    mdtrt_id = await visited(hospital)
    assert "未结算的费用" in await hospital.refused("2206", bill(patient, mdtrt_id, "1.00"))
    rows = [line(patient, mdtrt_id, sn, "XTEST000000000000001", "1.00") for sn in ("F1", "F1")]
    assert "重复" in await hospital.refused("2204", {"feedetail": rows})
    assert not books.fees
    wrong = line(patient, mdtrt_id, "F1", "XTEST000000000000001", "1.00", det_item_fee_sumamt="2.00")
    assert "不一致" in await hospital.refused("2204", {"feedetail": [wrong]})
    await hospital.done("2204", {"feedetail": rows[:1]})
    assert "合计金额不一致" in await hospital.refused("2207", bill(patient, mdtrt_id, "1.01"))
    assert "预结算" in await hospital.refused("2207", bill(patient, mdtrt_id, "1.00", inscp_scp_amt="0.99"))
    cancel = key(hospital, mdtrt_id, ipt_otp_no="O1")
    assert "存在费用明细" in await hospital.refused("2202", cancel)
    setl = (await hospital.done("2207", bill(patient, mdtrt_id, "1.00")))["setlinfo"]
    assert "可撤销的费用" in await hospital.refused("2205", key(hospital, mdtrt_id, chrg_bchno="0000"))
    await hospital.done("2208", key(hospital, mdtrt_id, setl_id=setl["setl_id"]))
    await hospital.done("2205", key(hospital, mdtrt_id, chrg_bchno="0000"))
    await hospital.done("2202", cancel)
    assert books.visits[mdtrt_id].state == "void"
    assert "就诊登记" in await hospital.refused("2202", cancel)


async def test_what_the_envelope_says_must_be_right(hospital: Hospital) -> None:
    tree = registration(hospital.patient)
    assert "insuplc_admdvs" in await hospital.refused("2201", tree, insuplc_admdvs="")
    assert "不一致" in await hospital.refused("2201", tree, insuplc_admdvs="999801")
    assert "定点医药机构编号" in await hospital.refused("2201", tree, fixmedins_code="H99999900009")
    assert "未签到" in await hospital.refused("2201", tree, sign_no="")
    assert "签到编号" in await hospital.refused("2201", tree, opter="0002")
    assert "[inf_time]" in await hospital.refused("2201", tree, inf_time="2026-01-05T09:00:00")
    assert "请求地址" in await hospital.refused("2201", tree, path="/2202")
    assert await hospital.done("2201", tree, path="/csb")
    first = hospital.msgid
    assert await hospital.refused("2201", registration(hospital.patient, "O2"), msgid=first) == "报文ID重复"
    assert hospital.centre.books.msgids[first].times == 2
    assert len(hospital.centre.books.visits) == 1
    hospital.centre.expire()
    assert "重新签到" in await hospital.refused("2201", registration(hospital.patient, "O2"))


@pytest.mark.parametrize("kind", ["mute", "cut", "half", "html", "garbage"])
async def test_a_settlement_that_was_not_told_is_booked_and_2601_undoes_it(
    hospital: Hospital, kind: str
) -> None:
    patient, centre = hospital.patient, hospital.centre
    mdtrt_id = await charged(hospital)
    centre.behave("2207", kind, times=1)
    lost = await hospital.unanswered("2207", bill(patient, mdtrt_id, "86.50"))
    (made,) = centre.books.settlements.values()
    assert (made.msgid, made.state) == (lost, "valid")
    undo = {"data": {"psn_no": patient.psn_no, "omsgid": lost, "oinfno": "2207"}}
    for _ in range(2):  # as often as one likes
        await hospital.done("2601", undo)
    assert centre.books.settlements[made.setl_id].state == "reversed"
    assert centre.books.accounts[patient.psn_no].balance_fen == 200_000
    assert await hospital.done("2207", bill(patient, mdtrt_id, "86.50"))


@pytest.mark.parametrize("kind", ["lose", "deaf"])
async def test_a_settlement_that_was_lost_is_not_there_to_be_undone(hospital: Hospital, kind: str) -> None:
    mdtrt_id = await charged(hospital)
    hospital.centre.behave("2207", kind, times=1)
    lost = await hospital.unanswered("2207", bill(hospital.patient, mdtrt_id, "86.50"))
    assert not hospital.centre.books.settlements
    undo = {"data": {"psn_no": hospital.patient.psn_no, "omsgid": lost, "oinfno": "2207"}}
    assert "未查询到" in await hospital.refused("2601", undo)
    undo["data"]["oinfno"] = "2204"
    assert "不支持冲正" in await hospital.refused("2601", undo)


async def test_a_lost_cancel_is_undone_and_the_settlement_holds_again(hospital: Hospital) -> None:
    patient, centre = hospital.patient, hospital.centre
    mdtrt_id = await charged(hospital)
    setl = (await hospital.done("2207", bill(patient, mdtrt_id, "86.50")))["setlinfo"]
    centre.behave("2208", "cut", times=1)
    lost = await hospital.unanswered("2208", key(hospital, mdtrt_id, setl_id=setl["setl_id"]))
    assert centre.books.settlements[setl["setl_id"]].state == "cancelled"
    await hospital.done("2601", {"data": {"psn_no": patient.psn_no, "omsgid": lost, "oinfno": "2208"}})
    assert centre.books.settlements[setl["setl_id"]].state == "valid"
    assert centre.books.accounts[patient.psn_no].balance_fen == 200_000 - 6760
