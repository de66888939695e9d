"""电子处方中心 (D001..D007): checked, signed, uploaded, undone, asked for. The books are those of 7101 and 7206."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from deploy.sandbox.centre.books import Prescription, Row
from deploy.sandbox.centre.desk import Call, Desk, No, need
from deploy.sandbox.centre.prescriptions import over
from deploy.sandbox.signing import sm3

_STATES = {"valid": ("1", "有效"), "checked": ("1", "有效"), "used": ("1", "有效"), "undone": ("3", "已撤销")}
_OVER = ("2", "已失效")
_PRESCRIPTION = ("hospRxno", "rxTypeCode", "prscTime", "rxDrugCnt", "valiDays", "valiEndTime")
_DRUG = ("medListCodg", "drugGenname", "drugDosform", "drugSpec", "drugCnt", "medcDays")


def check(desk: Desk, call: Call) -> Row:
    """D001. Again under the same hospRxno it is the same prescription until that is uploaded."""
    row = call.input
    for name in _PRESCRIPTION:
        need(row, name)
    drugs = row.get("rxdrugdetail") or []
    if not drugs:
        raise No("处方明细不能为空")
    for drug in drugs:
        for name in _DRUG:
            need(drug, name)
    visit = row.get("mdtrtinfo") or {}
    person = next((p for p in desk.books.persons.values() if p.certno == visit.get("certno")), None)
    if person is None:
        raise No("未查询到参保人员信息")
    number = need(row, "hospRxno")
    for old in desk.books.prescriptions.values():
        if (old.hospital, old.hosp_rxno) == (call.hospital.code, number) and old.state != "undone":
            if old.state != "checked":
                raise No("处方号重复")
            desk.books.prescriptions[old.hi_rxno] = replace(old, tree=row)
            return {"rxTraceCode": old.trace, "hiRxno": old.hi_rxno}
    trace = f"{call.at:%Y%m%d}{desk.books.next():012d}"
    made = Prescription(desk.number("R"), call.hospital.code, number, person.psn_no, row, trace=trace)
    desk.books.prescriptions[made.hi_rxno] = made
    return {"rxTraceCode": trace, "hiRxno": made.hi_rxno}


def sign(desk: Desk, call: Call) -> Row:
    """D002: what a certificate of the institution would have made of the file."""
    value = need(call.input, "originalValue")
    file = str(call.input.get("originalRxFile") or base64.b64encode(value.encode()).decode())
    digest = base64.b64encode(sm3(file.encode())).decode()
    return {"rxFile": file, "signDigest": digest, "signCertSn": "TESTCERT0001", "signCertDn": "CN=示例医院"}


def upload(desk: Desk, call: Call) -> Row:
    """D003: the file and its signature, of what D001 has checked."""
    row = call.input
    found = _known(desk, call)
    if need(row, "rxTraceCode") != found.trace:
        raise No("处方追溯码与处方编号不一致")
    if need(row, "signDigest") != base64.b64encode(sm3(need(row, "rxFile").encode())).decode():
        raise No("处方文件签名验证失败")
    if found.state == "undone":
        raise No("处方已撤销")
    if found.state == "checked":
        desk.books.prescriptions[found.hi_rxno] = replace(found, state="valid")
    return {"hiRxno": found.hi_rxno, "rxStasCodg": "1", "rxStasName": "有效"}


def undo(desk: Desk, call: Call) -> Row | None:
    found = _known(desk, call)
    for name in ("undoDrName", "undoRea", "undoTime"):
        need(call.input, name)
    if found.state == "undone":
        return None
    if found.state == "used":
        raise No("处方已购药,不能撤销")
    desk.books.prescriptions[found.hi_rxno] = replace(found, state="undone")
    return None


def show(desk: Desk, call: Call) -> Row:
    """D005."""
    found = _known(desk, call)
    place, row = desk.institution(found.hospital), found.tree
    visit: Row = row.get("mdtrtinfo") or {}
    person = desk.books.persons[found.psn_no]
    copied = ("prscTime", "rxDrugCnt", "valiDays", "valiEndTime", "rxTypeCode", "bizTypeCode", "longRxFlag")
    patient = {
        **visit,
        "patnName": person.psn_name,
        "gend": person.gend,
        "insutype": person.insutype,
        "pharName": str(visit.get("pharName") or "示例药师"),
        "pharChkTime": str(row.get("prscTime") or ""),
        "suckPrdFlag": 0,
    }
    drugs = [
        {"takeDrugFlag": "1" if found.state == "used" else "0", **drug}
        for drug in row.get("rxdrugdetail") or []
    ]
    return {
        "hiRxno": found.hi_rxno,
        "fixmedinsCode": place.code,
        "fixmedinsName": place.name,
        **_state(found, call),
        **{name: row[name] for name in copied if row.get(name)},
        "reptFlag": "0",
        "rxDetlList": drugs,
        "rxOtpinfo": patient,
        "rxDiseList": row.get("diseinfo") or [],
    }


def review(desk: Desk, call: Call) -> Row:
    """D006: what the pharmacist of the shop said (7204); approved where nobody has said anything."""
    found = _known(desk, call)
    said = desk.books.kept.get("7204", {}).get(found.hi_rxno, {})
    status = str(said.get("rx_chk_stas_codg") or "1")
    states = _state(found, call)
    return {
        "hiRxno": found.hi_rxno,
        "pharName": str(said.get("phar_name") or "药师"),
        "pharCode": "P0001",
        "rxChkStasCodg": status,
        "rxChkStasName": "通过" if status == "1" else "不通过",
        "rxChkOpnn": str(said.get("rx_chk_opnn") or ""),
        "rxChkTime": str(said.get("rx_chk_time") or f"{call.at:%Y-%m-%d %H:%M:%S}"),
        "rxStasCodg": states["rxStasCodg"],
        "rxStasName": states["rxStasName"],
    }


def filled(desk: Desk, call: Call) -> Row:
    """D007: what was sold (7206)."""
    found = _known(desk, call)
    sold: Row = found.sold or {}
    drugs = [
        {
            "medListCodg": drug["medListCodg"],
            "drugGenname": drug["drugGenname"],
            "drugProdname": drug.get("drugProdname") or drug["drugGenname"],
            "drugDosform": drug["drugDosform"],
            "drugSpec": drug["drugSpec"],
            "cnt": drug["drugCnt"],
            "aprvno": "国药准字TEST",
            "bchno": "B1",
            "manuLotnum": "L1",
            "prdrName": "示例药厂",
            "takeDrugFlag": "1",
        }
        for drug in found.tree.get("rxdrugdetail") or []
    ]
    time = str(sold.get("setl_time") or f"{call.at:%Y-%m-%d}")
    return {
        "hiRxno": found.hi_rxno,
        "setlTime": time,
        **_state(found, call),
        "seltdelts": drugs if found.sold else [],
    }


HANDLERS: dict[str, Callable[[Desk, Call], Row | None]] = {
    "D001": check,
    "D002": sign,
    "D003": upload,
    "D004": undo,
    "D005": show,
    "D006": review,
    "D007": filled,
}


def _known(desk: Desk, call: Call) -> Prescription:
    found = desk.books.prescriptions.get(need(call.input, "hiRxno"))
    if found is None or found.hospital != call.hospital.code:
        raise No("未查询到电子处方")
    return found


def _state(found: Prescription, call: Call) -> dict[str, Any]:
    code, name = _OVER if found.state == "valid" and over(found, call.at) else _STATES[found.state]
    used = ("2", "已使用") if found.state == "used" else ("1", "未使用")
    return {"rxStasCodg": code, "rxStasName": name, "rxUsedStasCodg": used[0], "rxUsedStasName": used[1]}
