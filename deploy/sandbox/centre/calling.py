"""What the centre asks of the hospital: 6201, 6202, 7102, 7103 of the baseline, in the infno envelope."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from deploy.sandbox.centre.envelope import read, written
from deploy.sandbox.centre.settings import Institution
from deploy.sandbox.http import ask


async def tell(
    url: str,
    infno: str,
    tree: Mapping[str, Any],
    hospital: Institution,
    at: datetime,
    serial: int,
    headers: Mapping[str, str],
) -> tuple[int, Mapping[str, Any]]:
    """Status and answer. Raises OSError, TimeoutError, and desk.No where the answer is no JSON object."""
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
    return status, read(body)
