"""冲正 (2601): undoes what one message did, by its msgid and infno, where its answer was lost."""

from __future__ import annotations

from dataclasses import replace

from deploy.sandbox.centre.books import Settlement
from deploy.sandbox.centre.desk import Call, Desk, No, Output, need, serves
from deploy.sandbox.centre.settling import charge

LIST = ("2102", "2103", "2207", "2208", "2304", "2305", "2401")


@serves("2601")
def reverse(desk: Desk, call: Call) -> Output:
    row = desk.node(call)
    person = desk.person(call, row)
    msgid, infno = need(row, "omsgid"), need(row, "oinfno")
    names = desk.settings.oinfno
    if infno not in {names.get(name, name) for name in LIST}:
        raise No(f"交易[{infno}]不支持冲正")
    done = desk.books.done.get(msgid)
    if done is None or names.get(done.infno, done.infno) != infno:
        raise No("未查询到需要冲正的原交易")
    if done.psn_no != person.psn_no:
        raise No("人员编号与原交易不一致")
    if done.state == "reversed":
        return {}  # as often as it is asked
    if done.infno == "2401":
        _admission(desk, done.made)
    elif done.infno in ("2208", "2305", "2103"):
        _cancel(desk, desk.books.settlements[done.made])
    else:
        _settlement(desk, desk.books.settlements[done.made])
    desk.books.done[msgid] = replace(done, state="reversed")
    return {}


def _settlement(desk: Desk, made: Settlement) -> None:
    if made.state == "cancelled":
        raise No("该结算已撤销,不能冲正")
    charge(desk, made, -1)
    desk.books.settlements[made.setl_id] = replace(made, state="reversed")
    visit = desk.books.visits[made.mdtrt_id]
    if visit.setting == "pharmacy":  # one message made it all
        for sn in made.lines:
            del desk.books.fees[made.mdtrt_id, sn]
        desk.books.visits[visit.mdtrt_id] = replace(visit, state="void")


def _cancel(desk: Desk, made: Settlement) -> None:
    """The settlement holds again, unless its lines are gone or settled anew."""
    books = desk.books
    old = books.settlements[made.of]
    fees = [books.fees.get((old.mdtrt_id, sn)) for sn in old.lines]
    if any(fee is None or fee.setl_id for fee in fees):
        raise No("原结算的费用明细已变更,不能冲正")
    if not _enough(desk, old):
        raise No("个人账户余额不足,不能冲正")
    visit = books.visits[old.mdtrt_id]
    if visit.state == "void":  # a pharmacy's, which the cancel ended
        books.visits[visit.mdtrt_id] = replace(visit, state="open")
    charge(desk, old)
    books.settlements[old.setl_id] = replace(old, state="valid")
    books.settlements[made.setl_id] = replace(made, state="reversed")


def _enough(desk: Desk, old: Settlement) -> bool:
    account = desk.books.accounts[old.psn_no]
    return account.balance_fen >= old.split.own_acct and account.family_fen >= old.split.family_acct


def _admission(desk: Desk, mdtrt_id: str) -> None:
    if any(desk.books.lines(mdtrt_id)):
        raise No("存在费用明细,不能冲正入院办理")
    visit = desk.books.visits[mdtrt_id]
    if visit.state == "discharged":
        raise No("已办理出院,不能冲正入院办理")
    desk.books.visits[mdtrt_id] = replace(visit, state="void")
