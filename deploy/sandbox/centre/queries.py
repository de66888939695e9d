"""综合查询 from the books (5201, 5202, 5204..5206, 5301..5304). What a lagging query does not see is not in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from deploy.sandbox.centre.books import Fee, Row, Visit
from deploy.sandbox.centre.desk import Call, Desk, No, Output, need, serves, when, yuan
from deploy.sandbox.centre.fees import flags, parts
from deploy.sandbox.centre.prices import price_of
from deploy.sandbox.centre.telling import who

_COPIED = (
    *(
        "coner_name",
        "tel",
        "medrcdno",
        "atddr_no",
        "chfpdr_name",
        "adm_dept_codg",
        "adm_dept_name",
        "adm_bed",
    ),
    *("dscg_maindiag_code", "dscg_maindiag_name", "dscg_dept_codg", "dscg_dept_name", "dscg_bed", "dscg_way"),
    *("main_cond_dscr", "dise_codg", "dise_name", "mdtrt_cert_type"),
)
_LINE = (
    *(
        "rxno",
        "fee_ocur_time",
        "sin_dos_dscr",
        "used_frqu_dscr",
        "prd_days",
        "medc_way_dscr",
        "medins_list_codg",
    ),
    *(
        "bilg_dept_codg",
        "bilg_dept_name",
        "bilg_dr_codg",
        "bilg_dr_name",
        "hosp_appr_flag",
        "tcmdrug_used_way",
    ),
    *("etip_flag", "dscg_tkdrug_flag", "matn_fee_flag", "memo"),
)
_HOSPITAL_DRUGS = ("101", "102", "103", "104", "106")  # list_type


@serves("5201")
def visits(desk: Desk, call: Call) -> Output:
    row = desk.node(call)
    desk.person(call, row)
    begin, end, kind = _from(row), _till(row), need(row, "med_type")
    told = []
    for visit in _seen(desk, call, need(row, "psn_no")):
        asked = row.get("mdtrt_id") in (None, "", visit.mdtrt_id)
        if asked and begin <= visit.begntime <= end and visit.med_type in ("", kind):
            told.append(_visit(desk, call, visit))
    return {"mdtrtinfo": told}


@serves("5202")
def diagnoses(desk: Desk, call: Call) -> Output:
    row = desk.node(call)
    desk.person(call, row)
    visit = desk.visit(call, row)
    told = []
    for number, one in enumerate(desk.books.diagnoses.get(visit.mdtrt_id, ()), 1):
        told.append(
            {
                "diag_info_id": f"{visit.mdtrt_id[-10:]}{number:04d}",
                "mdtrt_id": visit.mdtrt_id,
                "psn_no": visit.psn_no,
                "inout_diag_type": "1",
                "maindiag_flag": "0",
                **{name: value for name, value in one.items() if name != "vali_flag"},
                "opter_id": visit.opter,
                "opter_name": visit.opter_name,
                "opt_time": when(visit.at),
            }
        )
    return {"diseinfo": told}


@serves("5204")
def fee_lines(desk: Desk, call: Call) -> Output:
    """The output is the list itself."""
    row = desk.node(call)
    desk.person(call, row)
    visit = desk.visit(call, row)
    setl_id = str(row.get("setl_id") or "")
    found = [f for f in desk.books.lines(visit.mdtrt_id) if f.serial < call.blind]
    return [_line(visit, fee) for fee in found if setl_id in ("", fee.setl_id)]


@serves("5205")
def chronic_drugs(desk: Desk, call: Call) -> Output:
    row = desk.node(call)
    person = desk.person(call, row)
    begin = _from(row)
    end = _till(row) if row.get("endtime") else when(call.at)
    told = []
    for visit in _seen(desk, call, person.psn_no):
        if str(visit.row.get("dise_codg") or "") not in person.chronic:
            continue
        for fee in desk.books.lines(visit.mdtrt_id):
            drug = price_of(fee.code).list_type in _HOSPITAL_DRUGS
            if drug and begin <= str(fee.row["fee_ocur_time"]) <= end:
                place = desk.institution(visit.fixmedins_code)
                line = {**_line(visit, fee), "psn_no": person.psn_no, "fixmedins_name": place.name}
                told.append({**line, "fixmedins_code": place.code})
    return {"feedetail": told}


@serves("5206")
def totals(desk: Desk, call: Call) -> Output:
    row = desk.node(call)
    person = desk.person(call, row)
    month = str(row.get("cum_ym") or f"{call.at:%Y%m}")
    told = []
    for (psn_no, insutype, year, _), used in desk.books.usage.items():
        if psn_no != person.psn_no or str(year) != month[:4]:
            continue
        for kind, amount in (("01", used.pooled_fen), ("02", used.deducted_fen), ("03", used.scope_fen)):
            line = {"insutype": insutype, "year": str(year), "cum_ym": month, "cum_type_code": kind}
            told.append({**line, "cum": yuan(amount)})
    return {"cuminfo": told}


@serves("5301")
def chronic_filings(desk: Desk, call: Call) -> Output:
    person = desk.person(call, desk.node(call))
    year = f"{call.at:%Y}"
    known = [
        {"opsp_dise_code": code, "opsp_dise_name": "示例慢特病", "begndate": f"{year}-01-01", "enddate": ""}
        for code in person.chronic
    ]
    names = ("opsp_dise_code", "opsp_dise_name", "begndate", "enddate")
    filed = [r for r in desk.books.rows("2503") if r["psn_no"] == person.psn_no and r["state"] == "1"]
    return {"feedetail": known + [{name: r.get(name) or "" for name in names} for r in filed]}


@serves("5302")
def chosen_places(desk: Desk, call: Call) -> Output:
    row = call.input.get("data") or {}
    if not row.get("psn_no"):
        return {"psnfixmedin": []}
    person = desk.person(call, row)
    names = ("psn_no", "fix_srt_no", "fixmedins_code", "fixmedins_name", "begndate", "enddate", "memo")
    filed = [r for r in desk.books.rows("2505") if r["psn_no"] == person.psn_no and r["state"] == "1"]
    told = [{name: r.get(name) or "" for name in names} | {"insutype": person.insutype} for r in filed]
    return {"psnfixmedin": told}


@serves("5303")
def in_hospital(desk: Desk, call: Call) -> Output:
    row = desk.node(call)
    begin, end, asked = _from(row), _till(row), str(row.get("psn_no") or "")
    told = []
    for visit in _seen(desk, call, asked):
        here = visit.setting == "ipt" and visit.state == "open" and begin <= visit.begntime <= end
        if here and visit.fixmedins_code == call.hospital.code:
            person = desk.books.persons[visit.psn_no]
            line = {
                "mdtrt_id": visit.mdtrt_id,
                **who(person, call.at),
                "insutype": visit.insutype,
                "begndate": visit.begntime[:10],
                "med_type": visit.med_type,
                "ipt_otp_no": visit.ipt_otp_no,
                "out_flag": "0" if person.insuplc_admdvs[:4] == call.hospital.admvs[:4] else "1",
            }
            del line["naty"]
            told.append(line)
    return {"data": told}


@serves("5304")
def transfers(desk: Desk, call: Call) -> Output:
    row = desk.node(call)
    begin, end, asked = _from(row)[:10], _till(row)[:10], str(row.get("psn_no") or "")
    told = []
    for filed in [*desk.books.rows("2501"), *desk.books.rows("2501A")]:
        person = desk.books.persons[filed["psn_no"]]
        if filed["state"] != "1" or asked not in ("", person.psn_no):
            continue
        if not begin <= str(filed.get("refl_date"))[:10] <= end:
            continue
        copied = (
            "tel",
            "addr",
            "diag_code",
            "diag_name",
            "dise_cond_dscr",
            "refl_date",
            "refl_rea",
            "enddate",
        )
        line = {name: filed.get(name) or "" for name in copied}
        line |= {name: filed.get(name) or "" for name in ("reflin_medins_no", "reflin_medins_name")}
        line |= {k: v for k, v in who(person, call.at).items() if k not in ("naty", "age")}
        line |= {"insutype": person.insutype, "dcla_souc": "01", "insu_optins": person.insuplc_admdvs}
        line["begndate"] = filed.get("begndate") or filed.get("refl_date") or ""
        line["hosp_agre_refl_flag"] = filed.get("hosp_agre_refl_flag") or "1"
        told.append(line | {"emp_name": person.emp_name, "out_flag": "1"})
    return {"refmedin": told}


def _seen(desk: Desk, call: Call, psn_no: str) -> Iterator[Visit]:
    """Visits that were not cancelled, of one person or with '' of all."""
    visits = desk.books.visits
    for visit in visits.of(psn_no) if psn_no else visits.values():
        if visit.state != "void" and visit.serial < call.blind:
            yield visit


def _from(row: Row) -> str:
    return f"{need(row, 'begntime')} 00:00:00"[:19]


def _till(row: Row) -> str:
    """A range of dates goes to the end of its last day."""
    end = need(row, "endtime")
    end = f"{end} 23:59:59" if len(end) == 10 else end
    if end < _from(row):
        raise No("结束时间不能早于开始时间")
    return end


def _visit(desk: Desk, call: Call, visit: Visit) -> dict[str, Any]:
    person = desk.books.persons[visit.psn_no]
    return {
        "mdtrt_id": visit.mdtrt_id,
        **who(person, call.at),
        "insutype": visit.insutype,
        "psn_type": person.psn_type,
        "cvlserv_flag": person.cvlserv_flag,
        "insu_optins": person.insuplc_admdvs,
        "emp_name": person.emp_name,
        "begntime": visit.begntime,
        "endtime": visit.endtime or visit.begntime,
        "med_type": visit.med_type,
        "ipt_otp_no": visit.ipt_otp_no,
        **{name: visit.row[name] for name in _COPIED if visit.row.get(name)},
        "inhosp_stas": "1" if visit.setting == "ipt" and visit.state == "open" else "0",
        "opter_id": visit.opter,
        "opter_name": visit.opter_name,
        "opt_time": when(visit.at),
    }


def _line(visit: Visit, fee: Fee) -> dict[str, Any]:
    price = price_of(fee.code)
    copied = {name: fee.row[name] for name in _LINE if fee.row.get(name) not in (None, "")}
    copied["rx_drord_no"] = str(copied.pop("rxno", "") or fee.row.get("drord_no") or "")
    return {
        "mdtrt_id": visit.mdtrt_id,
        "setl_id": fee.setl_id,
        "feedetl_sn": fee.feedetl_sn,
        "med_type": visit.med_type,
        "cnt": fee.cnt,
        "pric": fee.pric,
        "det_item_fee_sumamt": yuan(fee.line.total_fen),
        **parts(fee.line, price),
        **flags(price),
        "lmt_used_flag": "1" if price.restricted else "0",
        "hilist_code": price.code,
        "hilist_name": price.name or "未对照项目",
        "list_type": price.list_type,
        "med_list_codg": price.code,
        "medins_list_name": price.name or "院内项目",
        "spec": "示例规格",
        "dosform_name": "示例剂型",
        **copied,
    }
