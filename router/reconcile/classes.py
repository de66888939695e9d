"""What a difference between books is called, who signs for it, and what is done by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

Action = Literal["query", "forward", "refund", "suspense", "journal", "reissue", "watch", "none"]


class Class(Struct, frozen=True):
    """`signs` are the offices whose people explain it, each one person. `actions` are tried in this order; `auto`: it
    is explained without a person."""

    name: str
    title: str
    signs: tuple[str, ...]
    actions: tuple[Action, ...]
    auto: bool = False


_ALL = (
    Class(
        "long",
        "the other party has it, we lack it 长款",
        ("finance",),
        ("query", "forward", "refund", "suspense"),
    ),
    Class(
        "short",
        "we have it, the other party lacks it 短款",
        ("finance", "cashier head"),
        ("query", "journal"),
    ),
    Class(
        "insurance-only",
        "the insurance has it, the HIS lacks it 医保单边",
        ("insurance office",),
        ("query", "forward"),
    ),
    Class(
        "his-only",
        "the HIS has it, the insurance lacks it HIS单边",
        ("insurance office",),
        ("query", "journal"),
    ),
    Class("amount", "another amount 金额不符", ("finance",), ("journal",)),
    Class("status", "another state 状态不符", ("finance",), ("query", "journal")),
    Class("duplicate-payment", "one bill paid twice 重复支付", (), ("refund",)),
    Class(
        "duplicate-refund", "more went back than was paid 重复退款", ("finance", "incident"), ("suspense",)
    ),
    Class("cross-day", "each party has it on another day 跨日", (), ("none",), auto=True),
    Class("refund-pending", "the refund has no end yet 退款处理中", (), ("watch",), auto=True),
    Class("fee", "another fee 手续费不符", ("finance",), ("journal",)),
    Class("bank", "the bank's credit is not the sum of the nets 到账不符", ("finance",), ("none",)),
    Class("deposit", "another balance of deposits 预交金不符", ("finance",), ("journal",)),
    Class("cash-box", "the box was counted otherwise 钱箱不符", ("cashier", "cashier head"), ("none",)),
    Class("invoice", "the invoice is not of what was settled 发票不符", ("finance",), ("reissue",)),
    Class("old-platform", "an order of the platform before 原平台订单", ("finance",), ("none",)),
)
CLASSES: Mapping[str, Class] = {one.name: one for one in _ALL}
