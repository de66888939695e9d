"""机构, 科室, 医执人员, 目录对照: what an institution says of itself (1201, 3301, 3302, 3401..3403, 5101, 5102)."""

from __future__ import annotations

from typing import Any

from deploy.sandbox.centre.desk import Call, Desk, No, Output, need, serves
from deploy.sandbox.centre.settings import Institution
from deploy.sandbox.centre.tables import demand
from deploy.sandbox.people import People

_STAFF = {"1": ("医师", "D"), "2": ("护士", "N"), "3": ("药师", "P"), "4": ("医技人员", "T")}
_DEPARTMENTS = ("3401", "3401A")


@serves("1201")
def institution(desk: Desk, call: Call) -> Output:
    row = desk.node(call, "medinsinfo")
    kind = need(row, "fixmedins_type")
    told = []
    for place in desk.settings.institutions:
        asked = str(row.get("fixmedins_code") or "") in ("", place.code)
        named = str(row.get("fixmedins_name") or "") in place.name
        if asked and named and kind == ("1" if place.level else "2"):
            told.append(_place(place, kind))
    return {"medinsinfo": told}


def _place(place: Institution, kind: str) -> dict[str, str]:
    told = {"fixmedins_code": place.code, "fixmedins_name": place.name, "uscc": f"99{place.code}0000"}
    return {**told, "fixmedins_type": kind, "hosp_lv": place.level}


@serves("3301")
def map_items(desk: Desk, call: Call) -> Output:
    """Overwritten by the institution's own code."""
    demand(desk, call)
    rows = desk.rows(call, "data")
    for row in rows:
        kept = {**row, "fixmedins_code": call.hospital.code, "serial": desk.books.next()}
        desk.books.put("3301", f"{call.hospital.code}/{row['fixmedins_hilist_id']}", kept)
    return None


@serves("3302")
def unmap_items(desk: Desk, call: Call) -> Output:
    mine = desk.books.kept.setdefault("3301", {})
    gone = []
    for row in desk.rows(call, "data"):
        if need(row, "fixmedins_code") != call.hospital.code:
            raise No("定点医药机构编号与报文不一致")
        names = ("fixmedins_hilist_id", "list_type", "med_list_codg")
        found = [
            key
            for key, kept in mine.items()
            if kept["fixmedins_code"] == call.hospital.code
            and all(row.get(name) in (None, "", kept.get(name)) for name in names)
        ]
        if not found:
            raise No("未查询到目录对照信息")
        gone += found
    for key in gone:
        mine.pop(key, None)
    return None


@serves("3401", "3401A")
def add_department(desk: Desk, call: Call) -> Output:
    demand(desk, call)
    rows = desk.rows(call, "deptinfo")
    keys = [f"{call.hospital.code}/{need(row, 'hosp_dept_codg')}" for row in rows]
    if len(set(keys)) < len(keys) or any(key in desk.books.kept.get("3401", {}) for key in keys):
        raise No("科室编码已存在")
    for key, row in zip(keys, rows, strict=True):
        desk.books.put("3401", key, row)
    return None


@serves("3402")
def change_department(desk: Desk, call: Call) -> Output:
    demand(desk, call)
    row = desk.node(call, "deptinfo")
    desk.books.put("3401", _department(desk, call, need(row, "hosp_dept_codg")), row)
    return None


@serves("3403")
def end_department(desk: Desk, call: Call) -> Output:
    row = desk.node(call)
    need(row, "hosp_dept_name")
    del desk.books.kept["3401"][_department(desk, call, need(row, "hosp_dept_codg"))]
    return None


def _department(desk: Desk, call: Call, code: str) -> str:
    key = f"{call.hospital.code}/{code}"
    if key not in desk.books.kept.get("3401", {}):
        raise No("未查询到科室信息")
    return key


@serves("5101")
def departments(desk: Desk, call: Call) -> Output:
    mine = desk.books.kept.get("3401", {}).items()
    return {"feedetail": [dict(row) for key, row in mine if key.startswith(f"{call.hospital.code}/")]}


@serves("5102")
def staff(desk: Desk, call: Call) -> Output:
    """Three invented people of each kind, the same for the same institution."""
    row = desk.node(call)
    kind = need(row, "prac_psn_type")
    if kind not in _STAFF:
        raise No("执业人员分类无效")
    people = People(int(call.hospital.code[1:]) + int(kind))
    told: list[dict[str, Any]] = []
    for number in range(1, 4):
        who = people.person()
        told.append(
            {
                "psn_cert_type": "01",
                "certno": who.identity,
                "prac_psn_code": f"{_STAFF[kind][1]}{call.hospital.code[-6:]}{number:05d}",
                "prac_psn_name": who.name,
                "prac_psn_type": kind,
                "hi_dr_flag": "1",
                "begntime": "2020-01-01 00:00:00",
            }
        )
    asked = [name for name in ("certno", "prac_psn_name", "prac_psn_code") if row.get(name)]
    return {"feedetail": [one for one in told if all(str(row[name]) == one[name] for name in asked)]}
