"""门诊: registration, diagnoses, fees, settlement and what undoes them (2201..2208)."""

from __future__ import annotations

from dataclasses import replace

from deploy.sandbox.centre import fees, settling
from deploy.sandbox.centre.books import Settlement, Visit
from deploy.sandbox.centre.books import register as register_of
from deploy.sandbox.centre.desk import Call, Desk, No, Output, need, serves

_EVERY = "0000"  # all unsettled lines


@serves("2201")
def register(desk: Desk, call: Call) -> Output:
    row = desk.node(call)
    person = desk.person(call, row)
    if need(row, "insutype") != person.insutype:
        raise No("人员未参加该险种")
    number = need(row, "ipt_otp_no")
    settling.certified(desk, person.psn_no, row)
    for name in ("begntime", "atddr_no", "dr_name", "dept_code", "caty"):
        need(row, name)
    for old in desk.books.visits.of(register_of(call.hospital.code, number)):
        if old.setting == "otp" and old.state != "void":
            raise No("门诊号重复,该门诊号已存在有效的就诊登记")
    visit = Visit(
        mdtrt_id=desk.number("G"),
        setting="otp",
        psn_no=person.psn_no,
        insutype=person.insutype,
        fixmedins_code=call.hospital.code,
        ipt_otp_no=number,
        med_type="",
        begntime=need(row, "begntime"),
        row=row,
        serial=desk.books.serial,
        at=call.at,
        opter=call.opter,
        opter_name=call.opter_name,
    )
    desk.books.visits[visit.mdtrt_id] = visit
    return {"data": {"mdtrt_id": visit.mdtrt_id, "psn_no": visit.psn_no, "ipt_otp_no": number}}


@serves("2202")
def cancel_registration(desk: Desk, call: Call) -> Output:
    row = desk.node(call)
    desk.person(call, row)
    visit = desk.visit(call, row, "otp")
    if need(row, "ipt_otp_no") != visit.ipt_otp_no:
        raise No("门诊号与就诊登记信息不一致")
    if any(desk.books.lines(visit.mdtrt_id)):
        raise No("存在费用明细,不能撤销挂号,请先撤销费用明细")
    desk.books.visits[visit.mdtrt_id] = replace(visit, state="void")
    return None


@serves("2203", "2203A")
def tell_visit(desk: Desk, call: Call) -> Output:
    row = desk.node(call, "mdtrtinfo")
    desk.person(call, row)
    visit = desk.visit(call, row, "otp")
    diagnoses = desk.rows(call, "diseinfo")
    for diagnosis in diagnoses:
        for name in ("diag_type", "diag_srt_no", "diag_code", "diag_name"):
            need(diagnosis, name)
        if call.infno == "2203A":
            need(diagnosis, "maindiag_flag")
    if desk.books.settled(visit.mdtrt_id):
        raise No("该就诊已结算,不能变更就诊信息")
    told = replace(visit, med_type=need(row, "med_type"), row={**visit.row, **row})
    desk.books.visits[visit.mdtrt_id] = told
    desk.books.diagnoses[visit.mdtrt_id] = tuple(diagnoses)
    return None


@serves("2204")
def upload_fees(desk: Desk, call: Call) -> Output:
    return {"result": fees.book(desk, call, desk.rows(call, "feedetail"), "otp")}


@serves("2205")
def remove_fees(desk: Desk, call: Call) -> Output:
    row = desk.node(call)
    desk.person(call, row)
    visit = desk.visit(call, row, "otp")
    batch = need(row, "chrg_bchno")
    found = desk.books.unsettled(visit.mdtrt_id, None if batch == _EVERY else batch)
    if not found:
        raise No("未查询到可撤销的费用明细")
    for fee in found:
        del desk.books.fees[visit.mdtrt_id, fee.feedetl_sn]
    return None


@serves("2206")
def preview(desk: Desk, call: Call) -> Output:
    return settling.answered(desk, _made(desk, call))


@serves("2207")
def settle(desk: Desk, call: Call) -> Output:
    made = _made(desk, call)
    settling.compare(desk.node(call), made)
    return settling.answered(desk, settling.book(desk, made))


@serves("2208")
def cancel(desk: Desk, call: Call) -> Output:
    row = desk.node(call)
    desk.person(call, row)
    visit = desk.visit(call, row, "otp")
    return settling.answered(desk, settling.cancel(desk, call, visit, need(row, "setl_id")))


def _made(desk: Desk, call: Call) -> Settlement:
    """What a settlement of the batch would be."""
    row = desk.node(call)
    desk.person(call, row)
    visit = desk.visit(call, row, "otp")
    if not visit.med_type:
        raise No("未上传门诊就诊信息")
    batch = need(row, "chrg_bchno")
    return settling.make(desk, call, visit, desk.books.unsettled(visit.mdtrt_id, batch), batch)
