"""The insurance centre in the dialects of the shipped profiles: its money adds up by their rules, to the fen."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from centre_parts import (
    Hospital,
    Tree,
    admission,
    agreed,
    bill,
    charged,
    departure,
    key,
    line,
    registration,
    signed_in,
    stay,
)

from deploy.sandbox.centre.settings import Settings, of_province
from schemas.nhsa.catalogue import transaction
from schemas.nhsa.check import checker
from schemas.nhsa.money import problems
from schemas.nhsa.money_calls import preview_and_settlement, settlement_and_cancel
from schemas.nhsa.profile import Profile, profile, profiles

_PROVINCES = [profile(name) for name in profiles()]
_KINDS = range(7)  # of the insured


async def _said(hospital: Hospital, of: Profile, infno: str, tree: Tree) -> Any:
    """In the province's names, and back in ours. The output, whose money must add up."""
    check = checker(transaction(infno), of)
    output = check.canonical(await hospital.done(infno, msgspec.to_builtins(check.normalized(tree))))
    assert problems(infno, tree, output, of.money) == []
    assert check.response(output) == []
    return output


@pytest.mark.parametrize("of", _PROVINCES, ids=lambda one: one.name)
@pytest.mark.parametrize("kind", _KINDS)
async def test_an_outpatient_is_settled_and_cancelled_by_the_provinces_identities(
    of: Profile, kind: int
) -> None:
    async with signed_in(of_province(of), person=kind) as hospital:
        mdtrt_id = await charged(hospital)
        seen = await _said(hospital, of, "2206", bill(hospital.patient, mdtrt_id, "86.50"))
        told = bill(hospital.patient, mdtrt_id, "86.50", **agreed(seen["setlinfo"]))
        made = await _said(hospital, of, "2207", told)
        assert preview_and_settlement(seen["setlinfo"], made["setlinfo"], of.money) == []
        cancel = key(hospital, mdtrt_id, setl_id=made["setlinfo"]["setl_id"])
        back = await _said(hospital, of, "2208", cancel)
        assert settlement_and_cancel(made["setlinfo"], back["setlinfo"], of.money) == []


@pytest.mark.parametrize("of", _PROVINCES, ids=lambda one: one.name)
@pytest.mark.parametrize("kind", [0, 3, 6])
async def test_a_stay_is_settled_in_the_provinces_order(of: Profile, kind: int) -> None:
    async with signed_in(of_province(of), person=kind) as hospital:
        patient = hospital.patient
        mdtrt_id = (await hospital.done("2401", admission(patient)))["result"]["mdtrt_id"]
        rows = [
            line(patient, mdtrt_id, "F1", "STEST000000000000005", "23456.78", med_type="21"),
            line(patient, mdtrt_id, "F2", "CTEST000000000000002", "3333.33", "2", med_type="21"),
            line(patient, mdtrt_id, "F3", "XTEST000000000000005", "12.345", "7", med_type="21"),
        ]
        rows[2]["det_item_fee_sumamt"] = "86.42"
        await _said(hospital, of, "2301", {"feedetail": rows})
        if of.discharge == "before":
            await hospital.done("2402", departure(patient, mdtrt_id))
        seen = await _said(hospital, of, "2303", stay(patient, mdtrt_id, "30209.86"))
        made = await _said(
            hospital, of, "2304", stay(patient, mdtrt_id, "30209.86", **agreed(seen["setlinfo"]))
        )
        assert preview_and_settlement(seen["setlinfo"], made["setlinfo"], of.money) == []


async def test_who_does_not_spell_as_the_province_does_is_not_understood() -> None:
    async with signed_in(of_province(profile("guangdong"))) as hospital:
        mdtrt_id = await charged(hospital)
        assert "[mdtrtinfo]" in await hospital.refused("2207", bill(hospital.patient, mdtrt_id, "86.50"))
        day = f"{hospital.centre.now():%Y-%m-%d}"
        row = {
            "insutype": "310",
            "clr_type": "11",
            "setl_optins": "999900",
            "stmt_begndate": day,
            "stmt_enddate": day,
        }
        row |= {"medfee_sumamt": "0", "fund_pay_sumamt": "0", "acct_pay": "0", "fixmedins_setl_cnt": "0"}
        assert "[refd_setl_flag]" in await hospital.refused("3201", {"data": {**row, "refd_setl_flag": "0"}})
        assert await hospital.done("3201", {"data": {**row, "REFD_SETL_FLAG": "0"}})


async def test_a_centre_may_call_a_transaction_by_another_number_in_2601_and_take_one_no_longer() -> None:
    async with signed_in(Settings(oinfno={"2208": "2207"}, instead={"2203": "2203A"})) as hospital:
        mdtrt_id = await charged(hospital)
        assert "2203A" in await hospital.refused("2203", {})
        made = (await hospital.done("2207", bill(hospital.patient, mdtrt_id, "86.50")))["setlinfo"]
        hospital.centre.behave("2208", "cut", times=1)
        lost = await hospital.unanswered("2208", key(hospital, mdtrt_id, setl_id=made["setl_id"]))
        undo = {"psn_no": hospital.patient.psn_no, "omsgid": lost}
        assert "不支持冲正" in await hospital.refused("2601", {"data": {**undo, "oinfno": "2208"}})
        await hospital.done("2601", {"data": {**undo, "oinfno": "2207"}})
        assert hospital.centre.books.settlements[made["setl_id"]].state == "valid"


async def test_a_cancel_may_be_refused_in_another_month() -> None:
    async with signed_in(Settings(cancel_in_month=True)) as hospital:
        mdtrt_id = await charged(hospital)
        made = (await hospital.done("2207", bill(hospital.patient, mdtrt_id, "86.50")))["setlinfo"]
        hospital.centre.let_pass(days=31)
        await hospital.sign_in()
        assert "跨月" in await hospital.refused("2208", key(hospital, mdtrt_id, setl_id=made["setl_id"]))


async def test_the_certificate_is_the_persons() -> None:
    async with signed_in() as hospital:
        other = hospital.centre.persons[1]
        tree = registration(hospital.patient)
        tree["data"]["mdtrt_cert_no"] = other.certno
        assert "就诊凭证" in await hospital.refused("2201", tree)
        tree["data"] |= {"mdtrt_cert_type": "01", "mdtrt_cert_no": hospital.patient.token}
        await hospital.done("2201", tree)


async def test_the_words_of_a_refusal_are_those_that_the_national_profile_knows() -> None:
    known = profile("national")
    async with signed_in() as hospital:
        undo = {"data": {"psn_no": hospital.patient.psn_no, "omsgid": "x", "oinfno": "2207"}}
        text = await hospital.refused("2601", undo)
        assert known.nothing_found(text)
        assert not known.sign_in_is_over(text)
        for sign_no in ("", "unknown"):
            assert known.sign_in_is_over(await hospital.refused("5101", {}, sign_no=sign_no))
        hospital.centre.expire()
        text = await hospital.refused("5101", {})
        assert known.sign_in_is_over(text)
        assert not known.nothing_found(text)
