"""How a settlement is told: `setlinfo` and `setldetail`, with the money of the province."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from deploy.sandbox.centre.books import Settlement
from deploy.sandbox.centre.desk import Desk, when, yuan
from deploy.sandbox.centre.insured import Insured
from deploy.sandbox.centre.rules import Split

_FUNDS = {
    "hifp": ("310100", "职工基本医疗保险统筹基金"),
    "cvlserv": ("320100", "公务员医疗补助基金"),
    "hifes": ("370100", "企业补充医疗保险基金"),
    "hifmi": ("390200", "城乡居民大病医疗保险基金"),
    "hifob": ("330100", "大额医疗费用补助基金"),
    "maf": ("610100", "医疗救助基金"),
    "oth": ("999997", "其他基金"),
}
_RESIDENT = ("390100", "城乡居民基本医疗保险基金")
_ACCOUNT = ("310200", "职工基本医疗保险个人账户基金")


def money(desk: Desk, split: Split) -> dict[str, Any]:
    """All amounts in yuan."""
    inside = desk.settings.family_inside_account
    account = split.own_acct + (split.family_acct if inside else 0)
    funds = split.funds
    if desk.settings.fund_includes_account:
        funds += split.own_acct + split.family_acct
    return {
        "medfee_sumamt": yuan(split.medfee),
        "fulamt_ownpay_amt": yuan(split.fulamt_ownpay),
        "overlmt_selfpay": yuan(split.overlmt),
        "preselfpay_amt": yuan(split.preselfpay),
        "inscp_scp_amt": yuan(split.inscp_scp),
        "act_pay_dedc": yuan(split.act_pay_dedc),
        "hifp_pay": yuan(split.hifp),
        "pool_prop_selfpay": Decimal(split.pool_bp).scaleb(-4),
        "cvlserv_pay": yuan(split.cvlserv),
        "hifes_pay": yuan(split.hifes),
        "hifmi_pay": yuan(split.hifmi),
        "hifob_pay": yuan(split.hifob),
        "maf_pay": yuan(split.maf),
        "oth_pay": yuan(split.oth),
        "fund_pay_sumamt": yuan(funds),
        "psn_part_amt": yuan(split.psn_part),
        "acct_pay": yuan(account),
        "psn_cash_pay": yuan(split.psn_cash),
        "hosp_part_amt": yuan(split.hosp_part),
        "acct_mulaid_pay": yuan(split.family_acct),
    }


def who(person: Insured, at: datetime) -> dict[str, Any]:
    """The fields of a person that answers repeat."""
    return {
        "psn_no": person.psn_no,
        "psn_name": person.psn_name,
        "psn_cert_type": "01",
        "certno": person.certno,
        "gend": person.gend,
        "naty": "01",
        "brdy": f"{person.brdy:%Y-%m-%d}",
        "age": age(person.brdy, at),
    }


def age(born: date, at: datetime) -> int:
    return at.year - born.year - ((at.month, at.day) < (born.month, born.day))


def setlinfo(desk: Desk, made: Settlement) -> dict[str, Any]:
    """For 2206..2208, 2303..2305 and 2102."""
    person = desk.books.persons[made.psn_no]
    return {
        "setl_id": made.setl_id,
        "mdtrt_id": made.mdtrt_id,
        **who(person, made.at),
        "insutype": made.insutype,
        "psn_type": person.psn_type,
        "cvlserv_flag": person.cvlserv_flag,
        "setl_time": when(made.at),
        "mdtrt_cert_type": str(made.row.get("mdtrt_cert_type") or ""),
        "med_type": made.med_type,
        **money(desk, made.split),
        "balc": yuan(made.balance_fen),
        "medins_setl_id": made.msgid,
        "clr_optins": made.clr_optins,
        "clr_way": made.clr_way,
        "clr_type": made.clr_type,
    }


def otherwise(told: dict[str, Any]) -> dict[str, Any]:
    """The same in the words of 5203 and 2103."""
    told = dict(told)
    told["psn_pay"], told["cash_payamt"] = told.pop("psn_part_amt"), told.pop("psn_cash_pay")
    del told["hosp_part_amt"]
    return told


def detail_rows(made: Settlement, with_account: bool) -> list[dict[str, Any]]:
    """A row for each fund that pays, and one for the account where the province counts it among them."""
    split = made.split
    rows = []
    for name, (code, text) in _FUNDS.items():
        paid = getattr(split, name)
        if name == "hifp" and made.insutype == "390":
            code, text = _RESIDENT
        if paid or name == "hifp":
            rows.append(_detail(code, text, split.inscp_scp, paid))
    account = split.own_acct + split.family_acct
    if with_account and account:
        rows.append(_detail(*_ACCOUNT, 0, account))
    return rows


def _detail(code: str, text: str, scope: int, paid: int) -> dict[str, Any]:
    return {
        "fund_pay_type": code,
        "inscp_scp_amt": yuan(scope),
        "crt_payb_lmt_amt": yuan(0),
        "fund_payamt": yuan(paid),
        "fund_pay_type_name": text,
        "setl_proc_info": "",
    }
