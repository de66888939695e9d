"""上报: what is uploaded and kept by its own key, where a second upload overwrites the first (4201..4701, 6101)."""

from __future__ import annotations

from typing import Any

from deploy.sandbox.centre.books import Row
from deploy.sandbox.centre.desk import Call, Desk, No, Output, need, serves
from deploy.sandbox.centre.tables import demand

# Which fields name a record, in the first node that has any of them.
_KEYS = (
    *(
        "mdtrt_sn",
        "mdtrt_id",
        "fixmedins_mdtrt_id",
        "setl_id",
        "feedetl_sn",
        "bkkp_sn",
        "rpotc_no",
        "drord_no",
    ),
    *("appy_no", "oprn_sn", "rxno", "bld_sn", "vital_sn", "psn_no"),
)
_SELF_PAY = ("4201A", "4202", "4205")  # deleted by fixmedins_mdtrt_id
_DELETES = {"4204": ("4201A",), "4206": ("4205",)}
_LISTS = {"4207": ("4201A", "4205"), "4208": ("4202", "4205"), "4209": ("4202", "4205")}
_NODES = {
    "4207": ("fsiOwnpayPatnFeeListDDTO", "feedetail"),
    "4208": ("ownPayPatnMdtrtD", "mdtrtinfo"),
    "4209": ("ownPayPatnDiagListD", "diseinfo"),
}


@serves(
    *(
        "4201",
        "4201A",
        "4202",
        "4205",
        "4301",
        "4302",
        "4401",
        "4402",
        "4501",
        "4502",
        "4503",
        "4504",
        "4505",
    ),
    *("4506", "4601", "4602", "4701", "6101"),
)
def keep(desk: Desk, call: Call) -> Output:
    """All rows of the message, or none."""
    demand(desk, call)
    if call.infno in ("4201A", "4205") and _over(desk, call):
        raise No("该就诊已上传完成,不能修改")
    first: Any = next((node for node in call.input.values() if node), {})
    for number, row in enumerate(first if isinstance(first, list) else [first]):
        if not isinstance(row, dict):
            raise No("输入节点格式错误")
        key = "/".join(str(row[name]) for name in _KEYS if row.get(name)) or f"{call.msgid}/{number}"
        kept = dict(call.input) if not isinstance(first, list) else {"row": row}
        desk.books.put(
            call.infno, f"{call.hospital.code}/{key}", {"input": kept, "hospital": call.hospital.code}
        )
    return None


@serves("4203")
def complete(desk: Desk, call: Call) -> Output:
    row = desk.node(call)
    visit = str(row.get("fixmedins_mdtrt_id") or "")
    desk.books.put("4203", f"{call.hospital.code}/{visit}", {**row, "hospital": call.hospital.code})
    return None


@serves("4204", "4206")
def remove(desk: Desk, call: Call) -> Output:
    row = desk.node(call, "feedetail" if call.infno == "4204" else "data")
    visit, line = str(row.get("fixmedins_mdtrt_id") or ""), str(row.get("bkkp_sn") or "")
    gone = []
    for kind in _DELETES[call.infno]:
        for key in desk.books.kept.get(kind, {}):
            mine = key.startswith(f"{call.hospital.code}/{visit}")
            if mine and (not line or line in key.split("/")):
                gone.append((kind, key))
    if not gone:
        raise No("未查询到自费病人信息")
    for kind, key in gone:
        del desk.books.kept[kind][key]
    return None


@serves("4207", "4208", "4209")
def show(desk: Desk, call: Call) -> Output:
    """Rows of a visit in camelCase, in pages."""
    visit = str(call.input.get("fixmedins_mdtrt_id") or "")
    found: list[Row] = []
    for kind in _LISTS[call.infno]:
        for kept in desk.books.rows(kind):
            if kept["hospital"] == call.hospital.code:
                found += [row for row in _rows(call.infno, kept["input"]) if _fits(row, visit)]
    number, size = int(call.input.get("page_num") or 1), int(call.input.get("page_size") or 100)
    page = found[(number - 1) * size : number * size]
    told = [{_camel(name): value for name, value in row.items()} for row in page]
    return {"recordCounts": len(found), "pages": -(-len(found) // size), "data": told}


@serves("5401")
def reports(desk: Desk, call: Call) -> Output:
    """Examinations (4501) and laboratory reports (4502) of a person, whoever uploaded them."""
    row = call.input.get("bilgiteminfo") or {}
    told = []
    for kind, node in (("4501", "examinfo"), ("4502", "labinfo")):
        for kept in desk.books.rows(kind):
            info = kept["input"].get(node) or {}
            if row.get("psn_no") in (None, "", info.get("psn_no")):
                told.append(
                    {
                        "psn_no": info.get("psn_no") or "",
                        "rpotc_no": info.get("rpotc_no") or "",
                        "rpt_date": str(info.get("rpt_date") or "")[:10],
                        "rpotc_type_code": info.get("rpotc_type_code") or "",
                        "fixmedins_code": kept["hospital"],
                        "exam_rpotc_name": info.get("exam_rpotc_name") or info.get("rpotc_name") or "",
                    }
                )
    return {"bilgiteminfo": told}


@serves("5402")
def report(desk: Desk, call: Call) -> Output:
    row = desk.node(call, "rptdetailinfo")
    number = need(row, "rpotc_no")
    told: dict[str, list[dict[str, Any]]] = {
        "checkreportdetails": [],
        "inspectionreportinformation": [],
        "inspectiondetails": [],
    }
    for kind, node in (("4501", "examinfo"), ("4502", "labinfo")):
        for kept in desk.books.rows(kind):
            info = kept["input"].get(node) or {}
            if (info.get("rpotc_no"), kept["hospital"]) != (number, need(row, "fixmedins_code")):
                continue
            names = (
                "psn_no",
                "rpotc_no",
                "rpt_date",
                "rpotc_type_code",
                "exam_rslt_poit_flag",
                "exam_item_code",
            )
            line = {name: info[name] for name in names if info.get(name)}
            told["checkreportdetails" if kind == "4501" else "inspectionreportinformation"].append(line)
            for item in kept["input"].get("iteminfo") or [] if kind == "4502" else []:
                told["inspectiondetails"].append({"rpotc_no": number, **item})
    return told


def _rows(infno: str, tree: Row) -> list[Row]:
    if "row" in tree:  # a line of 4201A
        return [tree["row"]] if infno == "4207" else []
    visit: Row = next((tree[name] for name in ("ownPayPatnMdtrtD", "mdtrtinfo") if tree.get(name)), {})
    rows: list[Row] = []
    for name in _NODES[infno]:
        given = tree.get(name) or []
        rows += given if isinstance(given, list) else [given]
    return [{"fixmedins_mdtrt_id": visit.get("fixmedins_mdtrt_id") or "", **row} for row in rows]


def _fits(row: Row, visit: str) -> bool:
    return visit in ("", str(row.get("fixmedins_mdtrt_id") or ""))


def _over(desk: Desk, call: Call) -> bool:
    done = {key for key, row in desk.books.kept.get("4203", {}).items() if str(row.get("cplt_flag")) == "1"}
    rows = [row for node in call.input.values() for row in (node if isinstance(node, list) else [node])]
    return any(f"{call.hospital.code}/{row.get('fixmedins_mdtrt_id')}" in done for row in rows)


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)
