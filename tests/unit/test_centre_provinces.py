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
    signed_in,
    stay,
)

from deploy.sandbox.centre.settings import of_province
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
