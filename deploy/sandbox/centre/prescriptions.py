"""电子处方 on the institution interface (7101, 7104, 7201..7206): written by a hospital, filled by a pharmacy once."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from deploy.sandbox.centre.books import Prescription, Row
from deploy.sandbox.centre.desk import Call, Desk, No, Output, need, serves
from deploy.sandbox.centre.tables import demand
from schemas.nhsa.catalogue import transaction
from schemas.nhsa.sample import sample


@serves("7101")
def upload(desk: Desk, call: Call) -> Output:
    demand(desk, call)
    visit = desk.node(call, "mdtrtinfo")
    person = desk.person(call, visit)
    number = need(desk.node(call), "hosp_rxno")
    for old in desk.books.prescriptions.values():
        if (old.hospital, old.hosp_rxno) == (call.hospital.code, number) and old.state != "undone":
            raise No("处方号重复")
    made = Prescription(
        desk.number("R"), call.hospital.code, number, person.psn_no, dict(call.input), state="valid"
    )
    desk.books.prescriptions[made.hi_rxno] = made
    return {"data": {"hi_rxno": made.hi_rxno}}


@serves("7104")
def undo(desk: Desk, call: Call) -> Output:
    demand(desk, call)
    found = known(desk, need(desk.node(call), "hi_rxno"))
    if found.hospital != call.hospital.code:
        raise No("处方不属于本机构")
    if found.state == "used":
        raise No("处方已购药,不能撤销")
    desk.books.prescriptions[found.hi_rxno] = replace(found, state="undone")
    return None


@serves("7201")
def decode(desk: Desk, call: Call) -> Output:
    """The code on the patient's telephone is the prescription's number."""
    demand(desk, call)
    found = known(desk, need(desk.node(call), "epc_qrcd"))
    person = desk.books.persons[found.psn_no]
    told = {
        "epc_token": f"T{found.hi_rxno}",
        "cert_type": "01",
        "name": person.psn_name,
        "certno": person.certno,
    }
    return {"data": {**told, "insuplc_admdvs": person.insuplc_admdvs}}


@serves("7202")
def of_person(desk: Desk, call: Call) -> Output:
    demand(desk, call)
    row = desk.node(call)
    field = {"01": "token", "02": "certno", "03": "card_no"}.get(need(row, "mdtrt_cert_type"), "certno")
    told = []
    for one in desk.books.prescriptions.values():
        person = desk.books.persons[one.psn_no]
        if one.state != "valid" or getattr(person, field) != need(row, "mdtrt_cert_no"):
            continue
        visit, head = one.tree.get("mdtrtinfo") or {}, one.tree.get("data") or {}
        told.append(
            {
                "auth_rxno": one.hi_rxno,
                "diag_name": str(visit.get("diag_name") or "示例诊断"),
                "fixmedins_code": one.hospital,
                "fixmedins_name": desk.institution(one.hospital).name,
                "prsc_time": str(head.get("prsc_time") or ""),
                "dept_name": str(visit.get("prsc_dept_name") or "示例科室"),
                "valid_end_time": str(head.get("valid_end_time") or ""),
            }
        )
    return {"data": told}


@serves("7203")
def download(desk: Desk, call: Call) -> Output:
    row = desk.node(call)
    need(row, "insuplc_admdvs")
    number = str(row.get("auth_rxno") or "") or str(row.get("epc_token") or "").removeprefix("T")
    found = known(desk, number)
    place = desk.institution(found.hospital)
    more = {"hi_rxno": found.hi_rxno, "fixmedins_code": place.code, "fixmedins_name": place.name}
    return _told(found.tree, more)


@serves("7204", "7205")
def tell(desk: Desk, call: Call) -> Output:
    """The pharmacist's review, and where the delivery is."""
    demand(desk, call)
    row = desk.node(call)
    found = known(desk, need(row, "hi_rxno"))
    desk.books.put(call.infno, found.hi_rxno, row)
    return None


@serves("7206")
def fill(desk: Desk, call: Call) -> Output:
    demand(desk, call)
    row = desk.node(call)
    found = known(desk, need(row, "hi_rxno"))
    if found.state != "valid":
        raise No("处方已核销或已失效")
    desk.books.prescriptions[found.hi_rxno] = replace(
        found, state="used", sold={**row, "shop": call.hospital.code}
    )
    return None


def known(desk: Desk, number: str) -> Prescription:
    found = desk.books.prescriptions.get(number)
    if found is None or found.state == "undone":
        raise No("未查询到有效的电子处方")
    return found


def _told(tree: Row, more: Row) -> dict[str, Any]:
    """The nodes of 7203 from those of 7101; what those lack and the table requires is of its sample."""
    shapes = sample(transaction("7203"), side="out")
    told: dict[str, Any] = {}
    for node in transaction("7203").output:
        given = tree.get(node.name) or []
        shape = shapes[node.name][0] if node.many else shapes[node.name]
        names = {field.name for field in node.fields}
        rows = [
            shape | {name: value for name, value in row.items() if name in names}
            for row in (given if isinstance(given, list) else [given])
        ]
        told[node.name] = rows if node.many else rows[0]
    told["data"] |= more
    return told


def over(prescription: Prescription, at: datetime) -> bool:
    """Whether its days are past."""
    head = prescription.tree.get("data") or prescription.tree
    end = str(head.get("valid_end_time") or head.get("valiEndTime") or "")
    return bool(end) and end < f"{at:%Y-%m-%d %H:%M:%S}"
