"""What the centre asks of the hospital: 6201, 6202, 7102, 7103 of the baseline, in the infno envelope."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from deploy.sandbox.centre.books import Prescription, Row
from deploy.sandbox.centre.desk import No
from deploy.sandbox.centre.envelope import read, written
from deploy.sandbox.centre.settings import Institution
from deploy.sandbox.http import ask


def of_pharmacy(
    infno: str, row: Row, prescription: Prescription, shop: Institution
) -> tuple[str, dict[str, Any]]:
    """What the hospital hears of its prescription when a pharmacy reviews it (7204: 7102) or fills it (7206: 7103)."""
    if infno == "7204":
        names = (
            "phar_name",
            "rchk_phar_certno",
            "rchk_phar_name",
            "rx_chk_stas_codg",
            "rx_chk_opnn",
            "rx_chk_time",
        )
        told = {name: row.get(name) or "" for name in names}
        return "7102", {"data": {**told, **_from(prescription, shop)}}
    amounts = ("fund_pay_sumamt", "psn_part_amt", "acct_pay", "psn_cash_pay", "setl_time")
    sold = [
        {
            "drug_genname": drug.get("drug_genname") or "",
            "drug_dosform": drug.get("drug_dosform") or "",
            "drug_spec": drug.get("drug_spec") or "",
            "drug_totlcnt": drug.get("drug_cnt") or 0,
            "fixmedins_code": shop.code,
            "fixmedins_name": shop.name,
            "prdr_name": drug.get("prdr_name") or "示例药厂",
            "pric": drug.get("drug_pric") or 0,
            "total_unit": drug.get("drug_cnt_unit") or "",
            "sumamt": drug.get("drug_sumamt") or 0,
        }
        for drug in prescription.tree.get("rxdrugdetail") or []
    ]
    data = {name: row.get(name) or 0 for name in amounts} | {"hi_rxno": prescription.hi_rxno}
    return "7103", {"data": data, "seltdelts": sold}


def _from(prescription: Prescription, shop: Institution) -> dict[str, Any]:
    return {"hi_rxno": prescription.hi_rxno, "fixmedins_code": shop.code, "fixmedins_name": shop.name}


async def tell(
    url: str,
    infno: str,
    tree: Mapping[str, Any],
    hospital: Institution,
    at: datetime,
    serial: int,
    headers: Mapping[str, str],
) -> tuple[int, Mapping[str, Any]]:
    """Status and answer. Raises OSError, TimeoutError, and ValueError where the answer is no JSON object."""
    stamp = f"{at:%Y%m%d%H%M%S}"
    envelope = {
        "infno": infno,
        "msgid": f"{hospital.code}{stamp}{serial % 10000:04d}",
        "mdtrtarea_admvs": hospital.admvs,
        "insuplc_admdvs": hospital.admvs,
        "recer_sys_code": "HIS",
        "infver": "V1.0",
        "opter_type": "1",
        "opter": "CENTRE",
        "opter_name": "医保中心",
        "inf_time": f"{at:%Y-%m-%d %H:%M:%S}",
        "fixmedins_code": hospital.code,
        "fixmedins_name": hospital.name,
        "sign_no": "",
        "input": tree,
    }
    where = urlsplit(url)
    said = {"Content-Type": "application/json", **headers}
    status, body = await ask(where.port or 80, "POST", where.path or "/", said, written(envelope))
    try:
        return status, read(body)
    except No as no:
        raise ValueError(str(no)) from no
