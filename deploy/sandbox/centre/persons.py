"""人员: who is insured, where and how (1101), and whether the benefits hold (2001)."""

from __future__ import annotations

from typing import Any

from deploy.sandbox.centre.desk import Call, Desk, No, Output, need, serves, yuan
from deploy.sandbox.centre.insured import Insured
from deploy.sandbox.centre.telling import who


@serves("1101")
def identify(desk: Desk, call: Call) -> Output:
    person = _found(desk, desk.node(call))
    account = desk.books.accounts[person.psn_no]
    insurance = {
        "balc": yuan(account.balance_fen),
        "insutype": person.insutype,
        "psn_type": person.psn_type,
        "psn_insu_stas": "1",
        "psn_insu_date": "2020-01-01",
        "paus_insu_date": "",
        "cvlserv_flag": person.cvlserv_flag,
        "insuplc_admdvs": person.insuplc_admdvs,
        "emp_name": person.emp_name,
    }
    aided = {
        "psn_idet_type": "1",
        "psn_type_lv": "",
        "memo": "",
        "begntime": "2020-01-01 00:00:00",
        "endtime": "",
    }
    return {
        "baseinfo": who(person, call.at),
        "insuinfo": [insurance],
        "idetinfo": [aided] if person.aided else [],
    }


def _found(desk: Desk, row: Any) -> Insured:
    """By e-voucher (01), identity number (02) or card (03), which has a name or number of the holder beside it."""
    kind, number = need(row, "mdtrt_cert_type"), need(row, "mdtrt_cert_no")
    field = {"01": "token", "02": "certno", "03": "card_no"}.get(kind)
    if field is None:
        raise No("就诊凭证类型无效")
    if kind == "03":
        need(row, "card_sn")
    for person in desk.books.persons.values():
        if getattr(person, field) == number:
            if row.get("psn_name") not in (None, "", person.psn_name):
                raise No("姓名与参保信息不一致")
            return person
    raise No("未查询到参保人员信息")


@serves("1162")
def decode_voucher(desk: Desk, call: Call) -> Output:
    """The code on the telephone is the token itself."""
    row = desk.node(call)
    code = str(row.get("ecQrCode") or "")
    for person in desk.books.persons.values():
        if code in ("", person.token):
            return {
                "data": {"cardno": person.card_no[-6:], "card_sn": person.card_no, "ecToken": person.token}
            }
    raise No("电子凭证二维码无效")


@serves("2001")
def entitled(desk: Desk, call: Call) -> Output:
    row = desk.node(call)
    person = desk.person(call, row)
    fund = "310100" if person.insutype == "310" else "390100"
    right = need(row, "insutype") == person.insutype
    told = {
        "psn_no": person.psn_no,
        "trt_chk_type": "01",
        "fund_pay_type": fund,
        "trt_enjymnt_flag": "1" if right else "0",
        "begndate": f"{call.at:%Y}-01-01",
        "enddate": f"{call.at:%Y}-12-31",
        "trt_chk_rslt": "" if right else "人员未参加该险种",
    }
    return {"trtinfo": [told]}
