"""Puts the books so that the sample input of a transaction (schemas/nhsa/sample.py) is answered, whichever it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from deploy.sandbox.centre import fees, files, settling
from deploy.sandbox.centre.books import Done, Prescription, Row, SignIn, Stored, Visit
from deploy.sandbox.centre.desk import HANDLERS, Call, Desk
from deploy.sandbox.centre.rules import Setting
from deploy.sandbox.centre.settings import Institution
from schemas.nhsa.catalogue import transaction
from schemas.nhsa.sample import CERTNO, PSN_NO, sample

_MDTRT_ID, _SETL_ID = "999900G0000000000001", "999900J0000000000001"
_OMSGID = "H99999900001202401151030000007"
_TIME = "2024-01-15 10:30:00"
_AT = datetime(2024, 1, 15, 10, 30)
_PHARMACY = ("2101", "2102", "2103", "7201", "7202", "7203", "7204", "7205", "7206")
_OUT_FEES = ("2205", "2206", "2207")
_SETTLED = ("2208", "2601", "3201", "3202", "3203", "3211", "4101", "4101A", "4102", "4103", "5203", "5204")
_IN_OPEN = ("2301", "2302", "2303", "2402", "2403", "2404", "5303")
_IN_OVER = ("2304", "2305", "2405")
_NO_FEES = ("2301", "2402", "2403", "2404", "2405", "5303")
_FILINGS = {"2502": "2501", "2504": "2503", "2506": "2505"}
_PURCHASE = {
    "3504": "3503",
    "3507": "3501",
    "3508": "3501",
    "3509": "3502",
    "3510": "3503",
    "3511": "3505",
} | {
    "3506": "3505",
    "3512": "3503",
    "3513": "3505",
}


def institution_of(desk: Desk, name: str) -> Institution:
    """Who sends the sample: the hospital, or for what is a pharmacy's the pharmacy."""
    shop = name in _PHARMACY
    return next(one for one in desk.settings.institutions if bool(one.level) is not shop)


def prepare(desk: Desk, name: str, now: datetime) -> None:
    """What the sample names is there, and nothing that stands in its way."""
    call = _call(desk, name, {})
    if name in (*_OUT_FEES, *_SETTLED):
        _charged(desk, call, _visit(desk, call, "otp"), settled=name in _SETTLED)
    elif name in (*_IN_OPEN, *_IN_OVER):
        visit = _visit(desk, call, "ipt", "discharged" if name in _IN_OVER else "open")
        if name not in _NO_FEES:
            _charged(desk, call, visit, settled=name == "2305")
    elif name == "2103":
        _charged(desk, call, _visit(desk, call, "pharmacy"), settled=True)
    elif name == "3260":
        _charged(desk, call, _visit(desk, call, "otp", psn_no=_elsewhere(desk)), settled=True)
    elif name not in ("2401", "2201", "2102", "2101"):
        _visit(desk, call, "otp")
    _kept(desk, call, name, now)


def _elsewhere(desk: Desk) -> str:
    """A person who is insured in another place."""
    area = desk.settings.institutions[0].admvs[:4]
    return next(one.psn_no for one in desk.books.persons.values() if one.insuplc_admdvs[:4] != area)


def _kept(desk: Desk, call: Call, name: str, now: datetime) -> None:
    books = desk.books
    if name in _FILINGS:
        filed = sample(transaction(_FILINGS[name]))
        number = sample(transaction(name))["data"]["trt_dcla_detl_sn"]
        row = next(iter(filed.values()))
        books.put(_FILINGS[name], number, {**row, "psn_no": PSN_NO, "trt_dcla_detl_sn": number, "state": "1"})
    if name in ("3202", "3211", "9102"):
        cells = "\t".join([_SETL_ID, _MDTRT_ID, PSN_NO, "86.50", "50.40", "20.00", "0"])
        node = next(iter(sample(transaction(name)).values()))
        until = now + timedelta(days=1)
        data = files.zipped("stmt.txt", f"{cells}\n")
        number = node["file_qury_no"]
        books.files[number] = Stored(number, "test.zip", call.hospital.code, until, data, number)
    if name == "3212":
        books.put("3211", sample(transaction(name))["data"]["task_key"], {"file": "", "rows": 0})
    if name == "3204":
        books.put("3203", str(sample(transaction(name), whole=True)["data"]["clr_appy_evt_id"]), _mine(call))
    if name == "3262":
        asked = sample(transaction(name))
        key = f"{call.hospital.code}/{asked['trt_year']}/{asked['trt_month']}"
        books.put("3261", key, {"msgid": asked["otransid"]})
    if name in ("3302", "1317"):
        _done(desk, "3301")
    if name in ("3402", "3403", "5101"):
        _done(desk, "3401")
    if name in _PURCHASE:
        tree = sample(transaction(_PURCHASE[name]))
        row = next(iter(tree.values()))
        asked = next(iter(sample(transaction(name)).values()))
        row["drug_trac_codg"] = "TRACE1"
        row["fixmedins_hilist_id"] = asked.get("medins_list_codg") or row["fixmedins_hilist_id"]
        _done(desk, _PURCHASE[name], tree)
    if name in ("4102", "4103", "4104", "4105"):
        held = {"setl_list_id": "L1", "stas_type": "0", "psn_no": PSN_NO, "setl_id": _SETL_ID}
        books.put(
            "list", _SETL_ID, {**held, "hospital": call.hospital.code, "input": sample(transaction("4101"))}
        )
    if name in ("4203", "4204", "4206", "4207", "4208", "4209", "5401", "5402"):
        for kind in ("4201A", "4202", "4205", "4501", "4502"):
            tree = sample(transaction(kind), whole=True)
            first = next(iter(tree.values()))
            row = first[0] if isinstance(first, list) else first
            key = f"{call.hospital.code}/{row.get('fixmedins_mdtrt_id', '')}/{row.get('bkkp_sn', '')}"
            books.put(kind, key, {"input": tree, "hospital": call.hospital.code})
    if name in ("7104", "7201", "7202", "7203", "7204", "7205", "7206"):
        _prescribed(desk, name)
    if name == "9002":
        row = sample(transaction(name))["signOut"]
        books.signins[row["sign_no"]] = SignIn(row["sign_no"], row["opter_no"], call.hospital.code, now)


def _prescribed(desk: Desk, name: str) -> None:
    asked = sample(transaction(name), whole=name == "7203")["data"]
    number = next(
        str(asked[key]).removeprefix("T") if key == "epc_token" else str(asked[key])
        for key in ("hi_rxno", "auth_rxno", "epc_qrcd", "mdtrt_cert_no")
        if asked.get(key)
    )
    hospital = next(one for one in desk.settings.institutions if one.level)
    tree = sample(transaction("7101"))
    made = Prescription(number, hospital.code, "TEST", PSN_NO, tree, state="valid")
    desk.books.prescriptions[number] = made


def _mine(call: Call) -> Row:
    return {"clr_type": "11", "setlym": "202401", "hospital": call.hospital.code}


def _done(desk: Desk, name: str, tree: Row | None = None) -> None:
    """By the transaction's own hand."""
    HANDLERS[name](desk, _call(desk, name, tree or sample(transaction(name))))


def _call(desk: Desk, name: str, tree: Row) -> Call:
    head = {
        "opter": "0001",
        "opter_name": "示例",
        "insuplc_admdvs": desk.books.persons[PSN_NO].insuplc_admdvs,
    }
    return Call(name, _OMSGID, head, tree, _AT, institution_of(desk, name))


def _visit(desk: Desk, call: Call, setting: Setting, state: Any = "open", psn_no: str = PSN_NO) -> Visit:
    tree = sample(transaction("2202"))["data"]
    visit = Visit(
        mdtrt_id=_MDTRT_ID,
        setting=setting,
        psn_no=psn_no,
        insutype="310",
        fixmedins_code=call.hospital.code,
        ipt_otp_no=tree["ipt_otp_no"],
        med_type="11" if setting != "ipt" else "21",
        begntime=_TIME,
        row={"mdtrt_cert_type": "02", "mdtrt_cert_no": CERTNO},
        serial=desk.books.next(),
        at=call.at,
        opter=call.opter,
        opter_name=call.opter_name,
        state=state,
        endtime=_TIME if state == "discharged" else "",
    )
    desk.books.visits[visit.mdtrt_id] = visit
    desk.books.diagnoses[visit.mdtrt_id] = (sample(transaction("2203A"))["diseinfo"][0],)
    return visit


def _charged(desk: Desk, call: Call, visit: Visit, settled: bool) -> None:
    """86.50 in two lines: 自费 6.50, and 80.00 of which 0.1 is paid before: the amounts of the sample of 2207."""
    row = {**sample(transaction("2204"))["feedetail"][0], "hosp_appr_flag": "0"}
    lines: dict[tuple[str, str], Any] = {}
    for sn, code, price in (
        ("F0001", "XTEST000000000000003", "6.50"),
        ("F0002", "XTEST000000000000002", "80.00"),
    ):
        line = {**row, "feedetl_sn": sn, "med_list_codg": code, "pric": price, "cnt": "1"}
        fees.add(desk, replace(visit, state="open"), {**line, "det_item_fee_sumamt": price}, lines)
    desk.books.fees |= lines
    if not settled:
        return
    node = "druginfo" if visit.setting == "pharmacy" else "data"
    person = desk.books.persons[visit.psn_no]
    paid = {**sample(transaction("2207"))["data"], "psn_no": person.psn_no, "mdtrt_cert_no": person.certno}
    paid["mid_setl_flag"] = "0"
    told = replace(call, infno="2207", input={node: paid})
    made = settling.make(desk, told, visit, list(lines.values()), "B0001" if visit.setting == "otp" else "")
    made = replace(made, setl_id=_SETL_ID)
    desk.books.settlements[_SETL_ID] = made
    settling.charge(desk, made)
    desk.books.done[_OMSGID] = Done("2207", visit.psn_no, _SETL_ID)
