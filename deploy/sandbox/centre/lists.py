"""医疗保障基金结算清单: uploaded for a settlement that holds (4101, 4101A), submitted (4102), checked (4103..4105)."""

from __future__ import annotations

from typing import Any

from deploy.sandbox.centre.books import Row, holds
from deploy.sandbox.centre.desk import Call, Desk, No, Output, need, serves
from deploy.sandbox.centre.tables import demand
from schemas.nhsa.catalogue import transaction

_NODES = ("payinfo", "opspdiseinfo", "diseinfo", "iteminfo", "oprninfo", "icuinfo", "bldinfo")
_CHECKS = (
    ("diseinfo", "2", "缺少诊断信息"),
    ("adm_time", "1", "缺少入院时间"),
    ("dscg_time", "1", "缺少出院时间"),
    ("chfpdr_name", "1", "缺少主诊医师"),
)


@serves("4101", "4101A")
def upload(desk: Desk, call: Call) -> Output:
    """Overwrites the list of the settlement until that is submitted."""
    demand(desk, call)
    row = desk.node(call, "setlinfo")
    setl_id = need(row, "setl_id")
    settlement = desk.books.settlements.get(setl_id)
    if settlement is None or not holds(settlement) or settlement.fixmedins_code != call.hospital.code:
        raise No("未查询到结算信息,不能上传结算清单")
    if settlement.mdtrt_id != need(row, "mdtrt_id"):
        raise No("就诊ID与结算信息不一致")
    old = desk.books.kept.get("list", {}).get(setl_id)
    if old and old["stas_type"] == "1":
        raise No("结算清单已提交,不能修改")
    number = old["setl_list_id"] if old else desk.number("L")
    kept = {"setl_list_id": number, "stas_type": "0", "psn_no": settlement.psn_no, "input": call.input}
    desk.books.put("list", setl_id, {**kept, "setl_id": setl_id, "hospital": call.hospital.code})
    return {"setl_list_id": number}


@serves("4102")
def submit(desk: Desk, call: Call) -> Output:
    row = desk.node(call)
    kept = _kept(desk, row)
    desk.books.put("list", kept["setl_id"], {**kept, "stas_type": str(row.get("stas_type") or "1")})
    return None


@serves("4103")
def show(desk: Desk, call: Call) -> Output:
    """Nodes as they were uploaded, with the fields that the answer has; a list's first row where it has one object."""
    kept = _kept(desk, desk.node(call))
    told: dict[str, Any] = {}
    for node in transaction("4103").output:
        given = kept["input"].get(node.name) or {}
        given = (given[0] if given else {}) if isinstance(given, list) else given
        names = {field.name for field in node.fields}
        told[node.name] = {name: value for name, value in given.items() if name in names}
        told[node.name] |= {name: kept[name] for name in ("setl_id", "psn_no") if name in names}
    told["setlinfo"]["stas_type"] = kept["stas_type"]
    return told


@serves("4104")
def findings(desk: Desk, call: Call) -> Output:
    row = desk.node(call)
    told = []
    for kept in _lists(desk, call):
        if row.get("setl_id") not in (None, "", kept["setl_id"]):
            continue
        person = desk.books.persons[kept["psn_no"]]
        for field, level, text in _CHECKS:
            if kept["input"].get(field) or kept["input"]["setlinfo"].get(field):
                continue
            told.append(
                {
                    "fixmedins_code": call.hospital.code,
                    "fixmedins_name": call.hospital.name,
                    "setl_id": kept["setl_id"],
                    "psn_no": person.psn_no,
                    "psn_name": person.psn_name,
                    "exam_data_fld": field,
                    "err_lv": level,
                    "qltctrl_chkrslt": text,
                }
            )
    return {"data": told}


@serves("4105")
def counts(desk: Desk, call: Call) -> Output:
    need(desk.node(call), "fixmedins_code")
    lists = list(_lists(desk, call))
    mine = [
        one
        for one in desk.books.settlements.values()
        if one.fixmedins_code == call.hospital.code and holds(one)
    ]
    return {"data": {"setl_cnt": len(mine), "upld_cnt": len(lists)}}


def _lists(desk: Desk, call: Call) -> list[Row]:
    return [kept for kept in desk.books.rows("list") if kept["hospital"] == call.hospital.code]


def _kept(desk: Desk, row: Row) -> Row:
    found = desk.books.kept.get("list", {}).get(need(row, "setl_id"))
    if found is None or row.get("psn_no") not in (None, "", found["psn_no"]):
        raise No("未查询到结算清单")
    return found
