"""What a telephone's settlement is begun with: a visit that is registered, and its fees as MP-6201 has them."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from centre_parts import Hospital, line, registration

from deploy.sandbox.centre.settings import HOSPITAL
from schemas.nhsa.catalogue import transaction
from schemas.nhsa.sample import sample


async def request(counter: Hospital) -> dict[str, Any]:
    """Of a visit that the counter has registered."""
    patient = counter.centre.persons[0]
    visit = (await counter.done("2201", registration(patient)))["data"]["mdtrt_id"]
    lines = [
        line(patient, visit, "F1", "XTEST000000000000001", "25.00", "4"),
        line(patient, visit, "F2", "XTEST000000000000003", "6.50"),
    ]
    said = {
        "psnNo": patient.psn_no, "insutype": "310", "medOrgOrd": "S1", "chrgBchno": "S1", "medType": "11",
        "ecToken": patient.token, "insuCode": patient.insuplc_admdvs, "feeType": "01", "mdtrtId": visit,
        "iptOtpNo": "O1", "medfeeSumamt": "106.50", "acctUsedFlag": "1", "idType": "01",
        "idNo": patient.certno, "userName": patient.psn_name, "orgCodg": HOSPITAL,
        "feedetailList": [{_camel(name): value for name, value in row.items()} for row in lines],
    }  # fmt: skip
    whole = sample(transaction("MP-6201"))["data"]
    fees = {
        name: str(value) if isinstance(value, Decimal) else value for name, value in (whole | said).items()
    }
    bills = [{"bill_no": "B1", "amount": "106.50"}]
    return {
        "settle_no": "S1", "channel": "wechat", "total": "106.50", "authorisation": "AUTH1", "bills": bills,
        "fees": fees,
    }  # fmt: skip


def _camel(name: str) -> str:
    return re.sub("_(.)", lambda found: found[1].upper(), name)
