"""The rule by which this centre pays, published in README.md. Pure: fee lines and a person's cover to amounts in fen.

No centre pays by exactly this rule; every centre has one of this form: line by line what is inside the scope,
then a yearly deductible, a ratio by insurance and hospital level, a yearly cap, funds above it, the account.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from deploy.sandbox.centre.prices import Price

Setting = Literal["otp", "ipt", "pharmacy"]
_WHOLE = 10000  # basis points
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Line:
    """A fee line as the centre splits it; fen. `total_fen` is the sum of the four. Returns are negative."""

    total_fen: int
    fulamt_ownpay: int
    overlmt: int
    preselfpay: int
    inscp_scp: int


@dataclass(frozen=True, slots=True)
class Cover:
    """What a person has, and has had this year."""

    insutype: str
    setting: Setting
    level: str  # the hospital's
    retired: bool = False
    civil: bool = False  # cvlserv_flag
    aided: bool = False  # has 医疗救助
    chronic: bool = False  # the visit is for a filed chronic disease
    balance_fen: int = 0
    family_fen: int = 0  # of the family account that may be used
    deducted_fen: int = 0  # of this year's deductible, in this setting
    pooled_fen: int = 0  # paid by the basic fund this year, in this setting
    above_fen: int = 0  # paid above the cap this year


@dataclass(frozen=True, slots=True)
class Terms:
    """By hospital level 1, 2, 3: the yearly deductible in fen and the ratio in basis points. Then the yearly cap, and
    what is paid of the rest above it, up to so much."""

    deductible: tuple[int, int, int]
    ratio_bp: tuple[int, int, int]
    cap_fen: int
    above_bp: int = 0
    above_cap_fen: int = 0


_NONE = Terms((0, 0, 0), (0, 0, 0), 0)
TERMS: dict[tuple[str, Setting], Terms] = {
    ("310", "otp"): Terms((5000, 5000, 5000), (8000, 7500, 7000), 500_000, 5000, 1_000_000),
    ("310", "ipt"): Terms((20000, 40000, 80000), (9500, 9000, 8500), 30_000_000, 8000, 20_000_000),
    ("390", "otp"): Terms((3000, 3000, 3000), (6000, 5500, 5000), 100_000, 0, 0),
    ("390", "ipt"): Terms((10000, 30000, 60000), (8000, 7000, 6000), 15_000_000, 6000, 20_000_000),
}
_RETIRED_BP = 500  # more for the retired
_CIVIL_BP = 5000  # of what is left in the scope
_AIDED_BP = 7000


@dataclass(frozen=True, slots=True)
class Split:
    """A settlement's amounts, fen, under their names on the wire without `_amt` and `_sumamt`."""

    medfee: int
    fulamt_ownpay: int
    overlmt: int
    preselfpay: int
    inscp_scp: int
    act_pay_dedc: int = 0
    pool_bp: int = 0
    hifp: int = 0
    cvlserv: int = 0
    hifes: int = 0
    hifmi: int = 0
    hifob: int = 0
    maf: int = 0
    oth: int = 0
    own_acct: int = 0
    family_acct: int = 0
    hosp_part: int = 0

    @property
    def funds(self) -> int:
        """All funds; the personal account is none of them."""
        return self.hifp + self.cvlserv + self.hifes + self.hifmi + self.hifob + self.maf + self.oth

    @property
    def psn_part(self) -> int:
        return self.medfee - self.funds - self.hosp_part

    @property
    def psn_cash(self) -> int:
        return self.psn_part - self.own_acct - self.family_acct


def share(amount: int, basis_points: int) -> int:
    """A part of an amount, half a fen up, away from zero."""
    part = (abs(amount) * basis_points * 2 + _WHOLE) // (2 * _WHOLE)
    return part if amount >= 0 else -part


def fen(amount: Decimal) -> int:
    """Half a fen up, away from zero."""
    return int(amount.quantize(_CENT, ROUND_HALF_UP).scaleb(2))


def split_line(cnt: Decimal, pric: Decimal, price: Price, approval: str) -> Line:
    """`approval` is hosp_appr_flag. A restricted item is paid with 1 alone; any other with 0 and 1; 2 is self-pay."""
    total = fen(cnt * pric)
    paid = approval == "1" if price.restricted else approval in ("", "0", "1")
    if price.level == "03" or not paid:
        return Line(total, total, 0, 0, 0)
    over = 0
    if price.limit_fen:
        over = fen(cnt * max(Decimal(0), pric - Decimal(price.limit_fen).scaleb(-2)))
    before = share(total - over, price.prop_bp) if price.level == "02" else 0
    return Line(total, 0, over, before, total - over - before)


def summed(lines: Iterable[Line]) -> Line:
    """All lines of a settlement as one."""
    rows = list(lines)
    return Line(*(sum(getattr(row, part.name) for row in rows) for part in fields(Line)))


def settle(bill: Line, cover: Cover, use_account: bool, hospital_bears: bool = False) -> Split:
    """What who pays of a bill. With `hospital_bears` what is above a price limit is the hospital's."""
    terms = _terms(cover)
    at = {"1": 0, "2": 1, "3": 2}.get(cover.level, 2)
    scope = max(0, bill.inscp_scp)
    deductible = min(scope, max(0, terms.deductible[at] - cover.deducted_fen))
    ratio = min(_WHOLE, terms.ratio_bp[at] + (_RETIRED_BP if cover.retired and terms.ratio_bp[at] else 0))
    due = share(scope - deductible, ratio)
    pool = min(due, max(0, terms.cap_fen - cover.pooled_fen))
    above = min(share(due - pool, terms.above_bp), max(0, terms.above_cap_fen - cover.above_fen))
    left = scope - pool - above
    civil = share(left - deductible, _CIVIL_BP) if cover.civil and cover.insutype == "310" else 0
    aid = share(left - civil, _AIDED_BP) if cover.aided else 0
    hospital = bill.overlmt if hospital_bears else 0
    owed = bill.total_fen - pool - above - civil - aid - hospital
    own = min(max(0, cover.balance_fen), owed) if use_account else 0
    family = min(max(0, cover.family_fen), owed - own) if use_account else 0
    worker = cover.insutype == "310"
    return Split(
        medfee=bill.total_fen,
        fulamt_ownpay=bill.fulamt_ownpay,
        overlmt=bill.overlmt,
        preselfpay=bill.preselfpay,
        inscp_scp=bill.inscp_scp,
        act_pay_dedc=deductible,
        pool_bp=ratio,
        hifp=pool,
        cvlserv=civil,
        hifob=above if worker else 0,
        hifmi=0 if worker else above,
        maf=aid,
        own_acct=own,
        family_acct=family,
        hosp_part=hospital,
    )


def _terms(cover: Cover) -> Terms:
    """A pharmacy sells on the account, but for a filed chronic disease: then as an outpatient."""
    setting = cover.setting
    if setting == "pharmacy":
        if not cover.chronic:
            return _NONE
        setting = "otp"
    return TERMS.get((cover.insutype, setting), _NONE)
