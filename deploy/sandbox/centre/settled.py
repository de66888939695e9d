"""结算信息查询 (5203), by names that differ from those of the settlement."""

from __future__ import annotations

from typing import Any

from deploy.sandbox.centre.books import Settlement
from deploy.sandbox.centre.desk import Call, Desk, No, Output, need, serves
from deploy.sandbox.centre.telling import detail_rows, otherwise, setlinfo


@serves("5203")
def settlement(desk: Desk, call: Call) -> Output:
    row = desk.node(call)
    desk.person(call, row)
    setl_id, mdtrt_id = need(row, "setl_id"), need(row, "mdtrt_id")
    found = desk.books.settlements.get(setl_id)
    seen = found is not None and found.serial < call.blind and found.state != "reversed"
    if found is None or not seen or (found.psn_no, found.mdtrt_id) != (need(row, "psn_no"), mdtrt_id):
        raise No("未查询到结算信息")
    rows = detail_rows(found, desk.settings.fund_includes_account)
    return {"setlinfo": _told(desk, found), "setldetail": rows}


def _told(desk: Desk, found: Settlement) -> dict[str, Any]:
    visit, person = desk.books.visits[found.mdtrt_id], desk.books.persons[found.psn_no]
    place = desk.institution(found.fixmedins_code)
    told = otherwise(setlinfo(desk, found))
    return {
        **told,
        "insu_optins": person.insuplc_admdvs,
        "emp_name": person.emp_name,
        "pay_loc": "2",
        "fixmedins_code": place.code,
        "fixmedins_name": place.name,
        "hosp_lv": place.level,
        "fixmedins_poolarea": place.admvs,
        "begndate": visit.begntime[:10],
        "enddate": (visit.endtime or told["setl_time"])[:10],
        "year": f"{found.at:%Y}",
        "dise_codg": str(visit.row.get("dise_codg") or ""),
        "dise_name": str(visit.row.get("dise_name") or ""),
        "invono": str(found.row.get("invono") or ""),
        "opter_id": found.opter,
        "opter_name": found.opter_name,
        "opt_time": told["setl_time"],
        "refd_setl_flag": found.refd_setl_flag,
    }
