"""Settlements: made of lines, booked with the account, cancelled, told. Outpatient, inpatient and pharmacy alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from deploy.sandbox.centre.books import Account, Done, Fee, Row, Settlement, Usage, Visit, holds
from deploy.sandbox.centre.desk import Call, Desk, No, amount, need
from deploy.sandbox.centre.rules import Cover, fen, settle, summed
from deploy.sandbox.centre.telling import detail_rows, setlinfo

_CLR_TYPE = {"otp": "11", "ipt": "21", "pharmacy": "41"}


def make(desk: Desk, call: Call, visit: Visit, found: Sequence[Fee], batch: str) -> Settlement:
    """What the settlement of these lines is now, booked nowhere. Checks the total and the words of the message."""
    row = desk.node(call, "druginfo" if visit.setting == "pharmacy" else "data")
    if not found:
        raise No("未查询到未结算的费用明细")
    bill = summed(fee.line for fee in found)
    if bill.total_fen < 0:
        raise No("费用总额不能为负数")
    if fen(amount(row, "medfee_sumamt")) != bill.total_fen:
        raise No("医疗费总额与费用明细合计金额不一致")
    if need(row, "insutype") != visit.insutype:
        raise No("险种类型与就诊登记信息不一致")
    certified(desk, visit.psn_no, row)
    split = settle(
        bill,
        cover(desk, call, visit, row),
        str(row.get("acct_used_flag")) == "1",
        desk.settings.hospital_bears_limits,
    )
    return Settlement(
        setl_id="",
        infno=call.infno,
        msgid=call.msgid,
        mdtrt_id=visit.mdtrt_id,
        psn_no=visit.psn_no,
        insutype=visit.insutype,
        fixmedins_code=call.hospital.code,
        split=split,
        at=call.at,
        clr_type=_CLR_TYPE[visit.setting],
        med_type=str(row.get("med_type") or visit.med_type),
        batch=batch,
        lines=tuple(fee.feedetl_sn for fee in found),
        row=row,
        serial=desk.books.serial,
        opter=call.opter,
        opter_name=call.opter_name,
        balance_fen=desk.books.accounts[visit.psn_no].balance_fen - split.own_acct,
        clr_optins=call.hospital.admvs,
    )


def certified(desk: Desk, psn_no: str, row: Row) -> None:
    """The voucher, identity number or card is the person's."""
    kind, number = need(row, "mdtrt_cert_type"), need(row, "mdtrt_cert_no")
    person = desk.books.persons[psn_no]
    known = {"01": person.token, "02": person.certno, "03": person.card_no}
    if kind not in known:
        raise No("就诊凭证类型无效")
    if known[kind] != number:
        raise No("就诊凭证与人员信息不一致")


def cover(desk: Desk, call: Call, visit: Visit, row: Row) -> Cover:
    """What the person has left this year."""
    person, account = desk.books.persons[visit.psn_no], desk.books.accounts[visit.psn_no]
    used = desk.books.usage.get((visit.psn_no, visit.insutype, call.at.year, visit.setting), Usage())
    disease = str(row.get("dise_codg") or visit.row.get("dise_codg") or "")
    return Cover(
        insutype=visit.insutype,
        setting=visit.setting,
        level=call.hospital.level,
        retired=person.psn_type == "12",
        civil=person.cvlserv_flag == "1",
        aided=person.aided,
        chronic=disease in person.chronic,
        balance_fen=account.balance_fen,
        family_fen=account.family_fen,
        deducted_fen=used.deducted_fen,
        pooled_fen=used.pooled_fen,
        above_fen=used.above_fen,
    )


def compare(row: Row, made: Settlement) -> None:
    """The amounts that the message says are those of the preview. A missing one is not compared."""
    split = made.split
    right = {
        "fulamt_ownpay_amt": split.fulamt_ownpay,
        "overlmt_selfpay": split.overlmt,
        "preselfpay_amt": split.preselfpay,
        "inscp_scp_amt": split.inscp_scp,
    }
    for name, value in right.items():
        if row.get(name) not in (None, "") and fen(amount(row, name)) != value:
            raise No(f"[{name}]与预结算结果不一致")


def book(desk: Desk, made: Settlement) -> Settlement:
    """Takes what the account pays, counts the year, marks the lines, remembers the msgid."""
    made = replace(made, setl_id=desk.number("J"), serial=desk.books.serial)
    desk.books.settlements[made.setl_id] = made
    charge(desk, made)
    remember(desk, made)
    return made


def charge(desk: Desk, made: Settlement, sign: int = 1) -> None:
    """With sign -1 gives back."""
    books, split = desk.books, made.split
    account = books.accounts[made.psn_no]
    books.accounts[made.psn_no] = Account(
        account.balance_fen - sign * split.own_acct, account.family_fen - sign * split.family_acct
    )
    key = (made.psn_no, made.insutype, made.at.year, books.visits[made.mdtrt_id].setting)
    used = books.usage.get(key, Usage())
    books.usage[key] = Usage(
        used.deducted_fen + sign * split.act_pay_dedc,
        used.pooled_fen + sign * split.hifp,
        used.above_fen + sign * (split.hifob + split.hifmi),
        used.scope_fen + sign * split.inscp_scp,
        used.times + sign,
    )
    books.mark(made, made.setl_id if sign > 0 else "")


def remember(desk: Desk, made: Settlement) -> None:
    """So that 2601 finds it by its message."""
    desk.books.done[made.msgid] = Done(made.infno, made.psn_no, made.setl_id)


def cancel(desk: Desk, call: Call, visit: Visit, setl_id: str) -> Settlement:
    """A record of its own, with the amounts of the settlement that it cancels. Once."""
    old = desk.books.settlements.get(setl_id)
    if old is None or old.mdtrt_id != visit.mdtrt_id or old.refd_setl_flag == "1" or old.state == "reversed":
        raise No("未查询到结算信息")
    if not holds(old):
        raise No("该结算已撤销,不能重复撤销")
    if desk.settings.cancel_in_month and f"{old.at:%Y%m}" != f"{call.at:%Y%m}":
        raise No("跨月结算不能撤销")
    desk.books.settlements[setl_id] = replace(old, state="cancelled")
    charge(desk, old, -1)
    made = replace(
        old,
        setl_id=desk.number("J"),
        infno=call.infno,
        msgid=call.msgid,
        at=call.at,
        serial=desk.books.serial,
        opter=call.opter,
        opter_name=call.opter_name,
        refd_setl_flag="1",
        of=setl_id,
        balance_fen=desk.books.accounts[old.psn_no].balance_fen,
    )
    desk.books.settlements[made.setl_id] = made
    remember(desk, made)
    return made


def answered(desk: Desk, made: Settlement) -> dict[str, Any]:
    """`setlinfo` and `setldetail`; without a setl_id where nothing is booked."""
    told = setlinfo(desk, made)
    if not made.setl_id:
        del told["setl_id"]
    return {"setlinfo": told, "setldetail": detail_rows(made, desk.settings.fund_includes_account)}
