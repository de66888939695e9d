"""The amounts of a mixed order, and the three sums that hold between them. Pure; integer fen.

total = gov + self + other + cash paid + reductions
total = gov + self + other + insurance's cash + additions
cash paid = insurance's cash + additions - reductions
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from msgspec import Struct

from config.errors import Refused

MixPayType = Literal["CASH_ONLY", "INSURANCE_ONLY", "CASH_AND_INSURANCE"]
ADD_TYPES = ("DEFAULT_ADD_TYPE", "FREIGHT", "OTHER_MEDICAL_EXPENSES")
# DEPOSIT_DEDUCTION 住院押金抵扣, PRE_PAYMENT 预付款: what was paid before counts here, within the same order.
REDUCE_TYPES = (
    "DEFAULT_REDUCE_TYPE",
    "HOSPITAL_REDUCE",
    "PHARMACY_DISCOUNT",
    "DISCOUNT",
    "PRE_PAYMENT",
    "DEPOSIT_DEDUCTION",
)
_MOST = 10_000_000_00  # fen
_MOST_PARTS = 20  # additions, or reductions, of an order

Parts = tuple[tuple[str, int], ...]  # type, fen


class Amounts(Struct, frozen=True):
    """`insured_cash` is what the insurance leaves to the patient (med_ins_cash_fee), `cash` what WeChat takes."""

    total: int
    gov: int = 0  # 统筹
    own: int = 0  # 个账: med_ins_self_fee
    other: int = 0
    insured_cash: int = 0
    cash: int = 0
    add: Parts = ()
    reduce: Parts = ()

    @property
    def insured(self) -> int:
        return self.gov + self.own + self.other

    @property
    def kind(self) -> MixPayType:
        if not self.cash:
            return "INSURANCE_ONLY"
        return "CASH_AND_INSURANCE" if self.insured or self.insured_cash else "CASH_ONLY"


def amounts_of(asked: Mapping[str, Any]) -> Amounts:
    """Of what is asked, in yuan: `{amount, cash, insurance: {gov, self, other, cash}, add: [{type, amount}], reduce}`.

    Raises Refused: JL-P302 no amount, JL-P303 a sum does not hold.
    """
    insurance = asked.get("insurance") or {}
    if not isinstance(insurance, Mapping):
        raise Refused("JL-P302", "`insurance` is an object of amounts 医保金额格式错误")
    made = Amounts(
        total=_fen(asked, "amount"),
        gov=_fen(insurance, "gov"),
        own=_fen(insurance, "self"),
        other=_fen(insurance, "other"),
        insured_cash=_fen(insurance, "cash"),
        cash=_fen(asked, "cash"),
        add=_parts(asked, "add", ADD_TYPES),
        reduce=_parts(asked, "reduce", REDUCE_TYPES),
    )
    if wrong := broken(made):
        raise Refused("JL-P303", wrong)
    return made


def broken(amounts: Amounts) -> str:
    """What of the sums does not hold, '' where all do.

    >>> broken(Amounts(total=202000, gov=100000, own=45000, other=5000, insured_cash=50000, cash=42000,
    ...     add=(("FREIGHT", 2000),), reduce=(("DEPOSIT_DEDUCTION", 10000),)))
    ''
    """
    add, reduce = (sum(fen for _, fen in parts) for parts in (amounts.add, amounts.reduce))
    if not amounts.total:
        return "nothing is to be paid 应付金额为零"
    if amounts.total != amounts.insured + amounts.cash + reduce:
        rest = f"insured {amounts.insured} + cash {amounts.cash} + reduced {reduce}"
        return f"total {amounts.total} != {rest} fen 总额不平"
    if amounts.kind == "CASH_ONLY":
        return "" if amounts.total >= add else "more is added than the total 补充金额大于总额"
    if amounts.total != amounts.insured + amounts.insured_cash + add:
        left = amounts.insured_cash
        return (
            f"total {amounts.total} != insured {amounts.insured} + its cash {left} + added {add} fen 总额不平"
        )
    if amounts.cash != amounts.insured_cash + add - reduce:  # pragma: no cover - follows from the two above
        return "the cash does not add up 现金金额不平"
    return ""


def _parts(asked: Mapping[str, Any], name: str, types: tuple[str, ...]) -> Parts:
    given = asked.get(name) or ()
    if not isinstance(given, list | tuple) or len(given) > _MOST_PARTS:
        raise Refused("JL-P302", f"`{name}` is a list of at most {_MOST_PARTS} 明细过多")
    made = []
    for one in given:
        kind = str(one.get("type") or types[0]) if isinstance(one, Mapping) else ""
        if kind not in types:
            raise Refused("JL-P302", f"`{name}`: a type is one of {', '.join(types)} 类型无效")
        fen = _fen(one, "amount")
        if not fen:
            raise Refused("JL-P302", f"`{name}`: an amount above 0 明细金额须大于零")
        made.append((kind, fen))
    return tuple(made)


def _fen(asked: Mapping[str, Any], name: str) -> int:
    """Yuan to fen; what is not said is 0."""
    value = asked.get(name)
    if value is None or value == "":
        return 0
    try:
        fen = Decimal(str(value)) * 100
        if fen == fen.to_integral_value() and 0 <= fen <= _MOST:
            return int(fen)
    except InvalidOperation:
        pass
    raise Refused("JL-P302", f"`{name}` is no amount of money in yuan: {str(value)[:20]!r} 金额无效")
