"""Amounts of the insurance platform's trees: read as `Decimal`, added, compared, and named in two languages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from schemas.validation.base import TYPE, Fault

NOTHING = Decimal(0)
FEN = Decimal("0.01")

DIFFERS = "JL-N401"  # the amounts of one tree do not add up
DISAGREES = "JL-N402"  # two calls name different amounts for what is one

# 16 digits at most, as the tables have it; more decimals than two are seen of prices and quantities.
_NUMBER = re.compile(r"[+-]?\d{1,16}(\.\d{1,10})?")

# 5203 has other names for two of them; one print misspells one, a province another.
_SPELLINGS = {
    "psn_part_amt": ("psn_part_amt", "psn_pay", "psn_part_am"),
    "psn_cash_pay": ("psn_cash_pay", "cash_payamt", "pdn_cash_pay"),
}

NAMES: Mapping[str, str] = {
    "medfee_sumamt": "医疗费总额",
    "fulamt_ownpay_amt": "全自费金额",
    "overlmt_selfpay": "超限价自费费用",
    "overlmt_amt": "超限价金额",
    "preselfpay_amt": "先行自付金额",
    "inscp_scp_amt": "符合政策范围金额",
    "fund_pay_sumamt": "基金支付总额",
    "fund_payamt": "基金支付金额",
    "hifp_pay": "基本医疗保险统筹基金支出",
    "cvlserv_pay": "公务员医疗补助资金支出",
    "hifes_pay": "企业补充医疗保险基金支出",
    "hifmi_pay": "居民大病保险资金支出",
    "hifob_pay": "职工大额医疗费用补助基金支出",
    "maf_pay": "医疗救助基金支出",
    "hifdm_pay": "伤残人员医疗保障基金支出",
    "oth_pay": "其他支出",
    "psn_part_amt": "个人负担总金额",
    "acct_pay": "个人账户支出",
    "acct_mulaid_pay": "个人账户共济支付金额",
    "psn_cash_pay": "个人现金支出",
    "hosp_part_amt": "医院负担金额",
    "det_item_fee_sumamt": "明细项目费用总额",
    "detItemFeeSumamt": "明细项目费用总额",
    "medfeeSumamt": "医疗费总额",
    "fulamtOwnpayAmt": "全自费金额",
    "overlmtSelfpay": "超限价自费费用",
    "preselfpayAmt": "先行自付金额",
    "inscpScpAmt": "符合政策范围金额",
    "feeSumamt": "费用总额",
    "ownPayAmt": "现金支付",
    "psnAcctPay": "个人账户支出",
    "fundPay": "医保基金支付",
    "totlRefdAmt": "总退费金额",
    "cashRefdAmt": "现金退费金额",
    "psnAcctRefdAmt": "医保个人账户退费金额",
    "fundRefdAmt": "基金退费金额",
    "amt": "金额",
    "claa_sumfee": "甲类费用合计",
    "clab_amt": "乙类金额",
    "oth_amt": "其他金额",
    "cash_payamt": "现金支付金额",
    "fixmedins_setl_cnt": "定点医药机构结算笔数",
}


@dataclass(frozen=True, slots=True)
class MoneyRules:
    """How a province adds up: what it counts into which total."""

    # fund_pay_sumamt includes acct_pay (Guangdong), else it is beside it (Hunan).
    fund_holds_account: bool = False
    # acct_mulaid_pay, what a family's account paid, is beside acct_pay, else within it.
    family_beside_account: bool = False
    # hosp_part_amt is a share of the total, where it is sent.
    hospital_part: bool = True
    # What fund_pay_sumamt is made of, as far as it is sent.
    fund_parts: tuple[str, ...] = (
        "hifp_pay",
        "cvlserv_pay",
        "hifes_pay",
        "hifmi_pay",
        "hifob_pay",
        "maf_pay",
        "oth_pay",
        "hifdm_pay",
    )
    # The fund_pay_type of setldetail rows that are the personal account's.
    account_rows: tuple[str, ...] = ("310200",)
    # How far a sum may be off, in yuan. A centre that rounds each part by itself is off by a fen.
    tolerance: Decimal = NOTHING


class NoAmount(ValueError):
    """What stands where an amount belongs is none."""


def amount(value: Any) -> Decimal:
    """Yuan. Nothing and an empty text are 0, as the platform writes an empty number. Raises NoAmount.

    >>> amount("86.50"), amount(None)
    (Decimal('86.50'), Decimal('0'))
    """
    if value is None or value == "":
        return NOTHING
    if isinstance(value, Decimal):
        if value.is_finite() and value.copy_abs() < 10**16:  # abs() may overflow
            return value
    elif isinstance(value, int) and not isinstance(value, bool):
        if abs(value) < 10**16:
            return Decimal(value)
    elif isinstance(value, str) and _NUMBER.fullmatch(value):
        return Decimal(value)
    raise NoAmount


@dataclass(frozen=True, slots=True)
class Amounts:
    """The amounts of one node. `at` is its JSON pointer."""

    at: str
    node: Mapping[str, Any]

    def has(self, name: str) -> bool:
        return self._spelled(name) in self.node and self.node[self._spelled(name)] not in (None, "")

    def of(self, name: str) -> Decimal:
        """Raises NoAmount, with the name."""
        try:
            return amount(self.node.get(self._spelled(name)))
        except NoAmount:
            raise NoAmount(self.path(name)) from None

    def sum(self, names: Iterable[str]) -> Decimal:
        return sum((self.of(name) for name in names), NOTHING)

    def path(self, name: str) -> str:
        return f"{self.at}/{self._spelled(name)}"

    def _spelled(self, name: str) -> str:
        for one in _SPELLINGS.get(name, ()):
            if one in self.node:
                return one
        return name


def whole(total: str, parts: Sequence[str], node: Amounts, tolerance: Decimal) -> Iterator[Fault]:
    """A total and its parts. Where the total or all of the parts are not sent, nothing can be said."""
    if node.has(total) and any(node.has(part) for part in parts):
        yield from same(node.path(total), total, node.of(total), node.sum(parts), parts, tolerance)


def same(
    path: str,
    total: str,
    told: Decimal,
    added: Decimal,
    parts: Sequence[str],
    tolerance: Decimal,
    code: str = DIFFERS,
) -> Iterator[Fault]:
    """`told` against what was `added` of `parts` (names, or words for where they come from)."""
    off = told - added
    if abs(off) <= tolerance:
        return
    zh, more = NAMES.get(total, ""), off > 0
    added_of = " + ".join(parts)
    yield Fault(
        path,
        f"{total} is {abs(off)} {'more' if more else 'less'} than {added_of} "
        f"（{zh}比{'、'.join(NAMES.get(part, part) for part in parts)}之和{'多' if more else '少'}{abs(off)}）",
        code,
    )


def no_amount(path: str) -> Fault:
    name = path.rpartition("/")[2]
    return Fault(path, f"{name} is no amount of money（{NAMES.get(name, name)}不是金额）", TYPE)


def product(count: Decimal, price: Decimal) -> Decimal:
    """What a line costs: to the fen, half a fen up.

    >>> product(Decimal("1.5"), Decimal("0.03"))
    Decimal('0.05')
    """
    return (count * price).quantize(FEN, ROUND_HALF_UP)


def nodes(tree: Any, name: str, at: str = "") -> Iterator[Amounts]:
    """The objects of a node, be it one or a list of them; `name` '' is the tree itself."""
    found, at = (
        (tree, at) if not name else (tree.get(name) if isinstance(tree, Mapping) else None, f"{at}/{name}")
    )
    if isinstance(found, Mapping):
        yield Amounts(at, found)
    elif isinstance(found, list | tuple):
        for number, one in enumerate(found):
            if isinstance(one, Mapping):
                yield Amounts(f"{at}/{number}", one)
