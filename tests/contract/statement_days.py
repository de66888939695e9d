"""Settlements of a day by the gateway, at a centre whose days are China's."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from centre_parts import admission, agreed, bill, charged, departure, line, stay

from deploy.sandbox.centre import Centre, Settings
from endpoints.insurance.statement_books import CHINA


def in_china(settings: Settings | None = None) -> Centre:
    """Its days are China's, wherever the test runs."""
    return Centre(settings=settings, now=lambda: datetime.now(CHINA).replace(tzinfo=None))


async def outpatient(hospital: Any, number: str = "O1", **fields: Any) -> dict[str, Any]:
    """Settles 86.50; what the caller hears of 2207."""
    mdtrt_id = await charged(hospital, number)
    preview = await hospital.done("2206", bill(hospital.patient, mdtrt_id, "86.50"))
    asked = bill(hospital.patient, mdtrt_id, "86.50", mdtrt_mode="0", **agreed(preview["setlinfo"]), **fields)
    return dict(await hospital.send("2207", asked))


async def inpatient(hospital: Any) -> dict[str, Any]:
    patient = hospital.patient
    made = await hospital.done("2401", admission(patient))
    mdtrt_id = str(made["result"]["mdtrt_id"])
    lines = [line(patient, mdtrt_id, "I1", "XTEST000000000000001", "900.00", med_type="21")]
    await hospital.done("2301", {"feedetail": lines})
    await hospital.done("2402", departure(patient, mdtrt_id))
    parts = {
        "fulamt_ownpay_amt": "0",
        "overlmt_selfpay": "0",
        "preselfpay_amt": "0",
        "inscp_scp_amt": "900.00",
    }
    preview = await hospital.done("2303", stay(patient, mdtrt_id, "900.00", mdtrt_mode="0", **parts))
    settled = stay(patient, mdtrt_id, "900.00", mdtrt_mode="0", **agreed(preview["setlinfo"]))
    return dict(await hospital.send("2304", settled))
