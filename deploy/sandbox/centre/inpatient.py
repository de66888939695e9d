"""住院: admission, fees, discharge, settlement; undone backwards: 2305, 2405, 2302, 2404."""

from __future__ import annotations

from dataclasses import replace

from deploy.sandbox.centre import fees, settling
from deploy.sandbox.centre.books import Done, Settlement, Visit
from deploy.sandbox.centre.desk import Call, Desk, No, Output, need, serves

_EVERY = "0000"  # all unsettled lines
_ADMITTED = ("begntime", "med_type", "ipt_no", "atddr_no", "chfpdr_name")


@serves("2401")
def admit(desk: Desk, call: Call) -> Output:
    row = desk.node(call, "mdtrtinfo")
    person = desk.person(call, row)
    if need(row, "insutype") != person.insutype:
        raise No("人员未参加该险种")
    settling.certified(desk, person.psn_no, row)
    for name in _ADMITTED:
        need(row, name)
    diagnoses = desk.rows(call, "diseinfo")
    for old in desk.books.visits.of(person.psn_no):
        if old.setting == "ipt" and old.state == "open":
            raise No("该人员存在未出院的住院登记,不能重复办理入院")
    visit = Visit(
        mdtrt_id=desk.number("G"),
        setting="ipt",
        psn_no=person.psn_no,
        insutype=person.insutype,
        fixmedins_code=call.hospital.code,
        ipt_otp_no=need(row, "ipt_no"),
        med_type=need(row, "med_type"),
        begntime=need(row, "begntime"),
        row=row,
        serial=desk.books.serial,
        at=call.at,
        opter=call.opter,
        opter_name=call.opter_name,
    )
    desk.books.visits[visit.mdtrt_id] = visit
    desk.books.diagnoses[visit.mdtrt_id] = tuple({"inout_diag_type": "1", **one} for one in diagnoses)
    desk.books.done[call.msgid] = Done(call.infno, person.psn_no, visit.mdtrt_id)
    return {"result": {"mdtrt_id": visit.mdtrt_id}}


@serves("2402")
def discharge(desk: Desk, call: Call) -> Output:
    row = desk.node(call, "dscginfo")
    visit = _open(desk, call, "dscginfo")
    for name in ("endtime", "dscg_dept_codg", "dscg_dept_name", "dscg_way"):
        need(row, name)
    told = [{"inout_diag_type": "2", **one} for one in desk.rows(call, "diseinfo")]
    books = desk.books
    owed = not books.settled(visit.mdtrt_id) or books.unsettled(visit.mdtrt_id)
    if owed and not desk.settings.discharge_first:
        raise No("存在未结算费用,请先办理住院结算")
    ended = replace(visit, state="discharged", endtime=need(row, "endtime"), row={**visit.row, **row})
    books.visits[visit.mdtrt_id] = ended
    books.diagnoses[visit.mdtrt_id] = (*books.diagnoses[visit.mdtrt_id], *told)
    return None


@serves("2403")
def change(desk: Desk, call: Call) -> Output:
    row = desk.node(call, "adminfo")
    visit = _open(desk, call, "adminfo")
    told = desk.rows(call, "diseinfo") if call.input.get("diseinfo") else desk.books.diagnoses[visit.mdtrt_id]
    diagnoses = tuple({"inout_diag_type": "1", **one} for one in told)
    desk.books.visits[visit.mdtrt_id] = replace(
        visit,
        med_type=need(row, "med_type"),
        begntime=need(row, "begntime"),
        ipt_otp_no=need(row, "ipt_otp_no"),
        row={**visit.row, **row},
    )
    desk.books.diagnoses[visit.mdtrt_id] = diagnoses
    return None


@serves("2404")
def cancel_admission(desk: Desk, call: Call) -> Output:
    visit = _open(desk, call)
    if any(desk.books.lines(visit.mdtrt_id)):
        raise No("存在费用明细,不能撤销入院,请先撤销费用明细")
    desk.books.visits[visit.mdtrt_id] = replace(visit, state="void")
    return None


@serves("2405")
def cancel_discharge(desk: Desk, call: Call) -> Output:
    row = desk.node(call)
    desk.person(call, row)
    visit = desk.visit(call, row, "ipt")
    if visit.state != "discharged":
        raise No("未办理出院,不能撤销")
    if desk.settings.discharge_first and any(not _middle(s) for s in desk.books.settled(visit.mdtrt_id)):
        raise No("已办理住院结算,不能撤销出院,请先撤销结算")
    desk.books.visits[visit.mdtrt_id] = replace(visit, state="open", endtime="")
    kept = [one for one in desk.books.diagnoses[visit.mdtrt_id] if one.get("inout_diag_type") != "2"]
    desk.books.diagnoses[visit.mdtrt_id] = tuple(kept)
    return None


@serves("2301")
def upload_fees(desk: Desk, call: Call) -> Output:
    return {"result": fees.book(desk, call, desk.rows(call, "feedetail"), "ipt")}


@serves("2302")
def remove_fees(desk: Desk, call: Call) -> Output:
    """All that the message names, or none; a line that others return goes with them or stays."""
    gone: set[tuple[str, str]] = set()
    for row in desk.rows(call, "data"):
        desk.person(call, row)
        visit = desk.visit(call, row, "ipt")
        if visit.state == "discharged":
            raise No("该就诊已办理出院,不能撤销费用明细,请先撤销出院")
        sn = need(row, "feedetl_sn")
        found = [f for f in desk.books.unsettled(visit.mdtrt_id) if sn in (_EVERY, f.feedetl_sn)]
        if not found:
            raise No("未查询到可撤销的费用明细")
        gone |= {(visit.mdtrt_id, fee.feedetl_sn) for fee in found}
    for fee in [fee for mdtrt_id in {visit for visit, _ in gone} for fee in desk.books.lines(mdtrt_id)]:
        if (fee.mdtrt_id, fee.init_sn) in gone and (fee.mdtrt_id, fee.feedetl_sn) not in gone:
            raise No(f"费用明细[{fee.init_sn}]存在退费明细,不能撤销")
    for key in gone:
        del desk.books.fees[key]
    return None


@serves("2303")
def preview(desk: Desk, call: Call) -> Output:
    return settling.answered(desk, _made(desk, call))


@serves("2304")
def settle(desk: Desk, call: Call) -> Output:
    row = desk.node(call)
    made = _made(desk, call)
    visit = desk.books.visits[made.mdtrt_id]
    if desk.settings.discharge_first and not _middle(made) and visit.state != "discharged":
        raise No("未办理出院,不能进行住院结算")
    settling.compare(row, made)
    return settling.answered(desk, settling.book(desk, made))


@serves("2305")
def cancel(desk: Desk, call: Call) -> Output:
    """The last one first."""
    row = desk.node(call)
    desk.person(call, row)
    visit = desk.visit(call, row, "ipt")
    if not desk.settings.discharge_first and visit.state == "discharged":
        raise No("已办理出院,不能撤销结算,请先撤销出院")
    setl_id = need(row, "setl_id")
    held = desk.books.settled(visit.mdtrt_id)
    if setl_id in [s.setl_id for s in held[:-1]]:
        raise No("存在后续结算,请先撤销后续结算")
    return settling.answered(desk, settling.cancel(desk, call, visit, setl_id))


def _open(desk: Desk, call: Call, node: str = "data") -> Visit:
    row = desk.node(call, node)
    desk.person(call, row)
    visit = desk.visit(call, row, "ipt")
    if visit.state != "open":
        raise No("该就诊已办理出院")
    return visit


def _made(desk: Desk, call: Call) -> Settlement:
    """What a settlement of all that is not settled would be."""
    row = desk.node(call)
    desk.person(call, row)
    visit = desk.visit(call, row, "ipt")
    need(row, "mid_setl_flag")
    return settling.make(desk, call, visit, desk.books.unsettled(visit.mdtrt_id), "")


def _middle(made: Settlement) -> bool:
    return str(made.row.get("mid_setl_flag")) == "1"
